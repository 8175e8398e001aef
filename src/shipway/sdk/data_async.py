"""Data sets, for a client: versions that are added, listed, pulled and pushed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from shipway import settings
from shipway.async_client import AsyncHubClient
from shipway.deploy.data import DATA, added, is_reference, version_of, versions_of
from shipway.deploy.operation_async import operate
from shipway.deploy.transfers import local, name_in, push_target
from shipway.errors import UserError
from shipway.sdk.values import DataSet, data_set
from shipway.transfer import Report, silent


class AsyncData:
    """What a client is, besides all else."""

    async def _connected(self) -> AsyncHubClient:
        raise NotImplementedError

    async def data_sets(self, name: str | None = None) -> Sequence[DataSet]:
        """The latest version of every data set by name; with ``name`` all versions of that one, newest first.

        Raises NotFound.
        """
        hub = await self._connected()
        found = (await hub.get(versions_of(name) if name else DATA))["versions"]
        return [data_set(one) for one in (reversed(found) if name else found)]

    async def data_add(
        self,
        name: str,
        source: str | Path,
        *,
        labels: Mapping[str, str] | None = None,
        copy: bool = False,
        secret: str | None = None,
        endpoint: str | None = None,
        plain_http: bool = False,
        on_progress: Report = silent,
    ) -> DataSet:
        """Make the next version of a folder, a file, or what an s3://, gs://, az:// or file:// URI names; the same
        files are the version that they were. The hub reads them itself.

        ``copy``, ``secret``, ``endpoint`` and ``plain_http`` are for a URI, as of ``shipway data add``. Raises
        UserError, NotFound, Refused, EnvironmentFault.
        """
        options = {"keep": copy, "secret": secret, "endpoint": endpoint, "plainHttp": plain_http}
        body = {**added(str(source), options), "labels": dict(labels or {})}
        hub = await self._connected()
        made = await operate(hub, versions_of(name), body, on_progress)
        return await self._data_set(f"{made['name']}:{made['version']}")

    async def data_pull(
        self,
        what: str,
        folder: str | Path | None = None,
        *,
        name: str | None = None,
        plain_http: bool = False,
        on_progress: Report = silent,
    ) -> DataSet:
        """Bring ``NAME[:N]`` into a folder, or a registry's reference into the home (as ``name``, default: the last
        part of the repository) and into ``folder`` when there is one. Every byte is verified; what is there stays.

        Raises NotFound, Refused, Conflict, Corrupt, UserError, RegistryUnreachable, RegistryRefused, RegistryBroken.
        """
        hub = await self._connected()
        if is_reference(what):
            body = {"reference": what, "plainHttp": plain_http}
            made = await operate(hub, versions_of(name or name_in(what)), body, on_progress)
            what = f"{made['name']}:{made['version']}"
        elif folder is None:
            raise UserError(f"it is not said where the files of {what} go", next_step="Name a folder.")
        pulled = await self._data_set(what)
        if folder is not None:
            await operate(hub, f"{version_of(str(pulled))}/write", {"path": local(folder)}, on_progress)
        return pulled

    async def data_push(
        self, version: str, reference: str | None = None, *, plain_http: bool = False, on_progress: Report = silent
    ) -> str:
        """Push ``NAME[:N]`` to a registry; the reference with the digest. Only chunks that are not there travel.

        ``reference`` is as of :meth:`push`. Raises what that raises.
        """
        target = push_target(version, reference, settings.read().registry)
        body = {"reference": target, "plainHttp": plain_http}
        pushed = await operate(await self._connected(), f"{version_of(version)}/push", body, on_progress)
        return str(pushed["reference"])

    async def _data_set(self, reference: str) -> DataSet:
        hub = await self._connected()
        return data_set((await hub.get(version_of(reference)))["version"])
