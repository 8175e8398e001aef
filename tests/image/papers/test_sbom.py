"""The bill of materials: what is in it, and that others read it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from shipway.image.bases import Base
from shipway.image.layer import Layer, PackageFacts
from shipway.image.papers.sbom import cyclonedx
from shipway.image.papers.system import System, SystemPackage
from shipway.oci import Descriptor, Digest
from shipway.oci.manifest import MANIFEST_TYPE
from tests.image.papers.images import AMD64, FLASK, LAYER_TYPE, PYTHON, WERKZEUG

IMAGE = Descriptor(MANIFEST_TYPE, Digest("sha256:" + "1" * 64), 7)
DEBIAN = System("debian", "12", (SystemPackage("libc6", "2.36-9+deb12u7", "amd64", "glibc"),))
FLASK_PURL = "pkg:pypi/flask@3.1.3?file_name=flask-3.1.3-py3-none-any.whl"
WERKZEUG_PURL = "pkg:pypi/werkzeug@3.1.0?file_name=werkzeug-3.1.0-py3-none-any.whl"
LIBC_PURL = "pkg:deb/debian/libc6@2.36-9%2Bdeb12u7?arch=amd64&distro=debian-12&upstream=glibc"


def blob(digit: str) -> Descriptor:
    return Descriptor(LAYER_TYPE, Digest(f"sha256:{digit * 64}"), 7)


def layer(*facts: PackageFacts) -> Layer:
    return Layer(blob("7"), Digest("sha256:" + "8" * 64), "packages", facts)


BASE = Base("docker.io/library/python:3.11-slim", blob("6"), AMD64, {}, (blob("5"),), PYTHON)


def whole() -> bytes:
    layers = (layer(FLASK, WERKZEUG), layer())
    return cyclonedx("digits", IMAGE, BASE, layers, asked=("flask==3.1.3",), system=DEBIAN)


def needs(*facts: PackageFacts, asked: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Who needs whom, by name; under "image" what is needed directly."""
    made = json.loads(cyclonedx("digits", IMAGE, BASE, [layer(*facts)], asked=asked, body=False))
    names = {one["bom-ref"]: one["name"] for one in made["components"]}
    names[made["metadata"]["component"]["bom-ref"]] = "image"
    return {names[one["ref"]]: [names[ref] for ref in one.get("dependsOn", ())] for one in made["dependencies"]}


def wheel(name: str, *requires: str) -> PackageFacts:
    return PackageFacts(name, "1.0", f"{name}-1.0-py3-none-any.whl", "c" * 64, requires=requires)


def test_every_wheel_the_base_its_packages_and_shipway_are_components() -> None:
    made = json.loads(whole())
    components = {one["name"]: one for one in made["components"]}
    assert components.keys() == {"docker.io/library/python:3.11-slim", "shipway", "Flask", "Werkzeug", "libc6"}
    flask, base = components["Flask"], components["docker.io/library/python:3.11-slim"]
    assert flask["purl"] == FLASK_PURL
    assert flask["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert flask["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert components["Werkzeug"]["licenses"] == [{"license": {"name": "BSD License"}}]
    assert base["version"] == BASE.manifest.digest
    assert base["purl"].endswith("?repository_url=docker.io/library/python")
    assert components["libc6"]["purl"] == LIBC_PURL


def test_the_graph_goes_from_the_image_over_what_was_asked_for() -> None:
    graph = {one["ref"]: one.get("dependsOn", []) for one in json.loads(whole())["dependencies"]}
    image = f"pkg:oci/digits@sha256:{'1' * 64}"
    base = next(one for one in graph if one.startswith("pkg:oci/python@"))
    assert graph[image] == [base, FLASK_PURL, "pkg:pypi/shipway@0.1.0"]
    assert (graph[FLASK_PURL], graph[base]) == ([WERKZEUG_PURL], [LIBC_PURL])


def test_a_marker_of_another_platform_needs_nothing() -> None:
    asks = wheel("a", 'b; sys_platform == "win32"', 'c; python_version >= "3.8"')
    assert needs(asks, wheel("b"), wheel("c"))["a"] == ["c"]


def test_an_extra_counts_where_somebody_asks_for_it() -> None:
    facts = (wheel("a", "b[fast]"), wheel("b", 'c; extra == "fast"', 'd; extra == "slow"'), wheel("c"), wheel("d"))
    assert needs(*facts)["b"] == ["c"]
    assert needs(*facts, asked=("b[slow]",))["b"] == ["c", "d"]
    assert needs(*facts, asked=("a",))["image"] == ["docker.io/library/python:3.11-slim", "a"]


def test_equal_images_have_equal_documents_without_a_time() -> None:
    assert whole() == whole()
    assert b"timestamp" not in whole()
    other = cyclonedx("digits", replace(IMAGE, digest=Digest("sha256:" + "2" * 64)), BASE, ())
    assert json.loads(other)["serialNumber"] != json.loads(whole())["serialNumber"]


@pytest.mark.parametrize("name", ["oci:/home/alice/bases:3.11", "tar:/home/alice/base.tar"])
def test_a_path_of_somebodys_machine_is_no_package_url(name: str) -> None:
    made = json.loads(cyclonedx("digits", IMAGE, replace(BASE, name=name), ()))
    assert made["components"][0]["purl"].startswith("pkg:oci/base@sha256:")


def test_a_licence_that_is_a_text_is_its_first_line() -> None:
    fact = replace(FLASK, licence="\n  Copyright 1999 Somebody " + "x" * 300 + "\nAll rights reserved")
    made = json.loads(cyclonedx("digits", IMAGE, BASE, [layer(fact)]))
    [flask] = [one for one in made["components"] if one["name"] == "Flask"]
    assert flask["licenses"][0]["license"]["name"] == ("Copyright 1999 Somebody " + "x" * 300)[:200]


@pytest.mark.extras
@pytest.mark.slow
def test_the_official_schema_takes_it_and_cyclonedx_reads_it() -> None:
    models, schema = pytest.importorskip("cyclonedx.model.bom"), pytest.importorskip("cyclonedx.schema")
    validation = pytest.importorskip("cyclonedx.validation.json")
    data = whole()
    assert validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(data.decode()) is None
    bom = models.Bom.from_json(json.loads(data))
    assert {one.name for one in bom.components} >= {"Flask", "Werkzeug", "libc6", "shipway"}
    assert {str(one.purl) for one in bom.components} == {one["purl"] for one in json.loads(data)["components"]}
