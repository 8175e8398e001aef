"""The kinds as a client returns them: the same objects, that also show themselves in a console and in a notebook.

They are kinds in all else (``apply`` takes them), and what a card shows beyond the object itself, such as
a job's curves, is read from the hub when the card is shown. A hub that is gone leaves the card without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import pydantic
from pydantic import PrivateAttr

from shipway import kinds
from shipway.client import HubClient
from shipway.deploy.documents import OBJECTS, numbers
from shipway.deploy.requests import curl
from shipway.errors import PlatformError, ShipwayError
from shipway.kinds import Object
from shipway.sdk import html
from shipway.sdk.runs import metrics_of_job
from shipway.sdk.values import Metrics

_Read = TypeVar("_Read")


class _Shown(Object):
    _hub: HubClient | None = PrivateAttr(None)

    def __repr__(self) -> str:
        told = ", ".join(part for part in self._told() if part)
        return f"<{self.kind} {self.name}{': ' if told else ''}{told}>"

    __str__ = __repr__

    def _told(self) -> tuple[str, ...]:
        """The words of the short form."""
        return tuple(f"{one.type} {one.status}" for one in self.status.conditions)

    def _repr_html_(self) -> str:
        return html.other(self)

    def _asked(self, read: Callable[[HubClient], _Read], default: _Read) -> _Read:
        """What ``read`` finds; ``default`` without a hub: to show an object must not fail."""
        if self._hub is not None:
            with suppress(ShipwayError):
                return read(self._hub)
        return default


class ModelJob(kinds.ModelJob, _Shown):
    """A :class:`shipway.kinds.ModelJob` that shows its curves."""

    def _told(self) -> tuple[str, ...]:
        return self.status.phase, self.status.version or "", numbers(self.status.metrics)

    def _repr_html_(self) -> str:
        return html.job(self, self._asked(lambda hub: metrics_of_job(hub, self.to_json()), Metrics()))


class Model(kinds.Model, _Shown):
    """A :class:`shipway.kinds.Model` that shows its versions and where they are live."""

    def _told(self) -> tuple[str, ...]:
        champion, count = self.status.aliases.get(kinds.CHAMPION), self.status.count
        return f"{count} version{'' if count == 1 else 's'}", f"champion {self.name}:{champion}" if champion else ""

    def _repr_html_(self) -> str:
        return html.model(self, self._asked(self._live, {}))

    def _live(self, hub: HubClient) -> dict[int, list[str]]:
        live: dict[int, list[str]] = {}
        for service in hub.get(f"{OBJECTS}/{ModelService.plural}")["items"]:
            served = service.get("status", {}).get("model") or {}
            if served.get("name") == self.name:
                live.setdefault(served["version"], []).append(service["metadata"]["name"])
        return live


class ModelService(kinds.ModelService, _Shown):
    """A :class:`shipway.kinds.ModelService` that shows where it answers, and how to ask it."""

    def _told(self) -> tuple[str, ...]:
        status = self.status
        served = f"{status.model.name}:{status.model.version}" if status.model else ""
        return f"{status.ready_replicas}/{status.replicas or self.spec.replicas} ready", served, status.url

    def _repr_html_(self) -> str:
        request = self._asked(lambda _: curl(self.to_json(), None), "") if self.status.ready_replicas else ""
        return html.service(self, self._asked(self._route, None), request)

    def _route(self, hub: HubClient) -> kinds.Route | None:
        return kinds.Route.model_validate(hub.get(f"{OBJECTS}/{Route.plural}/{self.name}"))


class Revision(kinds.Revision, _Shown):
    """A :class:`shipway.kinds.Revision` with a short form."""


class Route(kinds.Route, _Shown):
    """A :class:`shipway.kinds.Route` with a short form."""


class Cluster(kinds.Cluster, _Shown):
    """A :class:`shipway.kinds.Cluster` with a short form."""


_VIEWS: Mapping[str, type[_Shown]] = {
    view.__name__: view for view in (ModelJob, Model, ModelService, Revision, Route, Cluster)
}


def view(document: Mapping[str, Any], hub: HubClient) -> Object:
    """An object as the hub sent it. Raises PlatformError when it has another form than this Shipway knows."""
    try:
        obj = _VIEWS[document["kind"]].model_validate(document)
    except (KeyError, pydantic.ValidationError) as error:
        raise PlatformError(
            f"the hub sent an object that this Shipway cannot read: {error}",
            next_step="Hub and library have different versions: run 'shipway hub stop' and try again.",
        ) from error
    obj._hub = hub
    return obj
