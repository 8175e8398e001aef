"""``shipway models``: what is asked of the hub, and how its answers read."""

from __future__ import annotations

from typing import Any

import pytest
from click.shell_completion import ShellComplete

from shipway.cli.main import cli
from shipway.kinds.catalog import ContentChange, MetricChange, ModelLine, ValueChange, VersionDiff
from tests.cli.conftest import Shipway
from tests.cli.fake_hub import FakeHub
from tests.cli.worlds import DIGEST, T0, model

DIGITS = "/v1/models/digits"
LINE = ModelLine(
    name="digits",
    versions=10_000,
    aliases={"latest": 10_000, "champion": 7},
    format="onnx",
    size=2048,
    metrics={"accuracy": 0.9722},
    live={"web": 7},
    latest=10_000,
    champion=7,
    created_at=T0,
)


def page(*numbers: int, older: int = 0) -> dict[str, Any]:
    versions = list(reversed(model(*numbers).to_json()["status"]["versions"]))
    count = len(numbers) + older
    aliases = {"latest": max(numbers, default=0), "champion": 1}
    return {
        "name": "digits",
        "count": count,
        "older": older,
        "aliases": aliases,
        "live": {"web": 1},
        "versions": versions,
    }


def sent(one: Any) -> Any:
    return one.model_dump(mode="json", by_alias=True)


def test_a_line_a_model(shipway: Shipway, hub: FakeHub) -> None:
    hub.routes["GET /v1/models"] = {"models": [sent(LINE)]}
    header, row = shipway("models").out.splitlines()
    assert header.split() == ["NAME", "VERSIONS", "LATEST", "CHAMPION", "SIZE", "METRICS", "LIVE", "AGE"]
    assert row.split()[:9] == ["digits", "10000", "10000", "7", "2.05", "kB", "accuracy", "0.9722", "web"]
    assert "latest=10000, champion=7" in shipway("models", "ls", "-o", "wide").out
    assert shipway("models", "ls", "-o", "json").json == [sent(LINE)]
    hub.routes["GET /v1/models"] = {"models": []}
    assert shipway("models", "ls").out == "nothing here yet: shipway up\n"


def test_the_versions_of_a_model(shipway: Shipway, hub: FakeHub) -> None:
    hub.routes[f"GET {DIGITS}/versions"] = page(1, 2, older=9_950)
    for words in (("ls", "digits"), ("show", "digits")):
        header, newest, oldest, more = shipway("models", *words).out.splitlines()
        assert header.split() == ["VERSION", "ALIASES", "FORMAT", "SIZE", "METRICS", "GATE", "LIVE", "AGE"]
        assert newest.split()[:2] == ["digits:2", "latest"] and oldest.split()[:2] == ["digits:1", "champion"]
        assert " web " in oldest and more == "... 9,950 older: --limit 0"
    assert shipway("models", "ls", "digits", "--limit", "-1").code == 2
    hub.routes[f"GET {DIGITS}/versions"] = page()
    assert shipway("models", "ls", "digits").out == "digits has no versions yet\n"
    assert shipway("models", "ls", "nobody").code == 3


def test_all_of_one_version(shipway: Shipway, hub: FakeHub) -> None:
    pushed = "reg.example/digits@" + DIGEST
    version = {**model(1).to_json()["status"]["versions"][0], "pushed": [pushed]}
    layer = {"name": "m.onnx", "size": 2048, "digest": DIGEST, "layer": DIGEST, "mediaType": "t"}
    manifests = {"digest": DIGEST, "mediaType": "t", "modelpack": "sha256:1", "images": {"linux/amd64": "sha256:2"}}
    signature = {"digest": DIGEST, "type": "application/vnd.dev.sigstore.bundle.v0.3+json"}
    hub.routes[f"GET {DIGITS}/versions/champion"] = {
        "version": version,
        "aliases": ["champion"],
        "live": [],
        "lineage": {"job": "digits", "components": {"code": "sha256:1"}, "lock": ["a==1", "b==2"], "run": ""},
        "contents": {**manifests, "files": [layer]},
        "referrers": [signature, {"digest": DIGEST, "type": "another"}],
        "ledger": [{"at": "2026-01-01T12:00:00Z", "reason": "Live", "message": "all traffic goes to digits-00001"}],
    }
    text = shipway("models", "show", "digits:champion").out
    lines = [line.split() for line in text.splitlines()]
    assert ["aliases", "champion"] in lines and ["pushed", pushed] in lines and ["signatures", "1"] in lines
    assert ["modelpack", "sha256:1"] in lines and ["image", "linux/amd64", "sha256:2"] in lines
    assert ["code", "sha256:1"] in lines and ["lock", "a==1,", "b==2"] in lines
    assert ["m.onnx", "2.05", "kB", DIGEST] in lines
    assert text.endswith("ledger\n2026-01-01T12:00:00Z  Live: all traffic goes to digits-00001\n")


def test_what_differs(shipway: Shipway, hub: FakeHub) -> None:
    found = VersionDiff(
        before="digits:1",
        after="digits:2",
        same_files=False,
        metrics=(
            MetricChange(name="accuracy", before=0.9, after=0.95, change=0.05, better=True),
            MetricChange(name="new", before=None, after=1.0),
        ),
        params=(ValueChange(name="C", before=1, after=None),),
        inputs=(ContentChange(name="train", before=DIGEST, after="", known=False),),
        code=ContentChange(
            name="source", before="a", after="b", changed=("train.py",), patch="--- a/train.py\n+C = 2\n"
        ),
        files=(ValueChange(name="m.onnx", before=10, after=25), ValueChange(name="x", before=None, after=1)),
        size=ValueChange(name="size", before=10, after=26),
    )
    hub.routes[f"GET {DIGITS}/versions/1/diff"] = sent(found)
    text = shipway("models", "diff", "digits:1", "2", "--patch").out
    assert text.startswith("digits:1 -> digits:2\n\nmetrics\n")
    lines = [line.split() for line in text.splitlines()]
    assert ["accuracy", "0.9", "0.95", "+0.05", "better"] in lines and ["new", "-", "1"] in lines
    assert ["C", "1", "->", "-"] in lines and ["source", "changed:", "train.py"] in lines
    assert ["train", "changed;", "not", "both", "are", "kept", "here", "any", "more"] in lines
    assert ["m.onnx", "10", "B", "->", "25", "B", "+15", "B"] in lines and ["x", "-", "->", "1", "B"] in lines
    assert text.endswith("--- a/train.py\n+C = 2\n")
    assert shipway("models", "diff", "digits:1", "digits:2", "-o", "json").json == sent(found)
    assert shipway("models", "diff", "digits", "2").code == 2, "which version of digits?"


def test_names(shipway: Shipway, hub: FakeHub) -> None:
    route = f"PUT {DIGITS}/aliases/prod"
    hub.routes[route] = {"model": "digits", "alias": "prod", "version": 3, "before": 2}
    told = shipway("models", "tag", "digits:3", "prod", "--why", "ready").out
    assert told == "prod is digits:3 now; it was digits:2\n"
    assert hub.sent(route) == [{"version": "3", "why": "ready", "force": False}]
    hub.routes[route] = {"model": "digits", "alias": "prod", "version": 3, "before": 3}
    assert shipway("models", "tag", "digits:3", "prod").out == "prod is digits:3 already\n"
    hub.routes[f"DELETE {DIGITS}/aliases/prod"] = {"model": "digits", "alias": "prod", "version": None, "before": 3}
    told = shipway("models", "tag", "digits", "--delete", "prod").out
    assert told == "digits has no alias prod any more; it named digits:3\n"


@pytest.mark.parametrize(
    "words",
    [
        ("tag", "digits:3"),
        ("tag", "digits", "prod"),
        ("tag", "digits:3", "prod", "--delete", "prod"),
        ("tag", "digits:3", "--delete", "prod"),
        ("rm", "digits", "--force"),
        ("rm",),
    ],
)
def test_words_that_say_too_little_or_too_much(shipway: Shipway, hub: FakeHub, words: tuple[str, ...]) -> None:
    assert shipway("models", *words).code == 2
    assert not [route for route, _ in hub.requests if not route.startswith("GET")]


def test_removals(shipway: Shipway, hub: FakeHub) -> None:
    gone = {"model": "digits", "version": 3, "digest": DIGEST, "pushed": ["reg/digits@x"], "aliases": ["prod"]}
    hub.routes[f"DELETE {DIGITS}/versions/3"] = gone
    told = "digits:3 is removed, and with it the name prod; it is still in reg/digits@x\n"
    assert shipway("models", "rm", "digits:3", "--force").out == told
    assert shipway("models", "rm", "digits:3", "-o", "json").json == gone
    hub.routes[f"DELETE {DIGITS}"] = {"model": "digits", "versions": 2}
    assert shipway("models", "rm", "digits").out == "digits is removed with 2 version(s)\n"


def test_the_shell_completes_names_and_versions(shipway: Shipway, hub: FakeHub) -> None:
    hub.routes["GET /v1/models"] = {"models": [sent(LINE)]}
    hub.routes[f"GET {DIGITS}/versions"] = page(1, 2)

    def completed(incomplete: str, *words: str) -> list[str]:
        found = ShellComplete(cli, {}, "shipway", "_SHIPWAY_COMPLETE").get_completions(list(words), incomplete)
        return [one.value for one in found]

    assert completed("d", "models", "show") == ["digits"] == completed("", "models", "history")
    assert completed("digits:", "models", "diff") == ["digits:latest", "digits:champion", "digits:2", "digits:1"]
    assert completed("digits:c", "models", "tag") == ["digits:champion"]
    del hub.routes["GET /v1/models"]
    assert completed("d", "models", "show") == [], "no hub, or one that does not know: nothing is offered"
