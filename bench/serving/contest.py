"""What all cases share: the environments, the models, how long and how often."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.serving.contestants import Contestant
from bench.serving.environments import Environment, ensure
from bench.serving.payloads import Payload, Payloads
from bench.serving.running import Questions, Running, questions, running
from bench.serving.samples import Sample
from bench.serving.wrk import script


@dataclass(frozen=True, slots=True)
class Contest:
    """``seconds`` is the length of one run of a load; ``rivals`` the names that take part, empty for all; ``chosen``
    what :meth:`fastest` found for a contestant and a model, ``trials`` in words what each way managed."""

    environments: Path
    payloads: Payloads
    rounds: int
    seconds: float
    rivals: tuple[str, ...] = ()
    chosen: dict[tuple[str, str], str] = field(default_factory=dict)
    trials: dict[tuple[str, str], str] = field(default_factory=dict)

    def environment(self, name: str) -> Environment:
        """The environment of that server, made if need be."""
        return ensure(name, self.environments)

    def takes_part(self, contestant: Contestant) -> bool:
        """Whether this rival was asked for."""
        return not self.rivals or contestant.environment in self.rivals

    @contextmanager
    def running(
        self, contestant: Contestant, payload: Payload, variant: str = "", asked: Questions | None = None
    ) -> Iterator[Running]:
        """The server with that model; ``asked`` when it is not to be asked in its own dialect."""
        asked = asked or questions(contestant.dialect(payload), payload)
        with running(contestant, self.environment(contestant.environment), payload, asked, variant) as server:
            yield server

    def fastest(self, contestant: Contestant, payload: Payload) -> str:
        """The variant that answers most in a short trial. One that does not come up is out, and is named."""
        key = (contestant.name, payload.name)
        if key not in self.chosen:
            several = len(contestant.variants) > 1
            self.chosen[key] = self._trial(contestant, payload) if several else contestant.variants[0]
        return self.chosen[key]

    def _trial(self, contestant: Contestant, payload: Payload) -> str:
        rates: dict[str, float] = {}
        for variant in contestant.variants:
            try:
                with self.running(contestant, payload, variant) as server:
                    rates[variant] = saturate(server, 32, min(2.0, self.seconds)).rate
            except SystemExit as problem:
                print(f"  {contestant.name} as {variant!r} is out: {problem}", flush=True)
        if not rates:
            raise SystemExit(f"{contestant.name} does not come up in any way")
        trials = ", ".join(f"{name} {rate:.0f}/s" for name, rate in rates.items())
        self.trials[contestant.name, payload.name] = trials
        best = max(rates, key=rates.__getitem__)
        print(f"  {contestant.name}: {trials}; takes part as {best!r}", flush=True)
        return best


def saturate(server: Running, connections: int, seconds: float, *, checked: bool = True) -> Sample:
    """wrk at full speed, after a second that does not count."""
    pairs = list(zip(server.questions.requests, server.answers(), strict=True))
    with script(pairs) as load:
        load.run(server.port, connections, 1, checked=checked)
        return load.run(server.port, connections, seconds, checked=checked)
