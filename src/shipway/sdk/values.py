"""What a client returns beside objects: changes, log lines, curves. Values without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from shipway.kinds import Object
from shipway.sdk import curves

K_co = TypeVar("K_co", bound=Object, covariant=True)


@dataclass(frozen=True, slots=True)
class Change(Generic[K_co]):
    """One change of the hub's objects. ``object`` is as it is after the change (before it, when DELETED).

    ``version``: to go on after this change, watch since it.
    """

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: K_co
    version: int


@dataclass(frozen=True, slots=True)
class Version:
    """A version that was pulled or imported; ``str`` of it is ``digits:3``.

    ``there``: it was here already, with the same files. ``champion``: services of the model serve it now.
    """

    name: str
    number: int
    digest: str
    format: str
    size: int  # bytes
    there: bool
    champion: bool

    def __str__(self) -> str:
        return f"{self.name}:{self.number}"


def made(answer: Mapping[str, Any]) -> Version:
    """The version that the hub says it made."""
    same = {key: answer[key] for key in ("name", "digest", "format", "size", "there", "champion")}
    return Version(number=answer["version"], **same)


@dataclass(frozen=True, slots=True)
class DataSet:
    """A version of a data set; ``str`` of it is ``points:2``. ``content`` is the digest of its files and nothing else.

    ``source``: where it was added from. ``uri``: where its files lie when they are pinned and not kept here, or empty.
    """

    name: str
    number: int
    digest: str
    content: str
    files: int
    size: int  # bytes
    labels: Mapping[str, str] = field(hash=False)
    source: str
    uri: str

    def __str__(self) -> str:
        return f"{self.name}:{self.number}"


def data_set(answer: Mapping[str, Any]) -> DataSet:
    """The version of a data set as the hub tells it."""
    same = {key: answer[key] for key in ("name", "number", "digest", "content", "files", "size", "labels", "source")}
    return DataSet(uri=(answer["remote"] or {}).get("uri", ""), **same)


@dataclass(frozen=True, slots=True)
class Damage:
    """A blob that is not what its digest says, or is not there. ``what``: its file, or which kind of blob it is."""

    digest: str
    what: str
    problem: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line that a workload printed. ``stream`` is ``stdout`` or ``stderr``; ``replica`` counts from 0."""

    text: str
    at: datetime
    workload: str
    replica: int
    stream: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Curve:
    """One metric of a run over its steps. Without a step of their own, values are counted from 0."""

    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def last(self) -> float:
        """The latest value."""
        return self.values[-1]

    def _repr_html_(self) -> str:
        return curves.drawn([(self.name, self.steps, self.values)])


@dataclass(frozen=True, slots=True, repr=False)
class Metrics(Mapping[str, Curve]):
    """The curves of a run, by metric name: ``metrics["loss"].values``."""

    _curves: Mapping[str, Curve] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Curve:
        return self._curves[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._curves)

    def __len__(self) -> int:
        return len(self._curves)

    def __repr__(self) -> str:
        told = [f"{one.name} {one.last:.4g} after {len(one.values)}" for one in self.values()]
        return f"<Metrics {', '.join(told) or 'none'}>"

    def _repr_html_(self) -> str:
        return curves.drawn([(one.name, one.steps, one.values) for one in self.values()])


def metrics_of(points: Iterable[Mapping[str, Any]], run: str) -> Metrics:
    """The curves of the latest attempt of a run, from points as the hub sends them, oldest first.

    A later value of a step replaces the one before, as when training goes on from a checkpoint.
    """
    of_run = [one for one in points if one["run"] == run or one["run"].startswith(f"{run}-")]
    series: dict[str, dict[int, float]] = {}
    for one in of_run:
        if one["run"] == of_run[-1]["run"]:
            values = series.setdefault(one["name"], {})
            step = one.get("step")
            values[len(values) if step is None else step] = float(one["value"])
    return Metrics(
        {name: Curve(name, tuple(sorted(of)), tuple(of[step] for step in sorted(of))) for name, of in series.items()}
    )
