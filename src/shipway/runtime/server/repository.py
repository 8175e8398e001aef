"""Which models this server has. One today; its methods are those of many."""

from __future__ import annotations

from shipway.runtime.server.refusals import Reason, Refused
from shipway.runtime.server.served import ServedModel
from shipway.runtime.server.state import State


class Repository:
    """Models by name and version. Lives on the event loop."""

    def __init__(self, state: State, name: str, version: str) -> None:
        self._state = state
        self._name = name
        self._version = version
        self._served: ServedModel | None = None

    def add(self, served: ServedModel) -> None:
        """It is loaded and warm: requests may come."""
        self._served = served

    def names(self) -> list[str]:
        """All models that can be asked for."""
        return [self._name]

    def versions(self, name: str) -> list[str]:
        """Its versions, the default one first. Raises Refused."""
        self._check(name, None)
        return [self._version]

    def is_ready(self, name: str, version: str | None = None) -> bool:
        """Whether it answers now. Raises Refused NOT_FOUND."""
        self._check(name, version)
        return self._served is not None and self._state.ready

    async def acquire(self, name: str, version: str | None = None) -> ServedModel:
        """The version asked for (None: the default), held: release it. Raises Refused: NOT_FOUND, UNAVAILABLE."""
        self._check(name, version)
        if self._served is None:
            message = f"model {name!r} is not ready: {self._state.phase.value}"
            raise Refused(Reason.UNAVAILABLE, message, retry_after=1.0)
        return self._served.hold()

    async def stop(self) -> None:
        """Wait for every request, then end all."""
        if self._served is not None:
            await self._served.stop()

    def _check(self, name: str, version: str | None) -> None:
        if name != self._name:
            raise Refused(Reason.NOT_FOUND, f"unknown model {name!r}: this server has {self._name!r}")
        if version not in (None, self._version):
            raise Refused(
                Reason.NOT_FOUND, f"unknown version {version!r} of model {name!r}: this server has {self._version!r}"
            )
