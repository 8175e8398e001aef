"""The doctor on a real home: with a hub, with one that was killed, and what leaves the machine in a report."""

from __future__ import annotations

import gzip
import json
import os
import signal

from tests.e2e.home import Home, Project, eventually

CARELESS = """
import os, time
print("the password is", os.environ["PASSWORD"], flush=True)
print("all of it", dict(os.environ), flush=True)
print("harmless", flush=True)
"""
YAML = """
apiVersion: shipway.dev/v1alpha1
kind: ModelJob
metadata: {name: careless}
spec:
  command: [python, train.py]
  env:
    PASSWORD: {secret: {name: db, key: password}}
    PLAIN_TOKEN: plain-value-of-env
"""
STORED = "hunter2 & more"


def states(home: Home) -> dict[str, str]:
    done = home.shipway("doctor", "-o", "json")
    lines = json.loads(done.stdout)["lines"]
    return {one["topic"]: one["state"] for one in lines}


def test_a_report_of_a_home_whose_hub_was_killed_has_logs_and_no_secret(home: Home) -> None:
    home.ok("secret", "set", "db", "password", stdin=STORED)
    project = Project.of(home.projects / "careless", train_py=CARELESS, shipway_yaml=YAML)
    home.ok("up", project.folder)
    assert "missing" not in states(home).values()
    hub = home.hub_pid()
    os.kill(hub, signal.SIGKILL)
    eventually(lambda: not home.processes("hub"), what="the hub is gone")
    before = home.path.stat().st_mtime_ns
    assert states(home)["hub"] == "ok"
    file = home.projects / "report.tar.gz"
    proxy = {"https_proxy": "http://ada:proxy-password@proxy:1"}
    done = home.shipway("doctor", "--bundle", file, env=proxy)
    assert done.returncode == 0, done.stderr
    assert not home.processes("hub"), "it starts no hub"
    assert home.path.stat().st_mtime_ns == before, "it makes no file in the home"
    data = gzip.decompress(file.read_bytes()).decode(errors="replace")
    assert "harmless" in data
    assert [one for one in (STORED, "hunter2", "plain-value-of-env", "proxy-password") if one in data] == []
