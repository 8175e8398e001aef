"""Snapshots: which files of a folder, as one deterministic tar whose digest names them.

The digest is the sha256 of the tar's bytes: equal names, contents and executable bits give equal digests,
whatever the clock, the owner, the umask or the order of the disk. The tar is later the layer of an OCI
artifact. Only the standard library and our errors are used here: the CLI imports this on its way.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Self, cast

from shipway.errors import UserError

IGNORE_FILE = ".shipwayignore"

_NEVER_TAKEN = {
    *(".git", ".venv", "venv", "node_modules", ".ipynb_checkpoints", ".DS_Store", IGNORE_FILE),
    *("__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
}
# "**/" is any number of folders only where it begins a segment; "[...]" is a class of characters.
_GLOB_TOKEN = re.compile(r"(?:(?<=/)|^)\*\*/|\*\*|\*|\?|\[!?\]?[^\]/]*\]|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """One file of a snapshot: its name in it (relative, with ``/``) and where to read it."""

    name: str
    path: Path
    executable: bool = False


# -- which files


def collect(root: Path, patterns: Sequence[str], *, may_be_empty: bool = False) -> tuple[SnapshotFile, ...]:
    """The files of ``root`` that the patterns choose, sorted by name.

    A pattern is relative to ``root``: ``*`` and ``?`` stay within a folder, ``**`` crosses folders, a name without
    them stands for a file or for all below a folder. A leading ``!`` excludes, wherever it stands in the list; with
    nothing but exclusions the rest is ``**``. Never taken: ``.git``, ``venv``, caches, compiled Python, and what
    ``.shipwayignore`` names (lines as in .gitignore). A link is stored as what it points to.

    Raises UserError when a name matches nothing, when nothing is left (unless it ``may_be_empty``), and for a link
    that leaves ``root``.
    """
    selection = Selection.of(root, patterns)
    files = tuple(walk(root, selection.keeps))
    for name in selection.named:
        if not any(_covers(name, file.name) for file in files):
            raise matches_nothing(root, name)
    if not files and not may_be_empty:
        raise UserError(
            f"no file in {root} matches {', '.join(patterns)}",
            next_step=f"Change the patterns, or see what {IGNORE_FILE} excludes.",
        )
    return files


def collect_path(path: Path) -> tuple[SnapshotFile, ...]:
    """A single file, or all files of a folder as :func:`collect` takes them. Raises UserError."""
    if path.is_file():
        return (SnapshotFile(_utf8(path.name, path), path, _is_executable(path.stat())),)
    if not path.is_dir():
        raise matches_nothing(path.parent, path.name)
    return collect(path, ("**",))


def walk(root: Path, keeps: Callable[[str, bool], bool] = lambda name, is_folder: True) -> Iterator[SnapshotFile]:
    """All files under ``root``, sorted by name; ``keeps(name, is_folder)`` says which, and which folders to enter.

    Links are followed inside ``root`` only. Raises UserError for a link that leaves it, dangles or goes in a circle,
    for what is neither file nor folder, and for names that are not UTF-8.
    """
    if not root.is_dir():
        raise UserError(f"{root} is not a folder")
    real = root.resolve()
    yield from sorted(_visit(real, real, "", (real,), keeps), key=lambda file: file.name)


def _visit(
    root: Path, folder: Path, prefix: str, above: tuple[Path, ...], keeps: Callable[[str, bool], bool]
) -> Iterator[SnapshotFile]:
    try:
        with os.scandir(folder) as scan:
            entries = list(scan)
    except PermissionError as error:
        raise UserError(f"{folder} may not be read: {error.strerror}", next_step="Exclude it with '!'.") from error
    for entry in entries:
        name = prefix + _utf8(entry.name, folder)
        is_folder = _is_folder(entry)
        if not keeps(name, is_folder):
            continue
        path = _followed(root, name, Path(entry.path)) if entry.is_symlink() else Path(entry.path)
        if is_folder:
            if path in above:
                raise UserError(f"the link {name} leads to a folder that holds it", next_step=f"Exclude it: '!{name}'.")
            yield from _visit(root, path, f"{name}/", (*above, path), keeps)
        elif entry.is_file():
            yield SnapshotFile(name, path, _is_executable(entry.stat()))
        else:
            raise UserError(f"{name} is neither a file nor a folder", next_step=f"Exclude it: '!{name}'.")


def _followed(root: Path, name: str, link: Path) -> Path:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise UserError(f"the link {name} leads nowhere", next_step=f"Mend it, or exclude it: '!{name}'.") from error
    if not target.is_relative_to(root):
        raise UserError(
            f"the link {name} points to {target}, outside {root}",
            next_step=f"Copy what it points to, or exclude it: '!{name}'.",
        )
    return target


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that goes in a circle
        return False


def _is_executable(status: os.stat_result) -> bool:
    return bool(status.st_mode & 0o100)


def _utf8(name: str, where: Path) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"a file name in {where} is not UTF-8: {name!r}", next_step="Rename the file.") from None
    return name


# -- patterns


class Selection:
    """The patterns of one snapshot, compiled: which names they choose, and what of these is left out all the same.

    A build context (image/context) asks the questions one by one, because it tells the user the answers.
    """

    def __init__(self, patterns: Sequence[str], ignored: Sequence[str] = ()) -> None:
        chosen = [_normal(pattern) for pattern in patterns if not pattern.startswith("!")] or ["**"]
        dropped = [_normal(pattern[1:]) for pattern in patterns if pattern.startswith("!")]
        globs = [glob for pattern in chosen for glob in _expanded(pattern)]
        self.named = tuple(name for name in chosen if not _is_glob(name))
        self._files = _compile(_translate(glob) for glob in globs)
        self._folders = _compile(_above(glob) for glob in globs)
        self._dropped = _compile(_translate(pattern) for pattern in dropped)
        self._ignored = [_ignore_rule(line) for line in ignored]

    @classmethod
    def of(cls, root: Path, patterns: Sequence[str]) -> Self:
        """With the lines of the folder's ``.shipwayignore``. Raises UserError for a pattern that is none."""
        return cls(patterns, _ignore_lines(root))

    def keeps(self, name: str, is_folder: bool) -> bool:
        """Whether the file is taken, the folder entered."""
        if is_litter(name) or self.drops(name) or self.ignores(name, is_folder):
            return False
        return self.chooses(name, is_folder)

    def chooses(self, name: str, is_folder: bool) -> bool:
        """Whether a pattern takes the file, or may take one below the folder."""
        return bool((self._folders if is_folder else self._files).fullmatch(name))

    def drops(self, name: str) -> bool:
        """Whether a pattern with ``!`` excludes it."""
        return bool(self._dropped.fullmatch(name))

    def ignores(self, name: str, is_folder: bool) -> bool | None:
        """What the last line of the ignore file that fits says; None: no line speaks of it."""
        verdict = None
        for pattern, folders_only, verdict_of_rule in self._ignored:
            if (is_folder or not folders_only) and pattern.fullmatch(name):
                verdict = verdict_of_rule
        return verdict


def is_litter(name: str) -> bool:
    """Whether no snapshot takes it: version control, environments, caches, compiled Python."""
    base = name.rpartition("/")[2]
    # ".#name" is the lock of an editor: a link to a process, not to a file.
    return base in _NEVER_TAKEN or base.endswith(".pyc") or base.startswith(".#")


def _ignore_lines(root: Path) -> list[str]:
    path = root / IGNORE_FILE
    if not path.is_file():
        return []
    lines = (line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _ignore_rule(line: str) -> tuple[re.Pattern[str], bool, bool]:
    ignores, body = not line.startswith("!"), line.removeprefix("!")
    folders_only, body = body.endswith("/"), body.rstrip("/")
    anywhere = "/" not in body
    return _compile([_translate(f"**/{body}" if anywhere else body.lstrip("/"))]), folders_only, ignores


def _normal(pattern: str) -> str:
    normal = "**" if pattern in (".", "./") else pattern.removeprefix("./")
    if not normal or normal.startswith("/") or ".." in normal.split("/"):
        raise UserError(f"the pattern {pattern!r} leaves the folder: write it relative, without '..'")
    return f"{normal}**" if normal.endswith("/") else normal


def _expanded(pattern: str) -> tuple[str, ...]:
    return (pattern,) if _is_glob(pattern) else (pattern, f"{pattern}/**")


def _is_glob(pattern: str) -> bool:
    return any(character in pattern for character in "*?[")


def _covers(name: str, file: str) -> bool:
    return file == name or file.startswith(f"{name}/")


def _translate(glob: str) -> str:
    return "".join(_token(token) for token in _GLOB_TOKEN.findall(glob))


def _token(token: str) -> str:
    fixed = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if token in fixed:
        return fixed[token]
    if len(token) > 1:
        negated = token.startswith("[!")
        body = re.sub(r"([\\^\[\]])", r"\\\1", token[2 if negated else 1 : -1])
        return f"[^/{body}]" if negated else f"[{body}]"
    return re.escape(token)


def _above(glob: str) -> str:
    """A regular expression for the folders that may hold a match: the others need no visit."""
    head, _, rest = glob.partition("/")
    if "**" in head:
        return ".*"
    return f"{_translate(head)}(?:/{_above(rest)})?" if rest else "(?!)"


def _compile(expressions: Iterable[str]) -> re.Pattern[str]:
    try:
        return re.compile("|".join(f"(?:{one})" for one in expressions) or "(?!)", re.DOTALL)
    except re.error as error:
        raise UserError(f"a pattern is not a glob: {error}", next_step="Use *, ?, ** and [abc] or [a-z].") from error


def matches_nothing(root: Path, name: str) -> UserError:
    """The error for a name that chooses no file of the folder, with what is near to it."""
    if (root / name).exists():
        return UserError(
            f"{name} in {root} is always left out, excluded by '!' or {IGNORE_FILE}, or has no files",
            next_step="Remove it from the patterns, or remove what excludes it.",
        )
    near = difflib.get_close_matches(name, _names(root), n=3, cutoff=0.5)
    hint = f"Nearest: {', '.join(near)}." if near else "Write a file, a folder or a pattern like '*.py'."
    return UserError(f"{name} matches nothing in {root}", next_step=hint)


def _names(root: Path) -> list[str]:
    try:
        files = [file.name for file in walk(root, Selection(["**"]).keeps)]
    except UserError:  # a bad link elsewhere must not hide the error that is being told
        return []
    return sorted({*files, *(parent.as_posix() for file in files for parent in PurePosixPath(file).parents)})


# -- the tar


def write_tar(files: Iterable[SnapshotFile], out: BinaryIO) -> str:
    """Write the files as a deterministic PAX tar; its digest.

    Names sorted, mtime, uid and gid 0, modes 0644 or 0755, no entries for folders. Raises UserError for a file that
    cannot be read or that changes meanwhile; an OSError of ``out`` passes through.
    """
    sink = _HashingWriter(out)
    with tarfile.TarFile(fileobj=cast("BinaryIO", sink), mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in sorted(files, key=lambda one: one.name):
            _add(tar, file)
    return "sha256:" + sink.hasher.hexdigest()


def _add(tar: tarfile.TarFile, file: SnapshotFile) -> None:
    try:
        content = file.path.open("rb")
    except OSError as error:
        raise UserError(f"{file.path} cannot be read: {error.strerror}") from error
    with content:
        header = tarfile.TarInfo(file.name)
        header.size = os.fstat(content.fileno()).st_size
        header.mode = 0o755 if file.executable else 0o644
        try:
            tar.addfile(header, content)
        except OSError as error:
            if error.errno is not None:
                raise
            # tarfile's own "unexpected end of data": the file was cut after its size was read.
            raise UserError(f"{file.path} changed while it was read", next_step="Run the command again.") from error


class _HashingWriter:
    """What tarfile needs of a file: write and tell."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._size = 0
        self.hasher = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._out.write(data)
        self.hasher.update(data)
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size
