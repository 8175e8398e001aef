"""What a replica or a run is as a program: its command, its variables, its packages. Pure.

Clusters get it in a Workload, images in their config: both run the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from shipway.bundle import Environment
from shipway.kinds import EnvVars, FromSecret, ModelJob, ResolvedModel, RevisionTemplate

_REFERENCE = re.compile(r"\$\$|\$\(([^()]*)\)")

MODEL_SERVER = ("python", "-m", "shipway.runtime.server")


@dataclass(frozen=True, slots=True)
class Program:
    """``command`` and the values of ``env`` may hold ``$(NAME)``, as in Kubernetes. ``secret_env`` names secrets."""

    command: tuple[str, ...]
    env: Mapping[str, str]
    secret_env: Mapping[str, tuple[str, str]]  # variable -> (secret, key)
    environment: Environment

    def expanded(self, known: Mapping[str, str]) -> Self:
        """The program with references resolved: to ``known`` variables and, in order, to its own plain ones. What is
        known only where it runs stays as written. (A supervisor does the same by itself: it imports nothing of ours.)
        """
        variables = {name: value for name, value in known.items() if name not in self.env}
        for name, value in self.env.items():
            variables[name] = _expanded(value, {**known, **variables})
        command = tuple(_expanded(word, variables) for word in self.command)
        return replace(self, command=command, env={name: variables[name] for name in self.env})


def of_job(job: ModelJob) -> Program:
    """What a run of the job starts."""
    spec = job.spec
    plain, secret = _split(spec.env)
    optimizes = spec.optimize != "none"
    return Program(
        command=spec.command,
        env={
            **plain,
            "SHIPWAY_PARAMS": json.dumps(spec.params, sort_keys=True),
            **({"SHIPWAY_OPTIMIZE": spec.optimize} if optimizes else {}),
        },
        secret_env=secret,
        environment=Environment(_lines(spec.requirements), features=("optimize",) if optimizes else ()),
    )


def of_service(service: str, template: RevisionTemplate, model: ResolvedModel | None) -> Program:
    """What a replica of the service starts: the user's own command, else the entrypoint of an image that it names
    (no command), else the model server. ``model``: None where the service has none, or where no version is known yet;
    then what depends on the version is left out."""
    plain, secret = _split(template.env)
    serves = not template.command and (model is not None or not template.image)
    if serves:
        plain |= _of_server(service, template, model)
    return Program(
        command=MODEL_SERVER if serves else template.command,
        env=plain,
        secret_env=secret,
        environment=Environment(
            _lines(template.requirements),
            runtime=serves,
            features=_features(template, model) if serves else (),
        ),
    )


def for_any_version(serves: Program) -> Program:
    """The same, with what a version may need that is not known yet: onnxruntime, unless the user names one."""
    environment = serves.environment
    named = any(line.lower().startswith("onnxruntime") for line in environment.requirements)
    if named or "onnx" in environment.features:
        return serves
    return replace(serves, environment=replace(environment, features=("onnx", *environment.features)))


def _of_server(service: str, template: RevisionTemplate, model: ResolvedModel | None) -> dict[str, str]:
    """The model server's variables (docs/contract.md)."""
    made_here = model is not None and (model.trusted or model.origin == "job")
    found = {"SHIPWAY_MODEL_NAME": service}
    if model is not None:
        found["SHIPWAY_MODEL_VERSION"] = str(model.version)
    found["SHIPWAY_ALLOW_PICKLE"] = "1" if template.allow_pickle or made_here else "0"
    if template.predictor:
        found["SHIPWAY_PREDICTOR"] = template.predictor
    if server := template.server.to_environment():
        found["SHIPWAY_SERVER"] = server
    return found


def _features(template: RevisionTemplate, model: ResolvedModel | None) -> tuple[str, ...]:
    """The server's, and onnxruntime for a model that needs it, unless the user names one (onnxruntime-gpu)."""
    named = any(line.lower().startswith("onnxruntime") for line in _lines(template.requirements))
    needed = model is not None and model.format == "onnx" and not named
    return (*(("onnx",) if needed else ()), *template.server.features)


def _split(env: EnvVars) -> tuple[dict[str, str], Mapping[str, tuple[str, str]]]:
    plain = {name: value for name, value in env.items() if isinstance(value, str)}
    secret = {
        name: (value.secret.name, value.secret.key) for name, value in env.items() if isinstance(value, FromSecret)
    }
    return plain, secret


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    """As Kubernetes does: https://pkg.go.dev/k8s.io/kubernetes/third_party/forked/golang/expansion"""

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] is None else variables.get(match[1], match[0])

    return _REFERENCE.sub(value, text)


def _lines(requirements: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return requirements if isinstance(requirements, tuple) else ()
