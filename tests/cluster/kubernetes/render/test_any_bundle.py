"""Whatever is asked for: restricted, stable to the byte, with labels that Kubernetes takes, and selectors for ever."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.bundle import Bundle
from shipway.cluster.kubernetes.render import render
from shipway.cluster.kubernetes.render.labels import APP
from shipway.cluster.kubernetes.render.text import yaml_of
from shipway.kinds import Exposure, Resources, Scaling, Volume
from tests.cluster.kubernetes.render.bundles import COURIERS, PLACE, model_server, own_server, terms
from tests.cluster.kubernetes.render.restricted import templates, violations

_NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,42}[a-z0-9])?", fullmatch=True)
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_RECOMMENDED = {f"{APP}/{one}" for one in ("name", "instance", "component", "part-of", "managed-by")}
_VOLUMES = (
    Volume(name="data", path="/data", size="1Gi", access_mode="ReadWriteMany"),
    Volume(name="files", path="/files", files={"a.txt": "text"}),
    Volume(name="tmp", path="/tmp", scratch="1Gi"),
    Volume(name="secret", path="/secret", secret="made-by-hand"),
)


@st.composite
def _bundles(draw: st.DrawFn) -> Bundle:
    name = draw(_NAMES)
    make = draw(st.sampled_from((model_server, own_server)))
    workload = make(
        name,
        replicas=draw(st.integers(0, 9)),
        env=draw(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,9}", fullmatch=True), st.text(max_size=20))),
        grace_period=draw(st.floats(0, 1000)),
        grpc=draw(st.booleans()),
    )
    asked = terms(
        name,
        port=draw(st.integers(1, 65534)),
        volumes=tuple(draw(st.lists(st.sampled_from(_VOLUMES), unique_by=lambda one: one.name))),
        stable_identity=draw(st.booleans()),
        resources=Resources(cpu="1", gpu=draw(st.integers(0, 8))),
        scaling=draw(st.sampled_from((None, Scaling(max_replicas=3)))),
        exposure=Exposure(service=draw(st.sampled_from(("ClusterIP", "NodePort", "LoadBalancer")))),
    )
    return Bundle(workload, asked)


@pytest.mark.slow
@given(_bundles(), st.sampled_from((PLACE, COURIERS)))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_every_bundle(bundle: Bundle, place: Any) -> None:
    manifests = render(bundle, place)
    (template,) = templates(manifests)
    assert violations(template["spec"]) == []
    assert json.dumps(manifests) == json.dumps(render(bundle, place))  # in this order of fields, too
    for metadata in (template["metadata"], *(one["metadata"] for one in manifests)):
        assert metadata["labels"].keys() >= {*_RECOMMENDED, "shipway.dev/owner", "shipway.dev/name"}
        assert all(_VALUE.fullmatch(value) for value in metadata["labels"].values())
    keys = [(one["apiVersion"], one["kind"], one["metadata"]["name"]) for one in manifests]
    assert len(set(keys)) == len(keys)


@given(st.text())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_any_text_comes_back_from_yaml(text: str) -> None:
    assert list(yaml.safe_load_all(yaml_of([{"value": text}]))) == [{"value": text}]


@pytest.mark.slow
@given(_bundles())
@settings(max_examples=15, deadline=None, derandomize=True)
def test_a_selector_never_changes(bundle: Bundle) -> None:
    owner = replace(bundle.terms.owner, revision="another-00042", labels={"team": "other"}, uid="another")
    other = Bundle(
        replace(bundle.workload, env={"NEW": "1"}, replicas=3), replace(bundle.terms, owner=owner, image="other:1")
    )
    before, after = render(bundle, PLACE), render(other, replace(PLACE, owner="ffffffffffff"))
    assert _for_ever(before) == _for_ever(after)
    (template,) = templates(before)
    assert template["metadata"]["labels"].items() >= _for_ever(before)["selector"]["matchLabels"].items()


def _for_ever(manifests: Any) -> dict[str, Any]:
    """The fields of a Deployment or a StatefulSet that Kubernetes never lets anybody change."""
    (spec,) = [one["spec"] for one in manifests if one["kind"] in ("Deployment", "StatefulSet")]
    names = ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates")
    return {name: spec.get(name) for name in names}
