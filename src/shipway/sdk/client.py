# Written by scripts/twins.py from client_async.py: change that one, and run `make twins`.
"""A hub, for Python code: objects, logs, curves, predictions.

Every method raises HubUnreachable when no hub answers (or none can be started: EnvironmentFault), and Refused when
another user's program listens on the home's socket. All errors are of :mod:`shipway.errors`.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, overload
from urllib.parse import quote, urlencode

from shipway import hub_process, settings
from shipway.client import HubClient, call
from shipway.deploy.applied import followed
from shipway.deploy.apply import apply_project, bring
from shipway.deploy.documents import FRAME, OBJECTS
from shipway.deploy.follow import follow
from shipway.deploy.images import with_images
from shipway.deploy.nouns import Noun
from shipway.deploy.operation import operate
from shipway.deploy.progress import Show
from shipway.deploy.reach import url_of
from shipway.deploy.requests import checked, path_for
from shipway.deploy.result import Result, failure_text
from shipway.deploy.transfers import (
    destination,
    local,
    name_in,
    push_target,
    verification,
    version_of,
    versions_of,
)
from shipway.deploy.world import World
from shipway.errors import NotFound, WorkloadFailed
from shipway.kinds import Model, ModelJob, ModelService, Object
from shipway.project import Project, declared, from_objects, read
from shipway.sdk import waiting
from shipway.sdk.arguments import Applicable, Kind, data_of, noun_of
from shipway.sdk.catalog import Catalog
from shipway.sdk.data import Data
from shipway.sdk.deployment import Deployment
from shipway.sdk.inference import body_of, value_of
from shipway.sdk.notebook import live
from shipway.sdk.runs import metrics_of_job
from shipway.sdk.values import Change, Damage, LogLine, Metrics, Version, made
from shipway.sdk.views import view
from shipway.transfer import Report, silent

K = TypeVar("K", bound=Object)

_DISPLAY_TIMEOUT = 5.0  # seconds that the card of an object in a notebook waits for the hub
_TICK = 1.0  # seconds of a watch's silence after which a deadline is looked at


class Client(Catalog, Data):
    """The hub of this home (``SHIPWAY_HOME``), or one at ``url`` (``http://127.0.0.1:PORT``) with its ``token``.

    The home's hub is started when it is needed and none runs; with ``start=False`` it never is. Nothing is sent before
    the first call, and nothing is held between two: tasks and threads may share a client. Raises UserError when
    ``SHIPWAY_HOME`` or ``SHIPWAY_GATEWAY_PORT`` cannot be used.
    """

    def __init__(self, url: str | None = None, *, token: str | None = None, start: bool = True) -> None:
        home = settings.read() if url is None else None
        socket = home.hub_socket if home is not None else None
        self._home = home if start else None
        self._hub = HubClient(socket, url, token)
        self._shown = HubClient(socket, url, token, timeout=_DISPLAY_TIMEOUT)

    # -- objects

    @overload
    def get(self, kind: type[K], name: str) -> K: ...
    @overload
    def get(self, kind: str, name: str) -> Object: ...
    def get(self, kind: Kind, name: str) -> Object:
        """One object. ``kind`` is a class (``ModelJob``) or a word (``"job"``). Raises NotFound, UserError."""
        hub = self._connected()
        return self._view(hub.get(_path(noun_of(kind), name)))

    @overload
    def list(self, kind: type[K]) -> Sequence[K]: ...
    @overload
    def list(self, kind: str | None = None) -> Sequence[Object]: ...
    def list(self, kind: Kind | None = None) -> Sequence[Object]:
        """All objects of a kind, or of all kinds, by name. Raises UserError."""
        hub = self._connected()
        answer = hub.get(_path(noun_of(kind)))
        return [self._view(one) for one in answer["items"]]

    def apply(self, what: Applicable) -> Sequence[Object]:
        """Give objects to the hub, and do not wait; as the hub has them then.

        ``what``: a folder with a shipway.yaml, a YAML file, an object, a dict of one, or several of them. Files that
        objects name are relative to the file's folder, or to the working directory. Raises InvalidObject, NotFound,
        UserError, Conflict.
        """
        project = self._project(what)
        hub = self._connected()
        return [self._view(one.object) for one in apply_project(hub, project, {})]

    def delete(self, kind: Kind, name: str, *, missing_ok: bool = False) -> None:
        """Delete an object; returns when it is gone, and no process of it is left. Raises NotFound, UserError."""
        noun, hub = noun_of(kind), self._connected()
        try:
            deleted = hub.delete(_path(noun, name))
        except NotFound:
            if not missing_ok:
                raise
            return
        world = World.of(hub, _path(noun))
        uid = deleted["metadata"]["uid"]  # of another, when somebody made it anew meanwhile
        while world.objects.get((noun.kind, name), {}).get("metadata", {}).get("uid") == uid:
            _next(world)

    @overload
    def watch(self, kind: type[K], *, since: int | None = None) -> Generator[Change[K], None, None]: ...
    @overload
    def watch(self, kind: str | None = None, *, since: int | None = None) -> Generator[Change[Object], None, None]: ...
    def watch(self, kind: Kind | None = None, *, since: int | None = None) -> Generator[Change[Any], None, None]:
        """Changes as they come, without end: first the present objects as ADDED, or those after ``since`` alone.

        Raises NotFound when ``since`` is older than what the hub keeps, UserError.
        """
        hub, path = self._connected(), _path(noun_of(kind))
        if since is None:
            world = World.of(hub, path)
            for document in world.objects.values():
                yield Change("ADDED", self._view(document), world.version)
            since = world.version
        with closing(hub.stream(f"{path}?{urlencode({'watch': 'true', 'since': since})}")) as events:
            for event, data in events:
                if event == "change":
                    yield Change(data["type"], self._view(data["object"]), data["version"])

    @overload
    def wait(self, kind: type[K], name: str, condition: str = "", *, timeout: float | None = None) -> K: ...
    @overload
    def wait(self, kind: str, name: str, condition: str = "", *, timeout: float | None = None) -> Object: ...
    def wait(self, kind: Kind, name: str, condition: str = "", *, timeout: float | None = None) -> Object:
        """Until the object's condition is true for what was applied last; the object then.

        ``condition`` is by default Complete of a job, RolledOut of a service, Ready of others. Raises WorkloadFailed
        when a job (with the end of its log) or a rollout failed, and when ``timeout`` seconds are over; NotFound when
        there is no such object or it was deleted, UserError.
        """
        noun, hub = noun_of(kind), self._connected()
        deadline = None if timeout is None else time.monotonic() + timeout
        world = World.of(hub, _path(noun))
        while True:
            present = waiting.found(noun.kind, name, world.objects)
            if waiting.over(present, condition):
                return self._view(present)
            if deadline is not None and time.monotonic() > deadline:
                raise waiting.too_late(present, condition, timeout)
            _next(world)

    # -- what runs

    def up(
        self,
        path: str | Path = ".",
        *,
        cluster: str = "",
        retrain: bool = False,
        timeout: float | None = None,
        on_progress: Show | None = None,
    ) -> Deployment:
        """Train, version and deploy what a folder with a shipway.yaml (or such a file) declares, until it answers.

        ``cluster``: where what names none itself is to run; images for it are built and pushed in this process.
        Nothing that is unchanged is done again; ``retrain`` runs its jobs all the same. ``on_progress`` is called with
        every state and the new metric points; without one a notebook shows a card. Raises InvalidObject,
        NotFound and UserError for what is declared, and WorkloadFailed with the end of the log when a job, its
        gate or a rollout failed, or when ``timeout`` seconds are over (the work goes on).
        """
        project = read(Path(path))
        hub = self._connected()
        project = (with_images(hub, project.on(cluster) if cluster else project)).project
        applied, world = bring(hub, project, retrain=retrain, revive=self._connected)
        changed = {one.key for one in applied if one.result != "unchanged"}
        show = on_progress or live()
        state = follow(hub, world, followed(applied), changed, show, timeout, self._connected)
        if state.failures:
            raise WorkloadFailed("\n\n".join(failure_text(one) for one in state.failures))
        result = Result(state, world.objects, tuple(one.key for one in applied), not changed)
        names = dict.fromkeys(one.partition(":")[0] for one in result.references)
        models = [world.objects["Model", name] for name in names if ("Model", name) in world.objects]
        return Deployment(
            jobs=tuple(cast(ModelJob, self._view(one)) for one in result.of("ModelJob")),
            models=tuple(cast(Model, self._view(one)) for one in models),
            services=tuple(cast(ModelService, self._view(one)) for one in result.of("ModelService")),
            versions=tuple(result.references),
            up_to_date=result.unchanged,
            _predict=self.predict,
        )

    def down(self, path: str | Path | None = None) -> Sequence[str]:
        """Stop the jobs and services of a project, or everything of the home; ``KIND/NAME`` of what was stopped.

        Returns when no process is left; models are kept. Raises InvalidObject, NotFound, UserError.
        """
        request: dict[str, object] = {"all": True}
        if path is not None:
            objects = declared(Path(path))
            keys = [{"kind": one.kind, "name": one.name} for one in objects if one.kind in ("ModelJob", "ModelService")]
            if not keys:
                return []
            request = {"objects": keys}
        hub = self._connected()
        answer = hub.post("/v1/down", request)
        return [str(one) for one in answer["deleted"]]

    def predict(self, service: str | ModelService, data: Any, *, timeout: float = 60.0) -> Any:
        """Ask a service through the gateway, or through a port to its cluster; its answer as Python values.

        ``data`` for a model: rows as lists, an array, a frame, or a dict of columns by input name; the answer is what
        the model gave, without the envelope. A request of the Open Inference Protocol (a dict with a list ``inputs``)
        is sent and answered as it is, and so is all that goes to a server of your own (to ``/predict``, as JSON).
        Raises WorkloadFailed with the server's message when it answers with an error or nothing of it is ready,
        EnvironmentFault when nobody answers, NotFound, UserError.
        """
        hub = self._connected()
        name = service if isinstance(service, str) else service.name
        document = hub.get(_path(noun_of(ModelService), name))
        body = body_of(document, data)
        url = url_of(hub, document)
        answer = call("POST", url + path_for(document, body), body, timeout)
        return value_of(document, checked(document, answer))

    def logs(
        self, kind: Kind, name: str, *, follow: bool = False, tail: int | None = None
    ) -> Generator[LogLine, None, None]:
        """What a job or a service printed, oldest first; ``tail``: the last lines only.

        ``follow`` goes on until it ends. Raises NotFound when it does not exist or never ran, Refused for kinds without
        a log, UserError.
        """
        noun, hub = noun_of(kind), self._connected()
        query = {"follow": str(follow).lower(), **({} if tail is None else {"tail": tail})}
        path = f"/v1/logs/{noun.plural}/{quote(name, safe='')}?{urlencode(query)}"
        with closing(hub.stream(path)) as events:
            for event, line in events:
                if event == "line":
                    at = datetime.fromisoformat(line["at"])
                    text = line["text"].removeprefix(FRAME)
                    yield LogLine(text, at, line["workload"], line["replica"], line["stream"])

    def metrics(self, job: str | ModelJob) -> Metrics:
        """The curves of a job: of the run that made its version, or of the latest one. Raises NotFound."""
        hub = self._connected()
        name = job if isinstance(job, str) else job.name
        return metrics_of_job(hub, hub.get(_path(noun_of(ModelJob), name)))

    def why(self, kind: Kind, name: str) -> Mapping[str, Any]:
        """Why an object is as it is: ``lines`` of what happened, what holds ``now``, and what to do ``next``.

        It is the JSON of ``shipway why -o json`` (docs/explain.md). Also of an object that was deleted. Raises
        NotFound when the journal knows nothing of it, UserError.
        """
        hub = self._connected()
        story: Mapping[str, Any] = hub.get(f"/v1/why/{noun_of(kind).plural}/{quote(name, safe='')}")
        return story

    # -- versions that move

    def push(
        self,
        version: str,
        reference: str | None = None,
        *,
        also_tag: Sequence[str] = (),
        plain_http: bool = False,
        on_progress: Report = silent,
    ) -> str:
        """Push ``NAME[:N|ALIAS]`` to a registry; the reference with the digest. Only what is not there travels.

        ``reference`` is ``HOST[:PORT]/REPOSITORY[:TAG]``, by default NAME in ``SHIPWAY_REGISTRY``, tagged with the
        number. ``plain_http`` for a registry without TLS on another machine. Raises NotFound, UserError,
        RegistryUnreachable, RegistryRefused, RegistryBroken.
        """
        target = push_target(version, reference, settings.read().registry)
        body = {"reference": target, "alsoTag": list(also_tag), "plainHttp": plain_http}
        pushed = operate(self._connected(), version_of(version, "push"), body, on_progress)
        return str(pushed["reference"])

    def pull(
        self,
        reference: str,
        name: str | None = None,
        *,
        tags: Sequence[str] = (),
        trust: bool = False,
        plain_http: bool = False,
        on_progress: Report = silent,
    ) -> Version:
        """Pull a version: it becomes the next one of ``name`` (default: the last part of the repository).

        It is champion only if the model had none, or with ``tags=["champion"]``. ``trust``: services may load it even
        if it is a pickle. Raises UserError, Refused for what is no model, RegistryUnreachable, RegistryRefused,
        RegistryBroken.
        """
        body = {"reference": reference, "tags": list(tags), "trust": trust, "plainHttp": plain_http}
        hub = self._connected()
        return made(operate(hub, versions_of(name or name_in(reference)), body, on_progress))

    def import_model(
        self,
        path: str | Path,
        name: str,
        *,
        metrics: Mapping[str, float] | None = None,
        description: str = "",
        trust: bool = False,
        form: Literal["tar", "tar+zstd", "raw"] = "tar",
        on_progress: Report = silent,
    ) -> Version:
        """Make a version of a folder, a model's file or an MLflow model; it is champion then. The hub reads it itself.

        Nothing is run or unpickled; a pickle needs ``trust``. The same files are the version that they were. Raises
        UserError, Refused.
        """
        options = {"metrics": dict(metrics or {}), "description": description, "trust": trust, "form": form}
        hub = self._connected()
        return made(operate(hub, versions_of(name), {"path": local(path), **options}, on_progress))

    def export(
        self, version: str, to: str | Path, *, force: bool = False, on_progress: Report = silent
    ) -> Mapping[str, Any]:
        """Write the files of ``NAME[:N|ALIAS]`` into a new folder, or the version as it is into ``FILE.tar`` (an OCI
        archive) or ``oci:FOLDER`` (an OCI layout); what was written, as JSON. Raises NotFound, Refused for what is
        there (without ``force``), UserError."""
        body = {**destination(str(to)), "force": force}
        return operate(self._connected(), version_of(version, "export"), body, on_progress)

    def verify(self, version: str, *, plain_http: bool = False, on_progress: Report = silent) -> Sequence[Damage]:
        """Read every byte of ``NAME[:N|ALIAS]``, or of a registry's reference, again; what is damaged of it.

        Raises NotFound, UserError, and for a registry what :meth:`pull` raises.
        """
        path, body = verification(version, plain_http=plain_http)
        found = operate(self._connected(), path, body, on_progress)
        return [Damage(**one) for one in found["damage"]]

    # -- below

    def _connected(self) -> HubClient:
        """The hub, which is started when none runs: one may have ended, or been replaced, since the last call."""
        if self._home is not None:
            hub_process.ensure(self._home)
        return self._hub

    def _project(self, what: Applicable) -> Project:
        if isinstance(what, str | Path):
            return read(Path(what))
        return from_objects(data_of(what), Path())

    def _view(self, document: Mapping[str, Any]) -> Object:
        return view(document, self._shown)


def _next(world: World) -> None:
    """Until something changed, or a tick is over."""
    try:
        with closing(world.changes(wait=_TICK)) as changes:
            for _ in changes:
                return
    except NotFound:  # the watch fell behind what the hub keeps
        world.read()


def _path(noun: Noun | None, name: str | None = None) -> str:
    parts = [OBJECTS, *([noun.plural] if noun else []), *([quote(name, safe="")] if name is not None else [])]
    return "/".join(parts)
