"""What ``up`` made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from html import escape
from typing import Any

from shipway.errors import NotFound, UserError
from shipway.kinds import Model, ModelJob, ModelService


@dataclass(frozen=True, slots=True, repr=False)
class AsyncDeployment:
    """The objects of a project as they stand at the end of ``up``.

    ``versions``: those that the project made, imported or serves, as ``digits:2``. ``up_to_date``: nothing was new.
    """

    jobs: tuple[ModelJob, ...]
    models: tuple[Model, ...]
    services: tuple[ModelService, ...]
    versions: tuple[str, ...]
    up_to_date: bool
    _predict: Callable[[str, Any], Awaitable[Any]] = field(compare=False)

    @property
    def service(self) -> ModelService:
        """The project's only service. Raises NotFound when it has none, UserError when it has several."""
        if len(self.services) > 1:
            names = ", ".join(one.name for one in self.services)
            raise UserError(f"there are {len(self.services)} services: {names}", next_step="name one of them")
        if not self.services:
            raise NotFound("the project declares no service", next_step="add a ModelService to its shipway.yaml")
        return self.services[0]

    @property
    def url(self) -> str:
        """Where the project's only service answers. Raises NotFound, UserError."""
        return self.service.status.url

    async def predict(self, data: Any, *, service: str | None = None) -> Any:
        """Ask the project's service, or the one of that name; see :meth:`AsyncClient.predict`, also for errors."""
        return await self._predict(service or self.service.name, data)

    def __repr__(self) -> str:
        parts = [*self.versions, *(f"{one.name} at {one.status.url}" for one in self.services)]
        return f"<Deployment {', '.join(parts) or 'of nothing'}{' (up to date)' if self.up_to_date else ''}>"

    def _repr_html_(self) -> str:
        shown = (*self.jobs, *self.models, *self.services)
        return "".join(getattr(one, "_repr_html_", lambda one=one: escape(repr(one)))() for one in shown)
