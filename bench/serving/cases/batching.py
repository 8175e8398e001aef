"""What batching gains: with it and without, against what the model gains in a loop without a server.

"Net of codec": the same requests to a model that takes no time say what the server costs by itself. A perfect batcher
would then gain (codec + a row alone) / (codec + a row in a full batch); the bar is a share of that.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from statistics import median

from bench.serving.contest import Contest
from bench.serving.contestants import OURS, Contestant, predictor
from bench.serving.dialects import v2_binary
from bench.serving.inprocess import measure
from bench.serving.load import closed_loop
from bench.serving.payloads import Payload
from bench.serving.running import questions
from bench.serving.samples import Sample, summary
from bench.serving.verdicts import Findings, Table, Verdict

CONNECTIONS = 64
SHARE = 0.8
FIXED = 5.0  # ms of the second model's call, whatever it is given
# As docs/batching.md sets it for models whose calls cost as much for one row as for many.
_ON, _OFF = '{"batching":{"maxRows":64,"maxDelay":0.005}}', '{"batching":{"maxRows":1}}'


@dataclass(frozen=True, slots=True)
class Gain:
    """Samples with batching and without; ``alone`` and ``full``: milliseconds of the model for 1 row, and for each
    of 64; ``codec``: milliseconds of a request to a model that takes no time."""

    model: str
    on: list[Sample]
    off: list[Sample]
    alone: float
    full: float
    codec: float

    @property
    def measured(self) -> float:
        return summary(self.on).rate / summary(self.off).rate

    @property
    def possible(self) -> float:
        return (self.codec + self.alone) / (self.codec + self.full)


def batching(contest: Contest) -> Findings:
    """The multilayer perceptron, and a model of 5 ms; with and without take turns."""
    mlp = contest.payloads.mlp()
    columns = replace(mlp, answers=[row[0, :10] for row in mlp.rows])  # what five_milliseconds.py answers
    fixed = dataclasses.replace(OURS, command=predictor("Fixed"))
    free = dataclasses.replace(OURS, command=predictor("Free"))
    ours = contest.environment("ours")
    samples: dict[str, list[Sample]] = {}
    calls: dict[int, list[float]] = {1: [], CONNECTIONS: []}
    for _ in range(contest.rounds):
        for name, one, payload, settings in (
            ("mlp on", OURS, mlp, _ON),
            ("mlp off", OURS, mlp, _OFF),
            ("fixed on", fixed, columns, _ON),
            ("fixed off", fixed, columns, _OFF),
            ("free", free, columns, _ON),
        ):
            samples.setdefault(name, []).append(_sample(contest, one, payload, settings))
        for rows, found in calls.items():
            found.append(measure(ours, "session", mlp, rows))
    codec = 1e3 / summary(samples["free"]).rate
    alone, full = median(calls[1]), median(calls[CONNECTIONS]) / CONNECTIONS
    return judge(
        [
            Gain("784-500-10", samples["mlp on"], samples["mlp off"], alone, full, codec),
            Gain("5 ms a call", samples["fixed on"], samples["fixed off"], FIXED, FIXED / CONNECTIONS, codec),
        ]
    )


def _sample(contest: Contest, one: Contestant, payload: Payload, settings: str) -> Sample:
    asked = questions(v2_binary(payload.output, binary_answer=True), payload)
    with contest.running(one, payload, settings, asked) as server:
        closed_loop(server.port, asked.requests, asked.check, CONNECTIONS, 1)
        return closed_loop(server.port, asked.requests, asked.check, CONNECTIONS, contest.seconds)


def judge(gains: list[Gain]) -> Findings:
    """The gain that was measured against the one that was possible, and the p99 of both ways. Pure."""
    verdicts: list[Verdict] = []
    rows: list[tuple[str, ...]] = []
    for one in gains:
        on, off = summary(one.on), summary(one.off)
        share = one.measured / one.possible
        verdicts += [
            Verdict(f"batching, {one.model}: share of the model's own gain, net of codec", share, "at least", SHARE),
            Verdict(f"batching, {one.model}: p99 over that without", on.p99 / off.p99, "at most", 1.0, "x"),
        ]
        rows.append(
            (
                one.model,
                f"{on.rate:.0f}",
                f"{off.rate:.0f}",
                f"{one.measured:.1f}",
                f"{one.possible:.1f}",
                f"{one.alone / one.full:.1f}",
                f"{on.rate * (one.codec + one.full) / 1e3:.0%}",
                f"{on.p99:.1f} / {off.p99:.1f}",
                str(on.wrong + on.failed + off.wrong + off.failed),
            )
        )
    table = Table(
        f"Batching (maxRows 64, maxDelay 5 ms), binary tensors, {CONNECTIONS} connections (our closed loop)",
        (
            "model",
            "requests/s",
            "without",
            "gain",
            "possible",
            "model's own",
            "of the perfect rate",
            "p99 ms with / without",
            "wrong or failed",
        ),
        rows,
        f"A request to a model that takes no time takes {gains[0].codec:.3f} ms. Possible is the gain net of that, "
        "and the perfect rate is that of full batches net of that.",
    )
    return Findings(verdicts, [table], {"batching": [dataclasses.asdict(one) for one in gains]})
