"""shipway build without packages: what becomes of a folder, from its shipway.yaml to the image and its names."""

from __future__ import annotations

import asyncio
import json
import tarfile
from pathlib import Path

import pytest

from shipway.building.asked import Goals
from shipway.building.told import told
from shipway.errors import Corrupt, NotFound, Refused, RegistryRefused, UserError
from shipway.image.view import View
from shipway.oci import Descriptor, Layout
from shipway.oci.pushed import pushed
from shipway.oci.reference import Reference
from shipway.oci.registry import Anonymous, Registry
from shipway.testing.registry import FakeRegistry, Reply
from tests.building.conftest import AMD64, ARM64, SERVICE, Builds
from tests.image import made_base


def test_an_image_runs_the_services_command_as_a_user_of_its_own(builds: Builds) -> None:
    outcome = builds.one(builds.project())
    config = builds.config(outcome)
    said = config["config"]
    assert said["Entrypoint"] == ["/opt/venv/bin/python", "-m", "echo", "--port", "9000"]
    assert "Cmd" not in said  # the base's argument was for the base's program
    assert said["User"] == "10001:10001"
    assert said["WorkingDir"] == "/app"
    assert said["StopSignal"] == "SIGTERM"
    assert said["ExposedPorts"] == {"9000/tcp": {}}
    env = dict(one.split("=", 1) for one in said["Env"])
    assert env["PATH"] == "/opt/venv/bin:/usr/local/bin:/usr/bin:/bin"
    assert env["PORT"] == "9000"
    assert env["HOST"] == "0.0.0.0"
    assert said["Labels"]["org.opencontainers.image.title"] == "echo"
    assert said["Labels"]["org.opencontainers.image.base.name"] == "", "it is a path"
    assert config["created"] == "1970-01-01T00:00:00Z"


def test_nothing_that_is_pushed_names_a_path_of_this_machine(builds: Builds) -> None:
    builds.one(builds.project())
    layout = builds.layout
    every = {digest: layout.read_blob(Descriptor("", digest, size)) for digest, size in layout.blobs.all()}
    assert any(b"CycloneDX" in one for one in every.values()), "the papers are among them"
    assert [digest for digest, one in every.items() if str(builds.root).encode() in one] == []


def test_its_files_are_the_bases_the_environments_and_the_folders(builds: Builds) -> None:
    outcome = builds.one(builds.project())
    manifest = builds.layout.read_manifest(outcome.image.descriptor)
    view = View(builds.layout, manifest.layers)
    assert view.read("app/echo.py", 100) == b"print('hello')\n"
    assert view.find("app/shipway.yaml") is None
    assert view.stat("opt/venv/bin/python").path == "usr/local/bin/python3.11"
    assert b"shipway:x:10001:10001" in view.read("etc/passwd", 4096)
    assert [one.created_by for one in outcome.image.platforms[0].layers] == [
        "user 10001",
        "virtual environment",
        "code: 1 file, 15 B",
    ]


def test_the_name_in_the_layout_stands_for_the_image(builds: Builds) -> None:
    outcome = builds.one(builds.project(), goals=Goals(tags=("v1", "latest")))
    assert outcome.names == ("echo:v1", "echo:latest")
    for tag in ("image/echo:v1", "image/echo:latest"):
        assert builds.layout.resolve(tag).digest == outcome.image.descriptor.digest
    assert outcome.places == tuple(f"oci:{builds.where.oci}:image/echo:{tag}" for tag in ("v1", "latest"))
    assert builds.config(outcome)["config"]["Labels"]["org.opencontainers.image.version"] == "v1"


def test_the_same_again_is_the_same_image_and_asks_for_nothing(builds: Builds) -> None:
    folder = builds.project()
    first, second = builds.one(folder), builds.one(folder)
    assert first.image.descriptor == second.image.descriptor
    assert {one["cached"] for one in told(second)["platforms"][0]["layers"]} == {True}


def test_a_change_of_code_changes_the_codes_layer_only(builds: Builds) -> None:
    folder = builds.project()
    first = builds.one(folder)
    (folder / "echo.py").write_text("print('changed')\n")
    second = builds.one(folder)
    assert first.image.descriptor != second.image.descriptor
    states = [one["cached"] for one in told(second)["platforms"][0]["layers"]]
    assert states == [True, True, False]


def test_two_platforms_are_one_index(builds: Builds) -> None:
    outcome = builds.one(builds.project(), platforms=(AMD64, ARM64))
    index = builds.layout.read_index(outcome.image.descriptor)
    assert [one.extra["platform"] for one in index.manifests] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux"},
    ]
    assert [builds.config(outcome, one)["architecture"] for one in (0, 1)] == ["amd64", "arm64"]
    assert "linux/arm64" in (outcome.lock).read_text()


def test_a_bill_and_a_record_lie_beside_each_platform(builds: Builds) -> None:
    outcome = builds.one(builds.project(), platforms=(AMD64, ARM64))
    for built in outcome.image.platforms:
        kinds = [one.artifact_type for one in builds.layout.referrers(built.descriptor.digest)]
        assert sorted(map(str, kinds)) == ["application/vnd.cyclonedx+json", "application/vnd.in-toto+json"]


def test_the_lock_holds_the_base(builds: Builds) -> None:
    folder = builds.project()
    first = builds.one(folder)
    base = told(first)["base"]["digest"]
    assert base in first.lock.read_text()
    again = builds.one(folder, base="", mode="locked")  # the base's name is the lock's, too
    assert again.image.descriptor == first.image.descriptor


def test_locked_refuses_what_would_change_the_lock(builds: Builds) -> None:
    folder = builds.project()
    with pytest.raises(Refused, match="would change for linux/amd64: there is none yet"):
        builds.one(folder, mode="locked")
    builds.one(folder)
    before = (folder / "pylock.echo.toml").read_text()
    (folder / "requirements.txt").write_text("greeter\n")
    with pytest.raises(Refused, match="greeter"):
        builds.one(folder, mode="locked")
    assert (folder / "pylock.echo.toml").read_text() == before


def test_the_lock_is_not_in_the_image(builds: Builds) -> None:
    folder = builds.project()
    first = builds.one(folder)
    assert first.lock.name == "pylock.echo.toml" and first.lock.is_file()
    assert builds.one(folder).image.descriptor == first.image.descriptor


def test_secrets_stay_out(builds: Builds) -> None:
    yaml = SERVICE + "  env:\n    GREETING: hi $(PORT)\n    TOKEN: {secret: {name: hub, key: token}}\n"
    outcome = builds.one(builds.project(shipway_yaml=yaml, echo_py="x = 1\n"))
    env = dict(one.split("=", 1) for one in builds.config(outcome)["config"]["Env"])
    assert env["GREETING"] == "hi 9000"
    assert "TOKEN" not in env
    assert any("TOKEN is left out" in note for note in outcome.planned.notes)


def test_a_key_in_the_folder_is_refused_with_its_line(builds: Builds) -> None:
    key = "\n".join(
        [
            "-----BEGIN " + "PRIVATE KEY-----",
            "MC4CAQAwBQYDK2VwBCIEIFhhaGFoYWhhaGFoYWhhaGFoYWhhaGFoYWhh",
            "-----END PRIVATE KEY-----",
        ]
    )
    folder = builds.project(echo_py="x = 1\n", deploy_pem=key)
    with pytest.raises(Refused, match=r"deploy\.pem"):
        builds.one(folder)
    assert builds.one(folder, allow=("deploy.pem",)).names == ("echo:latest",)


def test_a_file_of_5_gb_is_told_before_anything_is_packed(builds: Builds) -> None:
    folder = builds.project()
    with (folder / "data.bin").open("wb") as sparse:
        sparse.truncate(5 << 30)
    with pytest.raises(Refused, match=r"data.bin: 5.37 GB"):
        builds.one(folder)
    assert not builds.told  # not even the base was looked for


def test_a_folder_without_shipway_yaml_is_built_as_init_would_write_it(builds: Builds) -> None:
    folder = builds.root / "My App"
    folder.mkdir()
    (folder / "app.py").write_text("import os\nprint(os.environ['PORT'])\n")
    outcome = builds.one(folder)
    assert outcome.names == ("my-app:latest",)
    assert builds.config(outcome)["config"]["Entrypoint"] == ["/opt/venv/bin/python", "app.py"]
    assert not (folder / "shipway.yaml").exists()


def test_a_folder_with_nothing_says_what_to_do(builds: Builds) -> None:
    folder = builds.root / "empty"
    folder.mkdir()
    with pytest.raises(UserError, match="nothing here that could be served") as error:
        builds.one(folder)
    assert "app.py" in error.value.next_step


def test_a_folder_that_is_not_there(builds: Builds) -> None:
    with pytest.raises(NotFound):
        builds.one(builds.root / "nowhere")


def test_pushed_to_a_registry_with_what_lies_beside_it(builds: Builds) -> None:
    folder = builds.project()
    with FakeRegistry() as registry:
        outcome = builds.one(folder, goals=Goals(push=f"{registry.host}/team/echo"))
        digest = outcome.image.descriptor.digest
        assert outcome.places[-1] == f"{registry.host}/team/echo:latest@{digest}"
        assert told(outcome)["run"].endswith(outcome.places[-1])
        assert pushed(builds.layout.tags()["image/echo:latest"]) == (outcome.places[-1],)
        before = len(registry.requests())
        (folder / "echo.py").write_text("print('changed')\n")
        changed = builds.one(folder, goals=Goals(push=f"{registry.host}/team/echo"))
        code = str(changed.image.platforms[0].layers[-1].descriptor.digest)
        asked = [one for one in registry.requests()[before:] if one.method == "HEAD" and one.status == 404]
        layers = {str(one.descriptor.digest) for one in changed.image.platforms[0].layers}
        assert {one.path.rpartition("/")[2] for one in asked} & layers == {code}  # the code's layer alone is missing


def test_the_registry_of_the_environment(builds: Builds) -> None:
    with pytest.raises(UserError, match="SHIPWAY_REGISTRY is not set"):
        builds.one(builds.project(), goals=Goals(push=""))


def test_a_registry_that_goes_away(builds: Builds) -> None:
    folder = builds.project()
    with FakeRegistry() as registry:
        registry.fail(Reply(403), method="PUT", path="*/manifests/*")
        with pytest.raises(RegistryRefused):
            builds.one(folder, goals=Goals(push=f"{registry.host}/team/echo"))
    # What was built is here, and has its name.
    assert builds.layout.tags()["image/echo:latest"]


def test_the_home_is_closed_to_others(builds: Builds) -> None:
    builds.one(builds.project())
    folders = [path for path in (builds.where.home, *builds.where.cache.rglob("*")) if path.is_dir()]
    assert {path: oct(path.stat().st_mode & 0o077) for path in folders} == dict.fromkeys(folders, "0o0")


def test_an_archive(builds: Builds) -> None:
    path = builds.root / "echo.tar"
    outcome = builds.one(builds.project(), goals=Goals(archive=path))
    assert outcome.places[-1] == f"oci-archive:{path}"
    with tarfile.open(path) as tar:
        assert f"blobs/sha256/{outcome.image.descriptor.digest.hex}" in tar.getnames()
    first = path.read_bytes()
    builds.one(builds.project(), goals=Goals(archive=path))
    assert path.read_bytes() == first
    with pytest.raises(UserError, match="there is no folder"):
        builds.one(builds.project(), goals=Goals(archive=builds.root / "no" / "echo.tar"))


@pytest.mark.parametrize("goals", [Goals(push="host/echo"), Goals(archive=Path("x.tar"))])
def test_one_place_for_two_images_is_refused(builds: Builds, goals: Goals) -> None:
    two = SERVICE + "---\n" + SERVICE.replace("echo", "other").replace("9000", "9001")
    folder = builds.project(shipway_yaml=two, echo_py="", other_py="")
    with pytest.raises(UserError, match="2 images: echo, other"):
        builds.build(folder, goals=goals)
    assert [one.names for one in builds.build(folder, only=("service/other",))] == [("other:latest",)]
    with pytest.raises(NotFound, match="no such workload") as error:
        builds.build(folder, only=("service/third",))
    assert "service/echo, service/other" in error.value.next_step


def test_a_base_without_python_is_refused(builds: Builds) -> None:
    with pytest.raises((UserError, Refused), match=r"[Pp]ython"):
        builds.one(builds.project(), base=f"oci:{_without_python(builds)}:bare")


def _without_python(builds: Builds) -> Path:
    layout = Layout(builds.root / "bare")
    made_base.image(layout, AMD64, {"etc/os-release": "ID=bare\n"}, tag="bare")
    return builds.root / "bare"


def test_a_damaged_layer_is_found_when_it_is_read(builds: Builds) -> None:
    outcome = builds.one(builds.project())
    layer = outcome.image.platforms[0].layers[-1].descriptor
    builds.layout.blob_path(layer.digest).write_bytes(b"x" * layer.size)
    with pytest.raises(Corrupt):
        builds.layout.read_blob(layer)
    builds.one(builds.project())
    builds.layout.read_blob(layer)  # mended: it was written again


def test_ports_and_models_must_fit(builds: Builds) -> None:
    with pytest.raises(NotFound, match="this home has no such version"):
        builds.one(builds.project(), models=("digits:3",))


def test_a_damaged_image_does_not_stand_in_the_way_of_the_next(builds: Builds) -> None:
    folder = builds.project()
    first = builds.one(folder)
    builds.layout.blob_path(first.image.descriptor.digest).write_bytes(b"{}")
    (folder / "echo.py").write_text("print('changed')\n")
    assert builds.one(folder).image.descriptor != first.image.descriptor


def test_a_rebuild_asks_no_registry(builds: Builds) -> None:
    async def push_base(host: str) -> None:
        layout = Layout(builds.root / "base")
        async with Registry(Anonymous()) as client:
            await client.push(layout, layout.resolve("made-up"), Reference.parse(f"{host}/base:1"))

    folder = builds.project()
    with FakeRegistry() as registry:
        asyncio.run(push_base(registry.host))
        base = f"{registry.host}/base:1"
        first = builds.one(folder, base=base)
        assert told(first)["base"]["name"] == base
    # Nobody listens any more.
    (folder / "echo.py").write_text("print('changed')\n")
    again = builds.one(folder, base="")
    assert told(again)["base"] == told(first)["base"]


def test_the_record_names_what_went_in(builds: Builds) -> None:
    outcome = builds.one(builds.project())
    [built] = outcome.image.platforms
    record = next(one for one in built.referrers if one.artifact_type == "application/vnd.in-toto+json")
    [layer] = builds.layout.read_manifest(record).layers
    definition = json.loads(builds.layout.read_blob(layer))["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["platform"] == "linux/amd64"
    named = {one["name"]: one["digest"]["sha256"] for one in definition["resolvedDependencies"]}
    assert named == {
        "base": told(outcome)["base"]["digest"].removeprefix("sha256:"),
        "code: 1 file, 15 B": built.layers[-1].diff_id.hex,
    }
