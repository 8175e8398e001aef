"""Requests to services through the gateway: which path, which body, and a curl line that works when pasted."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shipway.client import Answer, call
from shipway.deploy.documents import Object
from shipway.errors import EnvironmentFault, WorkloadFailed

_LONGEST_SAMPLE = 300  # values in a body that is made up of zeros: more does not fit into a line to paste
_ZERO = {"BOOL": False, "BYTES": ""}
_JSON_HEADER = "content-type: application/json"


def checked(service: Object, answer: Answer) -> Answer:
    """The answer. Raises WorkloadFailed with what the server said of an error."""
    if not 200 <= answer.status < 300:
        raise WorkloadFailed(f"{service['metadata']['name']} answered {answer.status}: {_reason(answer)}")
    return answer


def path_for(service: Object, body: bytes) -> str:
    """Where a body goes: the Open Inference Protocol's infer for a model and a body with ``inputs``, else /predict."""
    is_model = bool(service["spec"].get("model"))
    return f"/v2/models/{service['metadata']['name']}/infer" if is_model and is_protocol(body) else "/predict"


def is_protocol(body: bytes) -> bool:
    """Whether the body is an inference request of the protocol: an object with a list ``inputs``."""
    try:
        document = json.loads(body)
    except ValueError:
        return False
    return isinstance(document, dict) and isinstance(document.get("inputs"), list)


def zeros(metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """A small body of the declared shapes and types, or None where it would not be small."""
    inputs = []
    for tensor in metadata.get("inputs", ()):
        shape = [max(1, size) for size in tensor["shape"]]
        count = math.prod(shape)
        if count > _LONGEST_SAMPLE:
            return None
        value = _ZERO.get(tensor["datatype"], 0)
        inputs.append({"name": tensor["name"], "shape": shape, "datatype": tensor["datatype"], "data": [value] * count})
    return {"inputs": inputs} if inputs else None


def example(service: Object, sample: Path | None) -> str:
    """A line to paste for a service that is up: curl to its url; where it has none, `predict` finds a way."""
    if service["status"].get("url"):
        return curl(service, sample)
    name = service["metadata"]["name"]
    if sample is not None and sample.is_file():
        return f"shipway predict {name} --file {shlex.quote(str(sample))}"
    return f"shipway port-forward {name}"


def curl(service: Object, sample: Path | None) -> str:
    """A curl line for a service that has a url; with the project's ``sample.json`` where there is one."""
    url = service["status"]["url"].rstrip("/")
    if sample is not None and sample.is_file():
        path = path_for(service, sample.read_bytes())
        return f"curl -s {url}{path} -H '{_JSON_HEADER}' -d @{shlex.quote(str(sample))}"
    if not service["spec"].get("model"):
        return f"curl -s {url}/"
    model = f"{url}/v2/models/{service['metadata']['name']}"
    body = _sample_of(model)
    if body is None:
        return f"curl -s {model}"
    text = json.dumps(body, separators=(",", ":"))
    return f"curl -s {model}/infer -H '{_JSON_HEADER}' -d {shlex.quote(text)}"


def _sample_of(model: str) -> dict[str, Any] | None:
    try:
        answer = call("GET", model, timeout=5.0)
        return zeros(json.loads(answer.text)) if answer.status == 200 else None
    except (EnvironmentFault, ValueError, KeyError, TypeError):
        return None  # the line to paste is a courtesy: the metadata of an odd server must not fail an up


def _reason(answer: Answer) -> str:
    """The ``error`` of a JSON answer, as the Open Inference Protocol has it; else the text."""
    try:
        return str(json.loads(answer.text)["error"])
    except (ValueError, KeyError, TypeError):
        return answer.text.strip()
