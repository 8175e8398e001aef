"""Digits over gRPC, ONNX on both sides: ours beside MLServer and KServe."""

from __future__ import annotations

import dataclasses
import json
import time
from contextlib import suppress

from bench.serving.contest import Contest
from bench.serving.contestants import KSERVE, MLSERVER, OURS, Contestant
from bench.serving.dialects import Exam, datatype
from bench.serving.grpc_wire import GrpcConnection
from bench.serving.load import Torn, ask_once, closed_loop
from bench.serving.payloads import Payload
from bench.serving.protobuf import infer_answer, infer_request
from bench.serving.running import Questions
from bench.serving.samples import Sample, spread, summary
from bench.serving.verdicts import Findings, Table, Verdict

CONNECTIONS = 32
TIMES_BEST = 3.0
_SWITCHED_ON = json.dumps({"grpc": True})
_PATIENCE = 30.0


def grpc(contest: Contest) -> Findings:
    """32 connections with one call at a time each, raw contents."""
    payload = contest.payloads.digits("onnx")
    samples: dict[str, list[Sample]] = {}
    rivals = [one for one in (MLSERVER, KSERVE) if contest.takes_part(one)]
    variants = {OURS.name: _SWITCHED_ON} | {one.name: contest.fastest(one, payload) for one in rivals}
    for _ in range(contest.rounds):
        for one in (OURS, *rivals):
            found = _sample(contest, one, payload, variants[one.name])
            samples.setdefault(one.name, []).append(found)
            print(f"  {one.name}: {found.rate:.0f}/s, p99 {found.p99:.2f} ms", flush=True)
    return judge(samples)


def questions(payload: Payload) -> Questions:
    """Every row as a message of protobuf."""
    requests = [
        infer_request("bench", f"r{number}", datatype(row), row.shape, row.tobytes(), payload.output)
        for number, row in enumerate(payload.rows)
    ]
    return Questions(requests, Exam(payload.answers, infer_answer))


def _sample(contest: Contest, one: Contestant, payload: Payload, variant: str) -> Sample:
    asked = questions(payload)
    with contest.running(one, payload, variant) as server:
        _wait(server.grpc_port, asked)
        arguments = (server.grpc_port, asked.requests, asked.check, CONNECTIONS)
        closed_loop(*arguments, 1, GrpcConnection)
        return closed_loop(*arguments, contest.seconds, GrpcConnection)


def _wait(port: int, asked: Questions) -> None:
    """HTTP may answer before gRPC does."""
    end, answer = time.monotonic() + _PATIENCE, (0, b"")
    while time.monotonic() < end:
        with suppress(OSError, Torn):
            answer = ask_once(port, asked.requests[0], GrpcConnection)
            if answer[0] == 200 and asked.check.right(0, answer[1]):
                return
        time.sleep(0.01)
    raise SystemExit(f"gRPC on port {port} gave no right answer; the last one was {answer[1][:300]!r}")


def judge(samples: dict[str, list[Sample]]) -> Findings:
    """Ours against the better of the others. Pure."""
    sums = {name: summary(found) for name, found in samples.items()}
    rivals = {name: one for name, one in sums.items() if name != OURS.name}
    verdicts: list[Verdict] = []
    if rivals:
        best = max(rivals, key=lambda name: rivals[name].rate)
        times = sums[OURS.name].rate / rivals[best].rate
        verdicts.append(
            Verdict(
                f"digits, gRPC, ONNX: throughput over the best rival's ({best})", times, "at least", TIMES_BEST, "x"
            )
        )
    rows = [
        (
            name,
            f"{one.rate:.0f}",
            f"{sums[OURS.name].rate / one.rate:.1f}" if one.rate else "-",
            f"{one.p50:.2f}",
            f"{one.p99:.2f}",
            f"{spread([sample.rate for sample in samples[name]]):.0%}",
            str(one.wrong + one.failed),
        )
        for name, one in sorted(sums.items(), key=lambda pair: -pair[1].rate)
    ]
    columns = ("server", "calls/s", "ours is x", "p50 ms", "p99 ms", "spread", "wrong or failed")
    table = Table(f"Digits over gRPC, ONNX, {CONNECTIONS} connections (our closed loop)", columns, rows)
    return Findings(
        verdicts,
        [table],
        {"grpc": {name: [dataclasses.asdict(one) for one in found] for name, found in samples.items()}},
    )
