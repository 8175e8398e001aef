"""The files of a build context: what gets into an image from a folder, and what does not, with the reason.

Three things keep a file out. Never in: version control, environments, caches, ``.env``.
Ignored: by ``.gitignore`` and ``.shipwayignore``, or by Docker's file where a Dockerfile is built. Refused: secrets,
and files of a size that nobody means; for these the build ends, before anything is packed, unless ``--allow`` names
them. Links become what they point to, as in a snapshot.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from shipway.errors import Refused, UserError
from shipway.image.context.ignoring import DockerRules, GitRules, Ignoring
from shipway.image.context.litter import is_environment, is_private, why_never
from shipway.image.context.scanning import Statuses, listed, scan
from shipway.image.layer import Entry
from shipway.snapshot import IGNORE_FILE, Selection, SnapshotFile, matches_nothing, walk
from shipway.transfer import size

LARGE = 1 << 30  # bytes; a larger file is meant only when --allow says so


class LeftOut(NamedTuple):
    """A file, or a folder with all that is below it, that the patterns choose and the image does not get."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Context:
    """The files, sorted by name, their size in bytes, what was left out, and what else the user should know."""

    files: tuple[SnapshotFile, ...]
    left_out: tuple[LeftOut, ...]
    size: int
    notes: tuple[str, ...] = ()


def context(
    root: Path,
    patterns: Sequence[str] = ("**",),
    allow: Sequence[str] = (),
    *,
    dockerfile: str | None = None,
    scanned: Path | None = None,
) -> Context:
    """The files of ``root`` that the patterns choose (as in ``source.files``, see ``snapshot.collect``).

    ``allow`` names files, folders or globs that get in although they look like secrets, are large, or are an ``.env``.
    ``dockerfile`` is the name of the Dockerfile whose build it is. ``scanned`` is a folder of the cache: what was clean
    and did not change is not read again.

    Raises UserError for patterns and ``allow`` that match nothing or name what is left out, for links that leave the
    folder, dangle or go in a circle, for what is no file (a device, a socket), for what cannot be read and for names
    that are not UTF-8. Raises Refused, with all findings, for secrets and for files above 1 GiB.
    """
    root = root.resolve()
    if root.is_dir() and not os.access(root, os.R_OK | os.X_OK, effective_ids=True):
        raise UserError(f"{root} may not be read", next_step="Change its permissions, or run as its owner.")
    choice = _Choice(root, patterns, allow, dockerfile)
    files = choice.files()
    statuses = {file.name: _status(file) for file in files}
    _check_sizes(files, statuses, choice)
    asked = [file for file in files if not choice.allows(file.name)]
    _check_secrets(asked, statuses, None if scanned is None else scanned / _memory_name(root, patterns))
    return Context(
        files,
        tuple(sorted(choice.left_out)),
        sum(one.st_size for one in statuses.values()),
        tuple(
            f"{name}: the setuid or setgid bit is dropped"
            for name, status in statuses.items()
            if status.st_mode & (stat.S_ISUID | stat.S_ISGID)
        ),
    )


def entries(context: Context, at: str = "app") -> Iterator[Entry]:
    """The members of the code's layer, sorted by name: folders before what is in them, all below ``at``."""
    top = at.strip("/")
    placed = {f"{top}/{file.name}" if top else file.name: file for file in context.files}
    folders: set[str] = set()
    for name in placed:
        while (name := name.rpartition("/")[0]) and name not in folders:
            folders.add(name)
    for name in sorted({*placed, *folders}):
        file = placed.get(name)
        yield Entry(name, "folder") if file is None else Entry(name, content=file.path, executable=file.executable)


class _Choice:
    """Asks for each name whether it gets in, and keeps the reasons against it."""

    def __init__(self, root: Path, patterns: Sequence[str], allow: Sequence[str], dockerfile: str | None) -> None:
        self.left_out: list[LeftOut] = []
        self._root = root
        self._patterns = patterns
        self._selection = Selection.of(root, patterns)
        self._ignoring = _ignoring(root, dockerfile)
        self._allowed = [(one, Selection([_checked(one)])) for one in allow]
        self._brought_back: list[str] = []  # folders, with "/", against which an ignore file has no word

    def files(self) -> tuple[SnapshotFile, ...]:
        """The files, after everything was asked that needs no look into them."""
        files = tuple(file for file in walk(self._root, self._keeps) if self._keeps_target(file))
        for name in self._selection.named:
            self._check_named(name, files)
        for pattern, selection in self._allowed:
            if not any(selection.chooses(file.name, False) for file in files):
                raise UserError(
                    f"--allow {pattern} matches no file that gets into the image",
                    next_step="Name a file, a folder or a glob as the error did, relative to the folder; or drop it.",
                )
        if not files:
            raise UserError(
                f"no file in {self._root} is left for the image: {', '.join(self._patterns) or '**'}",
                next_step=f"Change source.files, or see what .gitignore and {IGNORE_FILE} exclude.",
            )
        return files

    def allows(self, name: str) -> bool:
        return any(selection.chooses(name, False) for _, selection in self._allowed)

    def _keeps(self, name: str, is_folder: bool) -> bool:
        if not self._selection.chooses(name, is_folder):
            return False
        why = self._why(name, is_folder)
        if why:
            self.left_out.append(LeftOut(name, why))
        return not why

    def _why(self, name: str, is_folder: bool) -> str:
        why = why_never(name)
        if why and not (is_private(name) and not is_folder and self.allows(name)):
            return why
        if is_folder and is_environment(self._root / name):
            return "a virtual environment"
        if self._selection.drops(name):
            return "excluded by '!'"
        own = self._selection.ignores(name, is_folder)
        if own is not None:
            self._brought_back += [f"{name}/"] if is_folder and not own else []
            return IGNORE_FILE if own else ""
        if any(name.startswith(folder) for folder in self._brought_back):
            return ""
        if is_folder and self._ignoring.enters(name):
            return ""
        return self._ignoring.why(name, is_folder)

    def _keeps_target(self, file: SnapshotFile) -> bool:
        """Whether a link leads to what may get in: ``settings -> .env`` would bring it in by another name."""
        if str(file.path) == f"{self._root}/{file.name}":
            return True
        target = file.path.relative_to(self._root)
        steps = [target, *target.parents][:-1]
        why = next((why for step in steps if (why := why_never(step.as_posix()))), "")
        if not why or (is_private(target.as_posix()) and self.allows(file.name)):
            return True
        self.left_out.append(LeftOut(file.name, f"a link to {target}: {why}"))
        return False

    def _check_named(self, name: str, files: Sequence[SnapshotFile]) -> None:
        """What is named literally must not be missing in silence."""
        if any(file.name == name or file.name.startswith(f"{name}/") for file in files):
            return
        for one in self.left_out:
            if f"{name}/".startswith(f"{one.name}/") or one.name.startswith(f"{name}/"):
                raise UserError(
                    f"{name} is named, and does not get in: {one.name} is left out ({one.why})", next_step=_way_in(one)
                )
        raise matches_nothing(self._root, name)


def _ignoring(root: Path, dockerfile: str | None) -> Ignoring:
    if dockerfile is not None:
        rules = DockerRules(root, dockerfile)
        if rules.exists:
            return rules
    return GitRules(root)


def _checked(allow: str) -> str:
    if allow.startswith("!"):
        raise UserError(f"--allow {allow}: it says what gets in, and '!' has no meaning there")
    return allow


def _way_in(one: LeftOut) -> str:
    if is_private(one.name):
        return f"It may hold secrets. If it holds none: --allow {one.name}"
    if why_never(one.name) or one.why.startswith(("a ", "excluded")):
        return "Remove it from the patterns."
    return f"Write the line '!{one.name}' at the end of {IGNORE_FILE}, or remove it from the patterns."


def _status(file: SnapshotFile) -> os.stat_result:
    try:
        return file.path.stat()
    except OSError as error:
        raise UserError(
            f"{file.name} changed while the folder was read: {error.strerror}", next_step="Run the command again."
        ) from error


def _memory_name(root: Path, patterns: Sequence[str]) -> str:
    """A memory for each choice of files: two workloads of one folder would drive each other's files out of it."""
    return hashlib.sha256(os.fsencode("\0".join([str(root), *patterns]))).hexdigest()[:32] + ".json"


def _check_sizes(files: Sequence[SnapshotFile], statuses: Statuses, choice: _Choice) -> None:
    large = [file.name for file in files if statuses[file.name].st_size > LARGE and not choice.allows(file.name)]
    if large:
        total = size(sum(one.st_size for one in statuses.values()))
        lines = [f"  {name}: {size(statuses[name].st_size)}" for name in large]
        raise Refused(
            f"files above 1 GiB would get into the image, of {total} in {len(files)} files:\n{listed(lines)}",
            next_step=f"Exclude them in {IGNORE_FILE}; a model has its own place (--model NAME:VERSION). "
            f"If they are meant: --allow {large[0]}",
        )


def _check_secrets(files: Sequence[SnapshotFile], statuses: Statuses, memory: Path | None) -> None:
    found = scan(files, statuses, memory)
    if found:
        count = f"{len(found)} secrets" if len(found) > 1 else "a secret"
        raise Refused(
            f"{count} would get into the image:\n" + listed([f"  {one}" for one in found]),
            next_step=f"Take them out (a service gets secrets by `shipway secret`), or exclude the files in "
            f"{IGNORE_FILE}. What is no secret: --allow {found[0].name}",
        )
