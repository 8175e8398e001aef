"""What of a Dockerfile decides whether its lock is fresh."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from shipway.errors import Refused
from shipway.image.lock import File, Package
from shipway.image.locking import LockFolder, Mode
from shipway.image.platform import Target
from shipway.image.recipe import Packages
from shipway.transfer import silent
from tests.image.dockerfile.kitchen import AMD64, Kitchen


class FakeResolver:
    """Chooses a package for each call, and remembers for which lines."""

    def __init__(self) -> None:
        self.asked: list[Sequence[str]] = []

    def resolve(self, asked: Sequence[str], target: Target, pins: Sequence[Package] = ()) -> tuple[Package, ...]:
        self.asked.append(asked)
        return (Package("x", "1", File("x-1-py3-none-any.whl", "0" * 64)),)


def lock(kitchen: Kitchen, text: str, resolver: FakeResolver, mode: Mode = "keep") -> None:
    recipe = kitchen.prepare(text).recipe
    (packages,) = (one for one in recipe.steps if isinstance(one, Packages))
    base = kitchen.pantry.base(recipe.base, AMD64, {})
    asyncio.run(LockFolder(kitchen.root, resolver, mode, silent).resolution(recipe, packages, base))


COPIED = "FROM base\nCOPY c.txt .\nRUN pip install x -c c.txt -i https://a/s\n"


@pytest.mark.parametrize(
    ("constraints", "text", "told"),
    [
        ("y<3", COPIED, "+ --constraint y<3, - --constraint y<2"),
        ("y<2", COPIED.replace("/a/s", "/b/s"), "+ --index-url https://b/s, - --index-url https://a/s"),
        ("y<2", COPIED.replace("-i https", "--extra-index-url https"), "+ --extra-index-url https://a/s"),
        ("y<2", COPIED.replace("FROM base", "FROM base\nENV PIP_FIND_LINKS=https://f/"), "+ --find-links https://f/"),
    ],
)
def test_constraints_and_indexes_are_a_part_of_what_was_asked(
    kitchen: Kitchen, constraints: str, text: str, told: str
) -> None:
    resolver = FakeResolver()
    kitchen.put(**{"c.txt": "y<2\n"})
    lock(kitchen, COPIED, resolver)
    lock(kitchen, COPIED, resolver, "locked")
    assert resolver.asked == [("x",)]
    kitchen.put(**{"c.txt": f"{constraints}\n"})
    with pytest.raises(Refused) as caught:
        lock(kitchen, text, resolver, "locked")
    assert told in caught.value.message
    lock(kitchen, text, resolver)
    assert resolver.asked == [("x",), ("x",)]


def test_the_lock_has_no_build_arg_that_nothing_installs(kitchen: Kitchen) -> None:
    text = "FROM base\nARG TOKEN\nARG PIP_INDEX_URL\nLABEL a=b\nCOPY --chown=1 Dockerfile /x\nRUN pip install x\n"
    made = kitchen.prepare(text, arguments={"TOKEN": "supersecret"})
    assert "supersecret" not in repr(made)
    with pytest.raises(Exception, match="has a user or a password") as caught:
        kitchen.prepare(text, arguments={"PIP_INDEX_URL": "https://me:supersecret@h/s"})
    assert "supersecret" not in str(caught.value)
