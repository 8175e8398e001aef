"""An image tensor, 1x3x224x224 FP32 in binary: what decoding takes, and the CPU of a request beside KServe's."""

from __future__ import annotations

import dataclasses
from statistics import median

from bench.serving.contest import Contest
from bench.serving.contestants import KSERVE, OURS
from bench.serving.dialects import v2_binary
from bench.serving.inprocess import measure
from bench.serving.load import closed_loop
from bench.serving.running import questions
from bench.serving.samples import Sample, summary
from bench.serving.verdicts import Findings, Table, Verdict

CONNECTIONS = 4
DECODE = 0.1  # ms
SHARE = 0.05


def image(contest: Contest) -> Findings:
    """The model is the mean of the tensor: nearly nothing, so that what is left is the server."""
    payload = contest.payloads.mean()
    asked = questions(v2_binary(payload.output), payload)
    samples: dict[str, list[Sample]] = {}
    cpu: dict[str, list[float]] = {}
    decoding: list[float] = []
    contestants = [one for one in (OURS, KSERVE) if one is OURS or contest.takes_part(one)]
    for _ in range(contest.rounds):
        decoding.append(measure(contest.environment("ours"), "decode", payload, 1))
        for one in contestants:
            with contest.running(one, payload, asked=asked) as server:
                closed_loop(server.port, asked.requests, asked.check, CONNECTIONS, 1)
                before = server.cpu_seconds()
                sample = closed_loop(server.port, asked.requests, asked.check, CONNECTIONS, contest.seconds)
                samples.setdefault(one.name, []).append(sample)
                cpu.setdefault(one.name, []).append((server.cpu_seconds() - before) / max(1, sample.requests) * 1e3)
    return judge(samples, cpu, decoding)


def judge(samples: dict[str, list[Sample]], cpu: dict[str, list[float]], decoding: list[float]) -> Findings:
    """``cpu``: milliseconds of a request, of all processes of the server; ``decoding``: milliseconds. Pure."""
    sums = {name: summary(found) for name, found in samples.items()}
    verdicts = [Verdict("image 1x3x224x224, binary: decode", median(decoding), "at most", DECODE, "ms")]
    if KSERVE.name in cpu:
        share = median(cpu[OURS.name]) / median(cpu[KSERVE.name])
        verdicts.append(Verdict("image: CPU of a request over KServe's", share, "at most", SHARE, "x"))
    rows = [
        (
            name,
            f"{median(cpu[name]):.2f}",
            f"{one.rate:.0f}",
            f"{one.p50:.2f}",
            f"{one.p99:.2f}",
            str(one.wrong + one.failed),
        )
        for name, one in sums.items()
    ]
    table = Table(
        f"Image tensor 1x3x224x224 FP32, binary, {CONNECTIONS} connections (our closed loop)",
        ("server", "CPU ms a request", "requests/s", "p50 ms", "p99 ms", "wrong or failed"),
        rows,
    )
    raw = {name: [dataclasses.asdict(one) for one in found] for name, found in samples.items()}
    return Findings(verdicts, [table], {"image": raw, "image cpu ms": cpu, "image decode ms": decoding})
