"""The Gateway port on Envoy: write files, and believe only what Envoy's admin interface shows.

All that must be remembered is in the folder: a hub that is killed anywhere in ``apply`` leaves files with
which Envoy serves either table, and the next hub goes on from them.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from shipway.envoy import changes, files
from shipway.envoy.admin import Admin
from shipway.envoy.clusters import groups, grpc_name
from shipway.envoy.config import Documents, Layout, bootstrap, documents
from shipway.errors import DependencyFailed, Unresponsive
from shipway.traffic import GatewayState, RoutingTable

_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.1  # seconds between two looks at Envoy
_LOG_PAUSES = (0.01, 0.05, 0.2, 0.5)
_LOG_TAIL = 64 * 1024
_LOG_LIMIT = 4 * 2**20


class EnvoyGateway:
    """One Envoy, which somebody else runs (``workload``) on the files of ``folder``.

    ``sockets`` is the folder for the admin socket, ``patience`` how many seconds Envoy may take for a change.
    """

    def __init__(self, folder: Path, sockets: Path, port: int, *, patience: float = 10.0) -> None:
        self._layout = Layout(folder)
        self._socket = sockets / "envoy.sock"
        self._port = port
        self._patience = patience
        self._admin = Admin(self._socket)
        self._lock = asyncio.Lock()
        self._wanted: RoutingTable | None = None
        self._refused: GatewayState | None = None

    def url(self, service: str) -> str:
        """Where a service answers."""
        return f"http://127.0.0.1:{self._port}/{service}"

    async def apply(self, table: RoutingTable) -> GatewayState:
        """Make before break; a table that is refused changes nothing: the one before stays, on disk too."""
        async with self._lock:
            nonsense = changes.refusal(table)
            state = GatewayState(False, "Rejected", nonsense) if nonsense else await self._change(table)
            self._refused = state if state.reason == "Rejected" else None
            return state

    async def state(self) -> GatewayState:
        """What Envoy shows, compared with the table that was applied last."""
        try:
            now = await self._admin.liveness()
        except DependencyFailed as error:
            return GatewayState(False, "Unreachable", error.message)
        state = changes.judge(self._documents(self._wanted or self._committed() or RoutingTable()).versions, {}, now)
        return self._refused if state.live and self._refused else state

    async def active(self, upstream: str) -> int | None:
        """Requests under way to that upstream, also when it is in no table any more; None without an Envoy."""
        names = "|".join(re.escape(one) for one in (upstream, grpc_name(upstream)))
        try:
            return sum(map(int, (await self._admin.stats(rf"^cluster\.({names})\.upstream_rq_active$")).values()))
        except DependencyFailed:
            return None

    def forget(self) -> None:
        """Envoy was ended for good: the socket that it leaves behind goes too."""
        self._socket.unlink(missing_ok=True)

    async def _change(self, table: RoutingTable) -> GatewayState:
        self._ground()
        committed = self._committed()
        self._wanted = table
        try:
            state = await self._walk(committed, table)
        except Unresponsive as error:
            # It may serve the table before: what is on disk stays in order until it says where it is.
            return GatewayState(False, "Unreachable", error.message)
        except DependencyFailed as error:
            # Nobody is served, so there is no order to keep: the next start finds all of it.
            self._put(table)
            self._commit(table)
            return GatewayState(False, "Unreachable", error.message)
        if state.reason == "Rejected" and committed:
            self._wanted = committed
            self._put(committed)
        return state

    async def _walk(self, old: RoutingTable | None, new: RoutingTable) -> GatewayState:
        """Through the stages from ``old`` until one is not live; raises DependencyFailed without an Envoy."""
        now = await self._admin.liveness()
        # From nothing, or from what Envoy refuses, no step can be careful.
        direct = old is None or changes.judge(self._documents(old).versions, {}, now).reason == "Rejected"
        state = GatewayState(False)
        for table in (new,) if old is None or direct else changes.stages(old, new):
            state = await self._advance(table)
            if not state.live:
                break
            self._commit(table)
        return state

    async def _advance(self, table: RoutingTable) -> GatewayState:
        """Write one stage and wait until it is live, is refused or takes too long."""
        log_size = self._layout.log.stat().st_size
        before = await self._admin.liveness()
        wanted = self._documents(table)
        if not self._put(table):
            if changes.judge(wanted.versions, {}, before).live:
                return GatewayState(True, "Programmed")
            # It was refused for a reason that may be gone (a port that was taken): have it read again.
            self._write(wanted.texts, again=True)
        state = await self._settle(wanted.versions, before)
        return (
            replace(state, message=await self._why(log_size) or state.message) if state.reason == "Rejected" else state
        )

    async def _why(self, log_size: int) -> str:
        """Envoy's words for its last refusal: they are in its log only, which it writes in its own time."""
        for pause in _LOG_PAUSES:
            await self._admin.flush_log()
            await asyncio.sleep(pause)
            if found := changes.last_refusal(_tail(self._layout.log, log_size)):
                return found
        return changes.last_refusal(_tail(self._layout.log))  # it refused before we began to look

    async def _settle(self, versions: Mapping[str, str], before: Mapping[str, str]) -> GatewayState:
        loop = asyncio.get_running_loop()
        give_up, pause = loop.time() + self._patience, _FIRST_PAUSE
        while True:
            state = changes.judge(versions, before, await self._admin.liveness())
            if state.reason != "Warming" or loop.time() > give_up:
                return state
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _ground(self) -> None:
        """What does not depend on the table: folders, the bootstrap file, a log that does not grow for ever."""
        for folder in (self._layout.folder, self._layout.endpoints, self._socket.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        start = bootstrap(self._layout, self._socket, str(self._layout.folder))
        self._write({self._layout.bootstrap.name: start})
        self._layout.log.touch(mode=0o600)
        if self._layout.log.stat().st_size > _LOG_LIMIT:
            self._layout.log.write_text(_tail(self._layout.log))  # in place: Envoy appends to this very file

    def _put(self, table: RoutingTable) -> bool:
        """Write all that Envoy watches and that differs; whether anything did."""
        changed = self._write(self._documents(table).texts)
        # After the clusters: Envoy drops the watch of an endpoint file with its cluster.
        files.keep_only(self._layout.endpoints, (f"{one.name}.json" for one in groups(table.upstreams)))
        return changed

    def _commit(self, table: RoutingTable) -> None:
        """Remember the table as the one from which the next change sets out."""
        self._write({self._layout.table.name: changes.table_text(table)})

    def _write(self, texts: Mapping[str, str], *, again: bool = False) -> bool:
        return files.write_changed(self._layout.folder, texts, again=again)

    def _documents(self, table: RoutingTable) -> Documents:
        return documents(table, self._layout, self._port)

    def _committed(self) -> RoutingTable | None:
        text = files.read(self._layout.table)
        try:
            return changes.parse_table(text) if text is not None else None
        except (ValueError, KeyError, TypeError):
            return None  # what Envoy serves goes on; the next apply writes it anew


def _tail(log: Path, start: int = 0) -> str:
    with log.open("rb") as stream:
        stream.seek(max(start, log.stat().st_size - _LOG_TAIL))
        return stream.read().decode(errors="replace")
