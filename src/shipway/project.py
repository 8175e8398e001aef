"""A project folder to objects that the hub can take: digests for file sets, lines for requirements files.

After :func:`read` nothing looks at the working tree by name again: the objects name snapshots, and each
snapshot is written as a tar only when the hub lacks it.

Which files an object gets when its YAML does not say:

- a job: all, less those that a service claims for itself and the job's command does not name, so that
  editing the predictor does not train again;
- a service with a command: all; with a predictor: that file; with a model alone: none;
- one that names an image, and runs on a cluster: none. The image has the code.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from shipway.errors import FieldError, InvalidObject, NotFound, UserError
from shipway.kinds import FORCE_CONFLICTS, LOCAL, RETRY, JobInput, Model, ModelJob, ModelService, Object, Source
from shipway.kinds.document import Document, documents
from shipway.kinds.job import ModelJobSpec
from shipway.kinds.load import check, load
from shipway.snapshot import SnapshotFile, collect, collect_path, write_tar

FILE = "shipway.yaml"
REQUIREMENTS = "requirements.txt"

_IN_MEMORY = 8 << 20  # bytes of a tar that need no temporary file

Key = tuple[str, str]  # kind, name

_Kind = TypeVar("_Kind", bound=Object)
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Files that were chosen, and the digest of their tar."""

    digest: str
    files: tuple[SnapshotFile, ...]

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The tar, from its start; large ones lie in a temporary file. Raises UserError when a file changed since."""
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as tar:
            if write_tar(self.files, tar) != self.digest:  # type: ignore[arg-type]  # has all that BinaryIO needs
                raise UserError("a file changed while it was being uploaded", next_step="run the command again")
            tar.seek(0)
            yield tar  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class DataInput:
    """An input that names a data set, whose version the hub knows: where it stands, for the error when it does not."""

    job: str
    name: str
    reference: str  # NAME or NAME:N
    place: FieldError

    def error(self, problem: UserError) -> InvalidObject:
        """The problem with file, line and path of the field."""
        return InvalidObject([replace(self.place, message=problem.message)], next_step=problem.next_step)


@dataclass(frozen=True, slots=True)
class Project:
    """Objects with every file set replaced by a digest, and the snapshots by digest.

    ``data``: the inputs that have no digest yet, because only the hub knows it.
    """

    folder: Path
    file: Path
    objects: tuple[Object, ...]
    snapshots: Mapping[str, Snapshot] = field(default_factory=dict)
    data: tuple[DataInput, ...] = ()

    def with_data(self, digests: Mapping[str, str]) -> Project:
        """The project with a digest for every reference in ``data``."""
        resolved = (_with_data(one, digests) if isinstance(one, ModelJob) else one for one in self.objects)
        return replace(self, objects=tuple(resolved), data=())

    def on(self, cluster: str) -> Project:
        """The project with its jobs and services on that cluster, but for those that say one themselves."""
        return _without_unused(replace(self, objects=tuple(_on(one, cluster) for one in self.objects)))

    def forcing_conflicts(self, token: str) -> Project:
        """The project whose jobs and services take from others the fields that these set in a cluster. ``token`` names
        this request: a refusal of before is no answer to it."""
        return replace(self, objects=tuple(_forcing(one, token) for one in self.objects))

    def with_images(self, images: Mapping[Key, str]) -> Project:
        """The project with an image for every job and service that is among ``images``."""
        imaged = (_with_spec(one, image=images[one.key]) if one.key in images else one for one in self.objects)
        return replace(self, objects=tuple(imaged))


@dataclass(frozen=True, slots=True)
class Chosen:
    """A job or a service with the lines of its requirements, and the patterns of the files that it gets, as in
    ``source.files``; empty where it gets none."""

    object: ModelJob | ModelService
    patterns: tuple[str, ...]


def read(path: Path) -> Project:
    """The project of a folder, or of a YAML file with its folder. Raises NotFound, InvalidObject, UserError."""
    file = _file(path)
    return from_text(_text(file), file)


def declared(path: Path) -> list[Object]:
    """The objects as written, without a look at any other file. Raises NotFound, InvalidObject, UserError."""
    file = _file(path)
    return load(_text(file), str(file))


def from_text(text: str, file: Path) -> Project:
    """The same of a text that stands for ``file``; names in it are relative to the file's folder."""
    return _project(documents(text, str(file)), file)


def chosen(text: str, file: Path) -> tuple[Chosen, ...]:
    """The jobs and services of a text that stands for ``file``: for who packs their files by himself, and needs
    no digests. Raises as :func:`read` does."""
    found = documents(text, str(file))
    objects = check(found, str(file))
    resolver = _Resolver(file.parent, objects)
    pairs = zip(objects, found, strict=True)
    return tuple(resolver.chosen(one, document) for one, document in pairs if isinstance(one, ModelJob | ModelService))


def text_of(path: Path) -> tuple[str, Path]:
    """What a project's shipway.yaml says, and where it lies. Raises NotFound, UserError."""
    file = _file(path)
    return _text(file), file


def from_objects(objects: Iterable[Mapping[str, Any]], folder: Path) -> Project:
    """The same of objects as data; names in them are relative to ``folder``, and errors have no line."""
    return _project([Document(dict(one)) for one in objects], folder / FILE)


def _project(found: Sequence[Document], file: Path) -> Project:
    objects = check(found, found[0].file if found else "")
    resolver = _Resolver(file.parent, objects)
    resolved = tuple(resolver.resolve(obj, document) for obj, document in zip(objects, found, strict=True))
    return _without_unused(Project(file.parent, file, resolved, resolver.snapshots, tuple(resolver.data)))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.exists():
        raise NotFound(f"{path} does not exist", next_step="name a folder that has a shipway.yaml")
    file = path / FILE
    if not file.is_file():
        # "examples/digits", not ".", is what the user can paste.
        where = f" {path}" if path != Path() else ""
        raise NotFound(f"there is no {FILE} in {path.resolve()}", next_step=f"shipway init{where} writes one")
    return file


def requirement_lines(file: Path, seen: frozenset[Path] = frozenset(), root: Path | None = None) -> tuple[str, ...]:
    """The lines of a requirements file that say something, with ``-r`` files in place.

    Source: pip's requirements file format. Raises UserError when a file is missing or includes itself, and when it
    lies outside of ``root`` (default: the file's own folder): its lines are stored and shown, so that a shipway.yaml
    of somebody else must not choose any file of this machine.
    """
    root = root or file.parent
    if file.resolve() in seen:
        raise UserError(f"{file.name} includes itself")
    if not file.resolve().is_relative_to(root.resolve()):
        raise UserError(
            f"{file} leads out of the project's folder {root}",
            next_step="copy the file into the folder, or write the lines where the file is named",
        )
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file.name} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    found: list[str] = []
    for raw in text.replace("\\\n", "").splitlines():
        line = raw if not raw.lstrip().startswith("#") else ""
        line = line.partition(" #")[0].strip()
        option, _, other = line.replace("=", " ").partition(" ")
        if option in ("-r", "--requirement"):
            found += requirement_lines(file.parent / other.strip(), seen | {file.resolve()}, root)
        elif line:
            found.append(line)
    return tuple(found)


class _Resolver:
    """Replaces file sets by digests, object by object, and keeps the snapshots."""

    def __init__(self, folder: Path, objects: Sequence[Object]) -> None:
        self.snapshots: dict[str, Snapshot] = {}
        self.data: list[DataInput] = []
        self._folder = folder
        self._claimed = [pattern for obj in objects if isinstance(obj, ModelService) for pattern in _claimed_by(obj)]

    def resolve(self, obj: Object, document: Document) -> Object:
        match obj:
            case ModelJob():
                return self._job(obj, document)
            case ModelService():
                return self._service(obj, document)
            case Model() if obj.spec.source is not None:
                return _with_spec(obj, source=self._source(obj.spec.source, document))
            case _:
                return obj

    def chosen(self, obj: ModelJob | ModelService, document: Document) -> Chosen:
        """The object and its files, by the rules of this module. Raises InvalidObject where it names a snapshot."""
        source = obj.spec.source
        if source is not None and source.digest is not None:
            problem = document.error(("spec", "source", "digest"), "a digest names files that only the hub has")
            raise InvalidObject([problem], next_step="Name the files: source.files.")
        resolved = _with_spec(obj, requirements=self._requirements(obj.spec.requirements, document))
        return Chosen(resolved, self._patterns(obj, document))

    def _patterns(self, obj: ModelJob | ModelService, document: Document) -> tuple[str, ...]:
        spec = obj.spec
        if spec.source is not None and "files" in spec.source.model_fields_set:
            return spec.source.files
        if isinstance(spec, ModelJobSpec):
            return ("**", f"!{FILE}", *(f"!{_literal(one)}" for one in sorted(self._claimed_from(spec.command))))
        if spec.predictor:
            return self._predictor(spec.predictor, document).files
        return ("**", f"!{FILE}") if spec.command else ()

    def _job(self, job: ModelJob, document: Document) -> ModelJob:
        source = job.spec.source
        if source.digest is None and "files" not in source.model_fields_set:
            files = self._at(document, ("spec", "source"), lambda: self._unclaimed(job.spec.command))
            source = source.model_copy(update={"digest": self._keep(files)})
        return _with_spec(
            job,
            source=self._source(source, document),
            inputs={name: self._input(job, name, one, document) for name, one in job.spec.inputs.items()},
            requirements=self._requirements(job.spec.requirements, document),
        )

    def _service(self, service: ModelService, document: Document) -> ModelService:
        spec = service.spec
        source = spec.source
        if source is None and spec.predictor:
            source = self._predictor(spec.predictor, document)
        elif source is None and spec.command:
            files = self._at(document, ("spec", "source"), self._all_files)
            source = Source(digest=self._keep(files))
        return _with_spec(
            service,
            source=self._source(source, document) if source is not None else None,
            requirements=self._requirements(spec.requirements, document),
        )

    def _predictor(self, predictor: str, document: Document) -> Source:
        file, colon, name = predictor.partition(":")
        if not colon or not file.endswith(".py") or not name.isidentifier():
            problem = f"{predictor!r} is not a predictor: write FILE.py:Class, like predictor.py:Digits"
            raise InvalidObject([document.error(("spec", "predictor"), problem)])
        self._at(document, ("spec", "predictor"), lambda: collect(self._folder, (file,)))
        return Source(files=(file,))

    def _source(self, source: Source, document: Document) -> Source:
        """The source with its digest; one that has a digest already names a snapshot of an earlier time."""
        if source.digest is not None:
            return source
        files = self._at(document, ("spec", "source", "files"), lambda: collect(self._folder, source.files))
        return source.model_copy(update={"digest": self._keep(files)})

    def _input(self, job: ModelJob, name: str, one: JobInput, document: Document) -> JobInput:
        if one.digest is not None:
            return one
        if one.path is None:
            reference = one.data or ""
            place_of_data = document.error(("spec", "inputs", name, "data"), "")
            self.data.append(DataInput(job.name, name, reference, place_of_data))
            return one
        place = ("spec", "inputs", name, "path")
        path = self._folder / Path(one.path).expanduser()
        files = self._at(document, place, lambda: collect_path(path))
        return one.model_copy(update={"digest": self._keep(files), "file": path.name if path.is_file() else None})

    def _requirements(self, wanted: str | tuple[str, ...] | None, document: Document) -> tuple[str, ...] | None:
        if isinstance(wanted, tuple):
            return wanted
        if wanted is None and not (self._folder / REQUIREMENTS).is_file():
            return None
        file = self._folder / (wanted or REQUIREMENTS)
        return self._at(document, ("spec", "requirements"), lambda: requirement_lines(file, root=self._folder))

    def _unclaimed(self, command: Iterable[str]) -> tuple[SnapshotFile, ...]:
        claimed = self._claimed_from(command)
        return tuple(one for one in self._all_files() if one.name not in claimed)

    def _claimed_from(self, command: Iterable[str]) -> set[str]:
        """The files that services claim, and that the command of a job does not name."""
        claimed: set[str] = set()
        for pattern in self._claimed:
            with suppress(UserError):  # a pattern that matches nothing is told where the service is resolved
                claimed |= {file.name for file in collect(self._folder, (pattern,))}
        return claimed - {word.removeprefix("./") for word in command}

    def _all_files(self) -> tuple[SnapshotFile, ...]:
        # None is fine: a command such as `python -m http.server` needs no file of the project.
        return collect(self._folder, ("**", f"!{FILE}"), may_be_empty=True)

    def _keep(self, files: tuple[SnapshotFile, ...]) -> str:
        with Path(os.devnull).open("wb") as nowhere:
            digest = write_tar(files, nowhere)
        self.snapshots[digest] = Snapshot(digest, files)
        return digest

    def _at(self, document: Document, path: tuple[str, ...], act: Callable[[], _Result]) -> _Result:
        """What ``act`` returns; a UserError of it is told with file and line."""
        try:
            return act()
        except UserError as error:
            raise InvalidObject([document.error(path, error.message)], next_step=error.next_step) from None


def _claimed_by(service: ModelService) -> tuple[str, ...]:
    """The patterns of files that are the service's own: named one by one, not "everything"."""
    if service.spec.source is not None:
        files = [one.removeprefix("./") for one in service.spec.source.files]
        return tuple(one for one in files if one not in ("*", "**", ".", "") and not one.startswith("!"))
    return (service.spec.predictor.partition(":")[0],) if service.spec.predictor else ()


def _literal(name: str) -> str:
    """The pattern that matches this name only."""
    return re.sub(r"[*?\[]", r"[\g<0>]", name)


def _with_data(job: ModelJob, digests: Mapping[str, str]) -> ModelJob:
    inputs = {
        name: one.model_copy(update={"digest": digests[one.data]}) if one.data and one.digest is None else one
        for name, one in job.spec.inputs.items()
    }
    return _with_spec(job, inputs=inputs)


def _without_unused(project: Project) -> Project:
    """The project without the snapshots of those who name an image and run on a cluster: files that are not used must
    neither make a new version nor be sent. (A snapshot that the text names by digest is the hub's own word, given back:
    the image beside it was built of it.)"""
    objects = tuple(_by_image(one, project.snapshots) for one in project.objects)
    dropped = _sources(project.objects) - _sources(objects)
    inputs = {one.digest for job in objects if isinstance(job, ModelJob) for one in job.spec.inputs.values()}
    snapshots = {digest: one for digest, one in project.snapshots.items() if digest not in dropped - inputs}
    return replace(project, objects=objects, snapshots=snapshots)


def _by_image(obj: Object, taken: Mapping[str, Snapshot]) -> Object:
    if not isinstance(obj, ModelJob | ModelService) or obj.spec.cluster == LOCAL or not obj.spec.image:
        return obj
    source = obj.spec.source
    if source is None or source.digest not in taken:
        return obj
    return _with_spec(obj, source=Source() if isinstance(obj, ModelJob) else None)


def _sources(objects: Iterable[Object]) -> set[str]:
    found = (one.spec.source for one in objects if isinstance(one, ModelJob | ModelService | Model))
    return {source.digest for source in found if source is not None and source.digest is not None}


def _on(obj: Object, cluster: str) -> Object:
    if isinstance(obj, ModelJob | ModelService) and "cluster" not in obj.spec.model_fields_set:
        return _with_spec(obj, cluster=cluster)
    return obj


def _forcing(obj: Object, token: str) -> Object:
    if not isinstance(obj, ModelJob | ModelService):
        return obj
    annotations = {**obj.metadata.annotations, FORCE_CONFLICTS: "true", RETRY: token}
    return obj.model_copy(update={"metadata": obj.metadata.model_copy(update={"annotations": annotations})})


def _with_spec(obj: _Kind, **changes: Any) -> _Kind:
    return obj.model_copy(update={"spec": obj.spec.model_copy(update=changes)})
