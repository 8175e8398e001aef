"""Digits, one row of JSON per request, 32 connections: ours and every rival, the same engine on both sides."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.serving.contest import Contest, saturate
from bench.serving.contestants import OURS, RIVALS, Contestant
from bench.serving.load import open_loop
from bench.serving.payloads import Payload
from bench.serving.running import Running
from bench.serving.samples import Sample, spread, summary
from bench.serving.verdicts import Findings, Table, Verdict

CONNECTIONS = 32
SHARES = (0.25, 0.5, 0.75, 0.9, 1.0)  # of what the server managed in the closed loop
TIMES_BEST = 8.0
P99_SHARE = 0.1
_ENGINES = {"sklearn": "scikit-learn", "onnx": "ONNX"}


@dataclass(slots=True)
class Record:
    """What one server did in all rounds. ``memory`` in bytes after the load, ``ready`` in seconds."""

    variant: str = ""
    closed: list[Sample] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    open: dict[float, Sample] = field(default_factory=dict)  # by share of its own throughput


def sklearn(contest: Contest) -> Findings:
    """scikit-learn on both sides."""
    return _engine(contest, "sklearn")


def onnx(contest: Contest) -> Findings:
    """onnxruntime on both sides."""
    return _engine(contest, "onnx")


def _engine(contest: Contest, engine: str) -> Findings:
    payload = contest.payloads.digits(engine)
    rivals = [one for one in RIVALS if contest.takes_part(one)]
    records = {one.name: Record(contest.fastest(one, payload)) for one in (OURS, *rivals)}
    for round_ in range(contest.rounds):
        for one in (OURS, *rivals):
            _measure(contest, one, payload, records[one.name], last=round_ == contest.rounds - 1)
    trials = [f"{who}: {found}" for (who, what), found in contest.trials.items() if what == payload.name]
    return judge(records, _ENGINES[engine], "; ".join(trials))


def _measure(contest: Contest, one: Contestant, payload: Payload, record: Record, *, last: bool) -> None:
    with contest.running(one, payload, record.variant) as server:
        record.ready.append(server.ready)
        record.closed.append(saturate(server, CONNECTIONS, contest.seconds))
        record.memory.append(server.memory())
        if last:
            record.open = dict(_rates(contest, server, median(sample.rate for sample in record.closed)))
    found = record.closed[-1]
    print(f"  {one.name}: {found.rate:.0f}/s, p50 {found.p50:.2f} ms, p99 {found.p99:.2f} ms", flush=True)


def _rates(contest: Contest, server: Running, most: float) -> Iterator[tuple[float, Sample]]:
    for share in SHARES:
        asked = server.questions
        yield (
            share,
            open_loop(
                server.port, asked.requests, asked.check, CONNECTIONS, min(3.0, contest.seconds), max(1.0, share * most)
            ),
        )


def judge(records: Mapping[str, Record], engine: str, trials: str = "") -> Findings:
    """Ours against the rivals of these records; the verdicts need at least one. ``trials``: a word on the ways to run
    a rival that were tried. Pure."""
    sums = {name: summary(one.closed) for name, one in records.items()}
    ours = sums[OURS.name]
    rivals = {name: one for name, one in sums.items() if name != OURS.name}
    verdicts: list[Verdict] = []
    if rivals:
        best = max(rivals, key=lambda name: rivals[name].rate)
        verdicts = [
            Verdict(
                f"digits, JSON, {engine}: throughput over the best rival's ({best})",
                ours.rate / rivals[best].rate,
                "at least",
                TIMES_BEST,
                "x",
            ),
            Verdict(
                f"digits, JSON, {engine}: p99 over {best}'s", ours.p99 / rivals[best].p99, "at most", P99_SHARE, "x"
            ),
        ]
    return Findings(
        verdicts,
        [_closed(records, sums, engine, trials), _open(records, engine)],
        {f"digits {engine}": {name: dataclasses.asdict(one) for name, one in records.items()}},
    )


def _closed(records: Mapping[str, Record], sums: Mapping[str, Sample], engine: str, trials: str) -> Table:
    ours = sums[OURS.name]
    rows = [
        (
            f"{name} ({records[name].variant})" if records[name].variant else name,
            f"{one.rate:.0f}",
            f"{ours.rate / one.rate:.1f}" if one.rate else "-",
            f"{one.p50:.2f}",
            f"{one.p99:.2f}",
            f"{median(records[name].memory) / 1e6:.0f}",
            f"{median(records[name].ready):.1f}",
            f"{spread([sample.rate for sample in records[name].closed]):.0%}",
            str(one.wrong + one.failed),
        )
        for name, one in sorted(sums.items(), key=lambda pair: -pair[1].rate)
    ]
    return Table(
        f"Digits, one JSON row, {CONNECTIONS} connections, {engine} (wrk)",
        ("server", "requests/s", "ours is x", "p50 ms", "p99 ms", "PSS MB", "ready s", "spread", "wrong or failed"),
        rows,
        "Medians of the rounds; spread: of the throughput, (most - least) / median; PSS of the whole process tree."
        + (f" Of the ways to run a rival the fastest in a short trial takes part. {trials}." if trials else ""),
    )


def _open(records: Mapping[str, Record], engine: str) -> Table:
    rows: list[tuple[str, ...]] = []
    for name, record in records.items():
        cells: list[str] = []
        for share in SHARES:
            one = record.open.get(share)
            cells.append(_cell(one))
        rows.append((name, *cells))
    return Table(
        f"The same, constant arrival rate, {engine}: rate, p50 / p99 ms from the time when a request was due",
        ("server", *(f"{share:.0%} of its throughput" for share in SHARES)),
        rows,
    )


def _cell(one: Sample | None) -> str:
    if one is None:
        return "-"
    mistakes: Any = one.wrong + one.failed
    return f"{one.rate:.0f}/s: {one.p50:.1f} / {one.p99:.1f}" + (f" ({mistakes} wrong or failed)" if mistakes else "")
