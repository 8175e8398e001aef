"""What changed between two runs, from what to what."""

from __future__ import annotations

from typing import Any

import pytest

from shipway.jobs import Earlier, Platform, components, declared
from shipway.jobs.changes import Changes, changes, in_words
from shipway.kinds import ModelJobSpec

HERE = Platform("cpython-3.11.7", "linux-x86_64")
A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def spec(**fields: Any) -> ModelJobSpec:
    return ModelJobSpec.model_validate({"command": ["python", "train.py"], **fields})


def between(old: dict[str, Any], new: dict[str, Any], platform: Platform = HERE) -> Changes:
    earlier = Earlier("run 1", components(spec(**old), HERE), declared(spec(**old), HERE))
    return changes(earlier, components(spec(**new), platform), declared(spec(**new), platform))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({"params": {"lr": 0.1, "n": 3}}, {"params": {"lr": 0.2, "n": 3}}, "params changed: lr 0.1 -> 0.2"),
        ({"params": {"a": 1}}, {"params": {"b": 2}}, "params changed: a 1 is gone, b 2 is new"),
        ({}, {"command": ["python", "b.py"]}, "command changed: python train.py -> python b.py"),
        (
            {"requirements": ["numpy==1", "x"]},
            {"requirements": ["x", "numpy==2"]},
            "requirements changed: -numpy==1, +numpy==2",
        ),
        ({"image": f"r/a@{A}"}, {"image": f"r/a@{B}"}, "image changed"),
        ({"image": "a:1"}, {"image": f"r/b@{B}"}, f"image a:1 -> r/b@sha256:{'b' * 12}"),
        ({}, {"image": "a:1"}, "image changed"),  # what is new has no "from"
        ({}, {"replicas": 2}, "replicas changed: 1 gang -> 2 gang"),
        ({"source": {"digest": A}}, {"source": {"digest": B}}, "source changed"),
        (
            {"inputs": {"p": {"path": "p", "digest": A}}},
            {"inputs": {"p": {"path": "p", "digest": B}, "q": {"path": "q", "digest": A}}},
            "inputs changed: p has other files, q is new",
        ),
        (
            {"env": {"A": "b"}},
            {"env": {"A": "c"}, "params": {"x": 1}},
            "env changed: A b -> c; params changed: x 1 is new",
        ),
        ({}, {}, ""),
    ],
)
def test_in_words(old: dict[str, Any], new: dict[str, Any], words: str) -> None:
    assert in_words(between(old, new)) == words


def test_an_interpreter_changes_too() -> None:
    found = between({}, {}, Platform("cpython-3.12.1", "linux-x86_64"))
    assert found == {"interpreter": {"from": "cpython-3.11.7", "to": "cpython-3.12.1"}}


def test_values_are_json_by_key() -> None:
    assert between({"params": {"lr": 0.1}}, {"params": {"lr": 0.2}}) == {"params": {"lr": {"from": 0.1, "to": 0.2}}}


def test_a_secret_is_told_by_its_place_and_never_by_its_value() -> None:
    of = {"secret": {"name": "hub", "key": "TOKEN"}}
    assert in_words(between({"env": {"X": "plain"}}, {"env": {"X": of}})) == "env changed: X plain -> secret hub/TOKEN"


@pytest.mark.parametrize("name", ["API_TOKEN", "db_password", "AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY"])
def test_a_variable_that_is_named_like_a_secret_is_not_shown(name: str) -> None:
    found = between({"env": {name: "hunter2"}}, {"env": {name: "hunter3"}})
    assert found == {"env": {}}
    assert in_words(found) == "env changed"


def test_a_password_of_an_index_is_not_shown() -> None:
    for password in ("{}", "p@{}"):
        urls = (f"--index-url https://u:{password.format(word)}@h/simple" for word in ("one", "two"))
        old, new = ({"requirements": [url]} for url in urls)
        found = between(old, new)
        assert found.keys() == {"requirements"}
        assert "one" not in str(found) and "two" not in str(found)


def test_long_values_are_cut_in_words_only() -> None:
    found = between({"params": {"a": "x" * 200}}, {"params": {"a": "y"}})
    assert len(in_words(found)) < 100
    assert found["params"]["a"]["from"] == "x" * 200


def test_what_nobody_wrote_down_is_named_without_values() -> None:
    earlier = Earlier("digits:1", components(spec(env={"A": "b"}), HERE), {"params": {}})
    found = changes(earlier, components(spec(env={"A": "c"}), HERE), declared(spec(env={"A": "c"}), HERE))
    assert (found, in_words(found)) == ({"env": {}}, "env changed")


def test_a_component_of_an_earlier_shipway_is_missing_and_then_differs() -> None:
    assert changes(Earlier("run 1", {"gone": "x"}, {"gone": "x"}), {}, {}) == {"gone": {"from": "x", "to": None}}
