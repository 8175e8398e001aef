"""The sidecar of a job: waits at a Unix socket until the launcher asks, pushes the output folder, tells where it is.

A line ``{"push": true}`` asks; the answers are lines too: ``{"alive": true}`` every few seconds, and in the end
``{"output": "REPOSITORY@sha256:..."}``, with an empty text when the folder holds no file, or ``{"failed": WHY}``. It
keeps nothing: killed at any line, the next one reads the folder again, and the registry has what was sent.
Source: docs/contract.md, "A job in a cluster".
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from shipway.courier.output import Output
from shipway.courier.patience import Patience, Say
from shipway.errors import RegistryBroken, RegistryUnreachable, ShipwayError
from shipway.oci.reference import Reference
from shipway.oci.registry import Registry
from shipway.oci.registry.threads import in_thread

_EVERY = 5.0  # seconds between two signs of life

Answer = Mapping[str, str]


class Sidecar:
    """Pushes one folder, when it is asked for; asked again meanwhile, or after success, it does nothing twice.

    ``to``: ``ghcr.io/team/outputs:digits-1``. Raises UserError when that is no reference.
    """

    def __init__(
        self,
        folder: Path,
        to: str,
        new_registry: Callable[[], Registry],
        say: Say,
        *,
        patience: Patience | None = None,
        every: float = _EVERY,
    ) -> None:
        self._folder = folder
        self._target = Reference.parse(to)
        self._new_registry = new_registry
        self._say = say
        self._patience = patience or Patience()
        self._every = every
        self._work: asyncio.Task[Answer] | None = None

    async def serve(self, path: Path, stop: asyncio.Event) -> None:
        """Answer at the socket until ``stop``; a push that is under way then is ended first."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # of one that was killed
        server = await asyncio.start_unix_server(self._answer, path)
        path.chmod(0o600)
        self._say(f"waiting at {path} for the job to end")
        try:
            await stop.wait()
            if self._work is not None and not self._work.done():
                self._say("told to end: the push that is under way goes first")
                await asyncio.wait({self._work})
                await asyncio.sleep(0)  # who asked is told
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError):  # who asked has gone; the push goes on
            if json.loads(await reader.readline()) == {"push": True}:
                await self._tell(writer)
        writer.close()

    async def _tell(self, writer: asyncio.StreamWriter) -> None:
        work = self._begun()
        while not (await asyncio.wait({work}, timeout=self._every))[0]:
            await _line(writer, {"alive": True})
        await _line(writer, work.result())

    def _begun(self) -> asyncio.Task[Answer]:
        if self._work is None or (self._work.done() and "failed" in self._work.result()):
            self._work = asyncio.create_task(self._push())
        return self._work

    async def _push(self) -> Answer:
        try:
            output = await in_thread(Output.of, self._folder)
            if output is None:
                self._say(f"{self._folder} has no file: nothing is pushed")
                return {"output": ""}
            await self._patience.persist(f"push {self._target}", lambda: self._send(output), self._say)
        except ShipwayError as error:
            failed = error.message if isinstance(error, RegistryUnreachable | RegistryBroken) else str(error)
            self._say(f"push {self._target}: {failed}")
            return {"failed": failed}
        except Exception as error:  # whatever it is: the launcher waits for an answer
            self._say(f"push {self._target}: {error!r}")
            return {"failed": f"the courier failed: {error!r}"}
        # Without the tag: containers and people read it, and the digest alone is certain.
        pushed = f"{self._target.registry}/{self._target.repository}@{output.root.digest}"
        self._say(f"pushed {pushed}")
        return {"output": pushed}

    async def _send(self, output: Output) -> None:
        async with self._new_registry() as registry:
            await registry.send(output, output.root, self._target)


async def _line(writer: asyncio.StreamWriter, document: Mapping[str, object]) -> None:
    writer.write(json.dumps(document).encode() + b"\n")
    await writer.drain()
