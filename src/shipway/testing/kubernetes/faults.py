"""What goes wrong with requests to the fake: rules that match some of them, each a number of times."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from shipway.testing.kubernetes import answers
from shipway.testing.kubernetes.answers import Refusal


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong.

    ``verb`` ("get", "list", "watch", "create", "update", "patch", "delete"; "" is any) and ``path`` (a regular
    expression that is searched in the path) say with which requests, ``times`` how often; None: until it is lifted.
    """

    verb: str = ""
    path: str = ""
    times: int | None = 1
    refusal: Refusal | None = None  # it is answered so, and not done
    afterwards: bool = False  # it is done, and only then answered so: what a client must not repeat blindly
    reset: bool = False  # the connection ends without an answer
    delay: float = 0.0  # seconds before the request is looked at
    events: int | None = None  # a watch or a followed log is cut after so many lines
    struck: int = 0

    def matches(self, verb: str, path: str) -> bool:
        """Whether it has a word in this request."""
        left = self.times is None or self.struck < self.times
        return left and self.verb in ("", verb) and re.search(self.path, path) is not None


class Faults:
    """``server.faults``. Each verb adds one and returns it; ``lift`` takes it, or all, away."""

    def __init__(self) -> None:
        self.all: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Any."""
        self.all.append(fault)
        return fault

    def lift(self, fault: Fault | None = None) -> None:
        """One, or all of them."""
        self.all = [one for one in self.all if fault is not None and one is not fault]

    def too_many(self, verb: str = "", path: str = "", *, times: int | None = 1, retry_after: int = 1) -> Fault:
        """429 with Retry-After in seconds."""
        return self.add(Fault(verb, path, times, answers.too_many(retry_after)))

    def error(self, code: int, verb: str = "", path: str = "", *, times: int | None = 1, done: bool = False) -> Fault:
        """500 as while etcd changes its leader, 503 as while the API server ends, 504. ``done``: after the write."""
        message = {500: "etcdserver: leader changed", 503: "apiserver is shutting down"}.get(
            code, "request did not complete within the allotted timeout"
        )
        return self.add(Fault(verb, path, times, answers.broken(code, message), done))

    def refuse(self, refusal: Refusal, verb: str = "", path: str = "", *, times: int | None = 1) -> Fault:
        """Any other Status, as of an admission webhook."""
        return self.add(Fault(verb, path, times, refusal))

    def reset(self, verb: str = "", path: str = "", *, times: int | None = 1, done: bool = False) -> Fault:
        """The connection ends without an answer; ``done``: after the write."""
        return self.add(Fault(verb, path, times, reset=True, afterwards=done))

    def slow(self, seconds: float, verb: str = "", path: str = "", *, times: int | None = None) -> Fault:
        """Answers after so many seconds."""
        return self.add(Fault(verb, path, times, delay=seconds))

    def cut(self, events: int, path: str = "", *, verb: str = "watch", times: int | None = 1) -> Fault:
        """A stream ends after so many events (or lines of a followed log: verb "get")."""
        return self.add(Fault(verb, path, times, events=events))

    def strike(self, verb: str, path: str, which: Callable[[Fault], bool]) -> Fault | None:
        """The first fault of those that has a word in this request; it counts."""
        found = next((one for one in self.all if which(one) and one.matches(verb, path)), None)
        if found is not None:
            found.struck += 1
        return found
