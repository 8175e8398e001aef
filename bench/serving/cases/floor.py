"""Ours with ONNX against a granian handler that reads the same body and answers ``{}``: what is the server's part."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from bench.serving.contest import Contest, saturate
from bench.serving.contestants import HANDLER, OURS
from bench.serving.inprocess import measure
from bench.serving.running import Questions, questions
from bench.serving.samples import Sample, summary
from bench.serving.verdicts import Findings, Table, Verdict

CONNECTIONS = 32
SHARE = 33.0  # percent
ADDED = 0.15  # ms


@dataclass(slots=True)
class Record:
    """Runs of one server: 32 connections as fast as wrk can, the same with every answer checked, 1 connection."""

    plain: list[Sample] = field(default_factory=list)
    checked: list[Sample] = field(default_factory=list)
    alone: list[Sample] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Empty:
    """The right answer is ``{}``."""

    def right(self, number: int, body: bytes) -> bool:
        """Whether it is."""
        return body == b"{}"


def floor(contest: Contest) -> Findings:
    """32 connections for the share, 1 connection for what we add to a request."""
    payload = contest.payloads.digits("onnx")
    asked = questions(OURS.dialect(payload), payload)
    empty = Questions(asked.requests, Empty())
    found = {OURS.name: Record(), HANDLER.name: Record()}
    calls: list[float] = []
    for _ in range(contest.rounds):
        for contestant, wanted in ((OURS, asked), (HANDLER, empty)):
            with contest.running(contestant, payload, asked=wanted) as server:
                record = found[contestant.name]
                record.plain.append(saturate(server, CONNECTIONS, contest.seconds, checked=False))
                record.checked.append(saturate(server, CONNECTIONS, contest.seconds))
                record.alone.append(saturate(server, 1, contest.seconds))
        calls.append(measure(contest.environment("ours"), "session", payload, 1))
    return judge(found, calls)


def judge(found: Mapping[str, Record], calls: list[float]) -> Findings:
    """``calls``: milliseconds of the model's own call for one row. Pure."""
    plain = {name: summary(one.plain) for name, one in found.items()}
    checked = {name: summary(one.checked) for name, one in found.items()}
    alone = {name: summary(one.alone) for name, one in found.items()}
    share = plain[OURS.name].rate / plain[HANDLER.name].rate * 100
    added = alone[OURS.name].p50 - alone[HANDLER.name].p50 - median(calls)
    rows = [
        (
            name,
            f"{plain[name].rate:.0f}",
            f"{plain[name].p99:.2f}",
            f"{checked[name].rate:.0f}",
            f"{alone[name].p50:.3f}",
            f"{alone[name].p99:.3f}",
            str(sum(one[name].wrong + one[name].failed for one in (plain, checked, alone))),
        )
        for name in found
    ]
    columns = ("server", "requests/s", "p99 ms", "requests/s, checked", "p50 ms, alone", "p99 ms, alone")
    return Findings(
        [
            Verdict("digits, JSON, ONNX: share of a bare granian handler's throughput", share, "at least", SHARE, "%"),
            Verdict("1 connection: p50 above that handler plus the model's own call", added, "at most", ADDED, "ms"),
        ],
        [
            Table(
                f"Ours (ONNX) and a granian handler that answers {{}}, {CONNECTIONS} connections (wrk)",
                (*columns, "wrong or failed"),
                rows,
                f"The model's own call takes {median(calls):.4f} ms for one row, without a server. Alone: 1 connection."
                " To check the answers slows wrk down, and so a fast server more than a slow one: the share is of the "
                "runs in which wrk looks at the status alone; in those beside it every answer is checked.",
            )
        ],
        {"floor": {name: dataclasses.asdict(one) for name, one in found.items()}, "model call ms": calls},
    )
