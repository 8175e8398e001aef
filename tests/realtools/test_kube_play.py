"""The Pod that a service is rendered to, run by podman from the same YAML that Kubernetes gets.

podman 4.3 makes no Pod of a Deployment's own name, expands no ``$(NAME)`` in a command, and knows neither image volumes
nor native sidecars: ``_for_podman`` does the first two, and the service has no model. All else is as rendered.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from shipway.bundle import Bundle, HttpProbe, Owner, Terms, Workload
from shipway.cluster.kubernetes.place import Place
from shipway.cluster.kubernetes.render import render
from shipway.cluster.kubernetes.render.text import yaml_of
from shipway.kinds import Resources, Volume
from tests.realtools.images import Images
from tests.realtools.podman import PATIENCE, Container, Podman

CGROUPS = Path("/sys/fs/cgroup")
ASK = """
import json, os, urllib.request
with urllib.request.urlopen(urllib.request.Request(
    "http://127.0.0.1:8080/predict", b'{"input": [1, 2, 3]}', {"Content-Type": "application/json"})) as said:
    answer = json.load(said)
print(json.dumps({"answer": answer, "user": os.getuid(), "file": open("/etc/app/a.txt").read(),
    "sealed": bool(os.statvfs("/").f_flag & os.ST_RDONLY)}))
"""


def _rendered() -> list[Any]:
    command = ("flask", "--app", "app", "run", "--host", "$(HOST)", "--port", "$(PORT)")
    workload = Workload(
        "flask-app", "server", command, serves=True, startup=HttpProbe("/", failure_threshold=60), grace_period=5.0
    )
    terms = Terms(
        owner=Owner("ModelService", "flask-app"),
        image="localhost/flask-app:1",
        resources=Resources(cpu="1", memory="256Mi"),
        volumes=(Volume(name="config", path="/etc/app", files={"a.txt": "from a ConfigMap"}, read_only=True),),
    )
    return json.loads(json.dumps(render(Bundle(workload, terms), Place(namespace="", owner=""))))  # type: ignore[no-any-return]


def _for_podman(manifests: list[Any]) -> list[Any]:
    """The ConfigMaps, and the Pod that a Deployment would make."""
    (template,) = [one["spec"]["template"] for one in manifests if one["kind"] == "Deployment"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"]["name"] = "flask-app"
    (main,) = pod["spec"]["containers"]
    values = {f"$({one['name']})": one.get("value") for one in main["env"]}
    main["command"] = [values.get(word, word) for word in main["command"]]
    return [*(one for one in manifests if one["kind"] == "ConfigMap"), pod]


@pytest.fixture(scope="module")
def serving(images: Images, podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    podman.load(images.oci, images.flask())
    file = tmp_path_factory.mktemp("kube") / "pod.yaml"
    file.write_text(yaml_of(_for_podman(_rendered())))
    podman.sandbox.run("podman", "kube", "play", file)
    try:
        yield Container(podman.sandbox, "flask-app-main", 8080)
    finally:
        podman.sandbox.run("podman", "kube", "down", file)
        _remove_groups()


def _remove_groups() -> None:
    """podman puts Pods here, whatever group it is told. Those that have a process stay."""
    for root in (*CGROUPS.glob("libpod_parent"), *CGROUPS.glob("*/libpod_parent")):
        for group in (*sorted(root.rglob("*/"), reverse=True), root):
            with suppress(OSError):
                group.rmdir()


def test_podman_runs_the_pod_that_is_rendered(serving: Container) -> None:
    give_up = time.monotonic() + PATIENCE
    while (done := serving.execute("/usr/bin/python3", "-c", ASK)).returncode:
        assert time.monotonic() < give_up, done.stderr + serving.logs()
        time.sleep(0.1)
    said = json.loads(done.stdout)
    assert said["answer"] == {"output": [3, 5, 7]}
    assert (said["user"], said["file"], said["sealed"]) == (10001, "from a ConfigMap", True)
