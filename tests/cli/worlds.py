"""Objects as a hub sends them: built by the kinds' own verbs, so that the CLI is tested against what they write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shipway.kinds import (
    CHAMPION,
    Evaluate,
    Model,
    ModelJob,
    ModelJobSpec,
    ModelService,
    ModelServiceSpec,
    ModelSpec,
    ModelVersion,
    ObjectMeta,
    ResolvedModel,
    Revision,
    RevisionSpec,
    RevisionTemplate,
    Run,
    Source,
)

T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
T3 = datetime(2026, 1, 1, 12, 0, 3, tzinfo=UTC)
DIGEST = "sha256:" + "0" * 64


def meta(generation: int = 1, **annotations: str) -> ObjectMeta:
    named = {f"shipway.dev/{name}": value for name, value in annotations.items()}
    return ObjectMeta(name="digits", generation=generation, annotations=named, creation_timestamp=T0)


def job(generation: int = 1, *, gate: bool = False, model: str | None = "digits", **annotations: str) -> ModelJob:
    evaluate = Evaluate(metric="accuracy", min=0.9) if gate else None
    return ModelJob(
        metadata=meta(generation, **annotations),
        spec=ModelJobSpec(command=("python", "train.py"), model=model, evaluate=evaluate),
    )


def run(retrain: str = "", attempt: int = 1) -> Run:
    return Run(id="digits-abcd-1", fingerprint=DIGEST, started_at=T0, finished_at=T3, retrain=retrain, attempt=attempt)


def succeeded(
    one: ModelJob, version: str | None = "digits:1", *, reason: str = "Succeeded", message: str = ""
) -> ModelJob:
    return one.mark_started(run(one.metadata.annotations.get("shipway.dev/retrain", "")), T0).mark_succeeded(
        version=version,
        promoted=None if one.spec.evaluate is None else reason != "GateFailed",
        metrics={"accuracy": 0.9722},
        cached=reason == "CacheHit",
        reason=reason,
        message=message,
        now=T3,
    )


def model(*numbers: int, champion: int | None = None, source: bool = False) -> Model:
    made = Model(metadata=meta(), spec=ModelSpec(source=Source(files=("m.onnx",)) if source else None))
    versions = tuple(
        ModelVersion(number=n, digest=DIGEST, format="onnx", size=2048, created_at=T0, metrics={"accuracy": 0.9722})
        for n in numbers
    )
    if not numbers:
        return made
    made = made.mark_versions(versions, T0)
    return made.mark_alias(CHAMPION, champion) if champion else made


def service(generation: int = 1, reference: str = "digits", **annotations: str) -> ModelService:
    return ModelService(metadata=meta(generation, **annotations), spec=ModelServiceSpec(model=reference))


def own_server() -> ModelService:
    return ModelService(metadata=meta(), spec=ModelServiceSpec(command=("python", "app.py")))


def resolved(number: int) -> ResolvedModel:
    return ResolvedModel(name="digits", version=number, digest=DIGEST)


def serving(
    one: ModelService, number: int | None = 1, ready: int = 1, url: str = "http://127.0.0.1:1/digits"
) -> ModelService:
    stands_for = None if number is None else resolved(number)
    rolled = one.mark_rolled_out(f"digits-{number or 1:05d}", stands_for, url, T0)
    return rolled.mark_serving(ready=ready, wanted=1, url=url, environment="venv", message="", now=T0)


def revision(number: int = 1) -> Revision:
    return Revision(
        metadata=ObjectMeta(name=f"digits-{number:05d}", generation=1),
        spec=RevisionSpec(service="digits", number=number, template=RevisionTemplate(), hash=DIGEST),
    )


def sent(*objects: Any) -> list[dict[str, Any]]:
    """The JSON of objects."""
    return [one.to_json() for one in objects]
