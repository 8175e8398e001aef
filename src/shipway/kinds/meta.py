"""What all kinds share: metadata, conditions, and the frozen base class.

Objects are values. ``model_copy`` and the ``mark_*`` verbs of a kind return a new object; nothing is
changed in place. JSON uses camelCase and ``resourceVersion`` as Kubernetes does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

API_VERSION: Final = "shipway.dev/v1alpha1"
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,48}[a-z0-9])?")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,252}")  # the key of a secret is one too, and names a file
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def _check_name(value: str) -> str:
    # 50, not Kubernetes' 63: a Pod's own suffix must still fit.
    if not _NAME.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a valid name: start with a letter, use a-z, 0-9 and '-', "
            "end with a letter or digit, at most 50 characters"
        )
    return value


def _check_env_name(value: str) -> str:
    if not _ENV_NAME.fullmatch(value):
        allowed = "use letters, digits and _, at most 253"
        raise ValueError(f"{value!r} is not an environment variable name: {allowed}")
    return value


def _check_digest(value: str) -> str:
    if not _DIGEST.fullmatch(value):
        raise ValueError(f"{value!r} is not a digest: it looks like sha256:<64 hex digits>")
    return value


def described(pattern: re.Pattern[str]) -> WithJsonSchema:
    """The pattern for JSON schemas; it is checked by a function of ours, whose message is better than pydantic's."""
    return WithJsonSchema({"type": "string", "pattern": f"^({pattern.pattern})$"})


Name = Annotated[str, AfterValidator(_check_name), described(_NAME)]
EnvName = Annotated[str, AfterValidator(_check_env_name), described(_ENV_NAME)]
DigestStr = Annotated[str, AfterValidator(_check_digest), described(_DIGEST)]


class Value(BaseModel):
    """A frozen part of an object: unknown fields are errors, JSON names are camelCase."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        validate_default=False,
        ser_json_inf_nan="constants",
    )


class ObjectMeta(Value):
    """Kubernetes' ObjectMeta, the part that we use. The store sets all but the first four."""

    name: Name
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    finalizers: tuple[str, ...] = ()
    uid: str = ""
    generation: int = 0
    resource_version: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None


class Condition(Value):
    """One answer about an object (Kubernetes API conventions, "Typical status properties")."""

    type: str
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str = ""
    observed_generation: int = 0
    last_transition_time: datetime | None = None


class Status(Value):
    """The part of an object that controllers write."""

    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()

    def condition(self, type_: str) -> Condition | None:
        """The condition of that type, or None while nobody has judged it."""
        return next((one for one in self.conditions if one.type == type_), None)

    def is_true(self, type_: str) -> bool:
        """Whether the condition of that type stands at True."""
        found = self.condition(type_)
        return found is not None and found.status == "True"


class Object(Value):
    """A declared thing with metadata, spec and status. Subclasses fix ``kind`` and the types."""

    plural: ClassVar[str]
    short_name: ClassVar[str] = ""

    api_version: Literal["shipway.dev/v1alpha1"] = API_VERSION
    kind: str
    metadata: ObjectMeta
    spec: Any
    status: Any = Field(default_factory=Status)

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def key(self) -> tuple[str, str]:
        """``(kind, name)``: what names an object in a home."""
        return self.kind, self.metadata.name

    def to_json(self) -> dict[str, Any]:
        """The object as JSON-ready data with camelCase names, without unset optional fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    def with_status(self, status: Status) -> Self:
        """The same object with that status, observed at its present generation."""
        stamped = status.model_copy(update={"observed_generation": self.metadata.generation})
        return self.model_copy(update={"status": stamped})

    def observed_at(self, generation: int) -> Self:
        """The same object whose status, just written, is about that generation of the spec.

        A controller that read generation 1 must not claim to have answered the 2 that came meanwhile.
        """
        if generation == self.metadata.generation:
            return self
        conditions = tuple(
            one.model_copy(update={"observed_generation": min(generation, one.observed_generation)})
            for one in self.status.conditions
        )
        status = self.status.model_copy(update={"observed_generation": generation, "conditions": conditions})
        return self.model_copy(update={"status": status})

    def with_condition(
        self,
        type_: str,
        status: Literal["True", "False", "Unknown"],
        reason: str,
        message: str,
        now: datetime,
    ) -> Self:
        """The same object with one condition set; its transition time moves only when ``status`` does."""
        old = self.status.condition(type_)
        since = old.last_transition_time if old and old.status == status else now
        new = Condition(
            type=type_,
            status=status,
            reason=reason,
            message=message,
            observed_generation=self.metadata.generation,
            last_transition_time=since,
        )
        if new == old and self.status.observed_generation == self.metadata.generation:
            return self  # most passes: nothing is copied
        return self.with_status(self.status.model_copy(update={"conditions": _replaced(self.status.conditions, new)}))


def _replaced(conditions: Iterable[Condition], new: Condition) -> tuple[Condition, ...]:
    kept = [one for one in conditions if one.type != new.type]
    return tuple(sorted([*kept, new], key=lambda one: one.type))
