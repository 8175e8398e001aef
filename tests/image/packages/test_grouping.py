"""Which packages share a layer: few layers, and a change of one package is a change of one layer."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.image.lock import File, Package
from shipway.image.packages.grouping import LARGE, MOST, REST, RUNTIME, Group, grouped

NAMES = st.text("abcdefgh", min_size=1, max_size=5)
SIZES = st.one_of(st.integers(0, LARGE - 1), st.integers(LARGE, 40 * LARGE))
SETS = st.dictionaries(NAMES, SIZES, max_size=40)
RUNTIMES = st.frozensets(NAMES)


def package(name: str, size: int, version: str = "1.0") -> Package:
    return Package(name, version, File(f"{name}-{version}-py3-none-any.whl", "0" * 64, size))


def groups(sizes: dict[str, int], runtime: frozenset[str]) -> tuple[Group, ...]:
    return grouped([package(name, size) for name, size in sizes.items()], runtime)


def test_what_a_usual_image_has() -> None:
    sizes = {"torch": 190 << 20, "numpy": 16 << 20, "flask": 1 << 17, "click": 1 << 16, "orjson": 1 << 17}
    found = [(one.title, [package.name for package in one.packages]) for one in groups(sizes, frozenset({"orjson"}))]
    assert found == [
        ("numpy", ["numpy"]),
        ("torch", ["torch"]),
        (RUNTIME, ["orjson"]),
        (REST, ["click", "flask"]),
    ]


@given(SETS, RUNTIMES)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_each_package_is_in_one_layer_and_order_is_nothing(sizes: dict[str, int], runtime: frozenset[str]) -> None:
    found = groups(sizes, runtime)
    assert sorted(one.name for group in found for one in group.packages) == sorted(sizes)
    assert all(group.packages for group in found)
    assert len(found) <= MOST + 2
    assert groups(dict(reversed(sizes.items())), runtime) == found


@given(SETS.filter(bool), RUNTIMES, st.data())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_a_change_of_one_package_changes_one_layer(
    sizes: dict[str, int], runtime: frozenset[str], data: st.DataObject
) -> None:
    """While there are not too many large ones."""
    sizes = dict(list(sizes.items())[: MOST - 1])
    name = data.draw(st.sampled_from(sorted(sizes)))
    before = set(groups(sizes, runtime))
    changed = [package(one, size, "2.0" if one == name else "1.0") for one, size in sizes.items()]
    assert len(set(grouped(changed, runtime)) - before) == 1
    added = data.draw(NAMES.filter(lambda one: one not in sizes)), data.draw(SIZES)
    assert len(set(groups({**sizes, added[0]: added[1]}, runtime)) - before) == 1
    without = {one: size for one, size in sizes.items() if one != name}
    assert len(set(groups(without, runtime)) - before) <= 1


def test_many_large_ones_cost_one_more_layer_than_their_own() -> None:
    """The smallest of them goes to the rest."""
    sizes = {f"large{number:02}": LARGE + number for number in range(MOST)}
    before = set(groups(sizes, frozenset()))
    assert len(before) == MOST
    after = set(groups({**sizes, "new": 2 * LARGE}, frozenset()))
    assert len(after - before) == 2
    assert len(after) == MOST + 1


def test_the_runtimes_layer_is_the_same_beside_other_packages() -> None:
    runtime = frozenset({"granian", "orjson"})
    small = {"granian": 1 << 20, "orjson": 1 << 17}
    one, other = groups({**small, "flask": 1000}, runtime), groups({**small, "torch": 190 << 20, "x": 5}, runtime)
    assert [group for group in one if group in other] == [
        Group(RUNTIME, tuple(package(*item) for item in small.items()))
    ]
