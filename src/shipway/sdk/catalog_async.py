"""Models and their versions, for a client: what there is, what differs, and names for versions."""

from __future__ import annotations

from collections.abc import Sequence

from shipway.async_client import AsyncHubClient
from shipway.deploy.catalog import MODELS, alias_path, asked, split, version_path, versions_path
from shipway.kinds import CHAMPION, ModelVersion
from shipway.kinds.catalog import ModelLine, VersionDiff


class AsyncCatalog:
    """What a client is, besides all else."""

    async def _connected(self) -> AsyncHubClient:
        raise NotImplementedError

    async def models(self) -> Sequence[ModelLine]:
        """All models by name, a line each: how many versions, the champion and its metrics, where which is live."""
        hub = await self._connected()
        answer = await hub.get(MODELS)
        return [ModelLine.model_validate(one) for one in answer["models"]]

    async def versions(self, model: str, *, limit: int = 50, before: int | None = None) -> Sequence[ModelVersion]:
        """The versions of a model, newest first; ``limit`` 0 is all of them, ``before`` only those with a lower number.

        Raises NotFound.
        """
        hub = await self._connected()
        answer = await hub.get(versions_path(model, limit, before))
        return [ModelVersion.model_validate(one) for one in answer["versions"]]

    async def version(self, reference: str) -> ModelVersion:
        """One version: ``NAME:3``, ``NAME:ALIAS``, or ``NAME`` for the champion. Raises NotFound, UserError."""
        hub = await self._connected()
        answer = await hub.get(version_path(*split(reference, CHAMPION)))
        return ModelVersion.model_validate(answer["version"])

    async def diff(self, before: str, after: str, *, patch: bool = False) -> VersionDiff:
        """What differs from one version to another: metrics, params, data, code, packages, files.

        ``before`` is ``NAME:3`` or ``NAME:ALIAS``; ``after`` too, or only ``4`` or ``ALIAS`` of the same model.
        ``patch`` gives the text of what changed in the code, too. Raises NotFound, UserError.
        """
        hub = await self._connected()
        path = f"{version_path(*split(before))}/diff"
        answer = await hub.get(asked(path, {"to": after, "patch": patch}))
        return VersionDiff.model_validate(answer)

    async def tag(self, reference: str, alias: str, *, why: str = "", force: bool = False) -> None:
        """Let ``alias`` name the version ``NAME:3``; services of ``NAME:ALIAS`` roll to it, those of ``NAME`` follow
        the alias champion. ``why`` is for the ledger; ``force`` makes a champion that its gate held back.

        Raises NotFound, Refused, Conflict, UserError.
        """
        name, ref = split(reference)
        hub = await self._connected()
        await hub.put(alias_path(name, alias), {"version": ref, "why": why, "force": force})

    async def untag(self, model: str, alias: str, *, why: str = "", force: bool = False) -> None:
        """Take an alias away; ``force``: also one that a service follows. Raises NotFound, Refused, Conflict."""
        hub = await self._connected()
        await hub.delete(asked(alias_path(model, alias), {"why": why, "force": force}))

    async def remove(self, reference: str, *, why: str = "", force: bool = False) -> None:
        """Forget the version ``NAME:3``, which nothing uses; ``force``: also the aliases that name it.

        Raises NotFound, Refused, Conflict, UserError.
        """
        hub = await self._connected()
        await hub.delete(asked(version_path(*split(reference)), {"why": why, "force": force}))
