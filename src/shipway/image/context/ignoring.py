"""What the ignore files of a project say of a name: git's, with all their places, and Docker's, whose rules differ.

Sources: gitignore(5); gitrepository-layout(5) for ``.git`` files and ``commondir``; moby/patternmatcher, which reads
.dockerignore. A user's global excludes (``core.excludesFile``) do not count: two users get the same image.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shipway.errors import UserError


class Ignoring(Protocol):
    """Says why a name is ignored: ``pkg/.gitignore:3: *.log``; empty when it is not."""

    def why(self, name: str, is_folder: bool) -> str: ...

    def enters(self, name: str) -> bool:
        """Whether an ignored folder must be looked into, because something below it may not be ignored."""
        ...


class GitRules:
    """All ``.gitignore`` files that hold for a folder: its own, nested ones, those above up to the repository's root,
    and ``.git/info/exclude``. A name is asked for only when no folder above it is ignored, as git walks too.

    A folder that its repository ignores as a whole was named on purpose: what ignores it does not count then.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._top = next((folder for folder in (root, *root.parents) if _is_repository(folder)), root)
        self._prefix = "" if self._top == root else f"{root.relative_to(self._top).as_posix()}/"
        self._chains = {"": self._chain_of_top()}
        if any(self._asked(step, True) for step in _steps(self._prefix.rstrip("/"))):
            self._top, self._prefix = root, ""
            self._chains = {"": _read(root / ".gitignore", ".gitignore")}

    def why(self, name: str, is_folder: bool) -> str:
        return self._asked(self._prefix + name, is_folder)

    def enters(self, name: str) -> bool:
        return False  # gitignore(5): "not possible to re-include a file if a parent directory of that is excluded"

    def _asked(self, path: str, is_folder: bool) -> str:
        for cut, lines in self._chain(path.rpartition("/")[0]):
            found = lines.verdict(path[cut:], is_folder)
            if found is not None:
                return found
        return ""

    def _chain(self, folder: str) -> _Chain:
        """The ignore files that speak of names in the folder, the nearest first: it has the last word."""
        chain = self._chains.get(folder)
        if chain is None:
            path = self._top / folder / ".gitignore"
            title = str(path.relative_to(self._root)) if path.is_relative_to(self._root) else str(path)
            higher = self._chain(folder.rpartition("/")[0])
            chain = self._chains[folder] = (*_read(path, title, len(folder) + 1), *higher)
        return chain

    def _chain_of_top(self) -> _Chain:
        path = self._top / ".gitignore"
        exclude = _git_folder(self._top / ".git") / "info" / "exclude"
        return (
            *_read(path, ".gitignore" if self._top == self._root else str(path)),
            *_read(exclude, ".git/info/exclude"),
        )


class _GitLines:
    """One ignore file, compiled. All lines are asked at once first: most names are ignored by none.

    pathspec, which reads such lines too, decides about files and lets ``!config/`` bring back ``config/a.key`` from
    ``*.key``; git brings back the folder only. It would also need 42 µs for a name and 120 lines; this needs 3.
    """

    def __init__(self, text: str, title: str) -> None:
        lines = (line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n"))
        self._rules = [rule for line in lines if (rule := _git_rule(line, title)) is not None]
        self._bases = _any(rule.pattern for rule in self._rules if rule.by_base)
        self._paths = _any(rule.pattern for rule in self._rules if not rule.by_base)

    def verdict(self, path: str, is_folder: bool) -> str | None:
        """The line that ignores it; empty when one brings it back; None when no line speaks of it."""
        base = path.rpartition("/")[2]
        if not self._bases.fullmatch(base) and not self._paths.fullmatch(path):
            return None
        for rule in reversed(self._rules):
            if (is_folder or not rule.folders_only) and rule.pattern.fullmatch(base if rule.by_base else path):
                return rule.why
        return None


_Chain = tuple[tuple[int, _GitLines], ...]  # with the number of characters that a name loses for each


@dataclass(frozen=True, slots=True)
class _GitRule:
    pattern: re.Pattern[str]
    by_base: bool  # it has no slash: the last part of a name is asked, wherever it stands
    folders_only: bool
    why: str  # empty: the line begins with "!"


def _git_rule(line: str, title: str) -> _GitRule | None:
    body = re.sub(r"(?<!\\) +$", "", line)
    if not body or body.startswith("#"):
        return None
    ignores, body = not body.startswith("!"), body.removeprefix("!")
    folders_only, body = body.endswith("/"), body.removesuffix("/")
    if not body:
        return None
    try:
        pattern = re.compile(_git_expression(body.removeprefix("/")), re.DOTALL)
    except re.error:  # "[z-a]": git takes it for a line that fits nothing
        return None
    return _GitRule(pattern, "/" not in body, folders_only, f"{title}: {line.strip()}" if ignores else "")


# "**" crosses folders only where it is all between two slashes; "\\x" is x; "[...]" a class, where "]" may come first.
_GIT_TOKEN = re.compile(
    r"(?:(?<=/)|^)\*{2,}/|(?:(?<=/)|^)\*{2,}$|\*+|\?|\[[!^]?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]|\\.|.", re.DOTALL
)
_GIT_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "xdigit": "0-9a-fA-F",
    "space": r"\s",
    "blank": r" \t",
    "punct": r"!-/:-@\[-`{-~",
}


def _git_expression(pattern: str) -> str:
    return "".join(_git_token(token[0], at_end=token.end() == len(pattern)) for token in _GIT_TOKEN.finditer(pattern))


def _git_token(token: str, at_end: bool) -> str:
    if token.startswith("**") and token.endswith("/"):
        return "(?:.*/)?"
    if token.startswith("*"):
        return ".*" if at_end and len(token) > 1 else "[^/]*"
    if token == "?":
        return "[^/]"
    if token.startswith("[") and len(token) > 1:
        negated = token[1] in "!^"
        body = token[2 if negated else 1 : -1]
        return f"(?!/)[{'^' if negated else ''}{_CLASS_PART.sub(_class_part, body)}]"
    if token in ("[", "\\"):  # without its end
        return "(?!)"
    return re.escape(token[-1])


_CLASS_PART = re.compile(r"\[:(\w+):\]|\\(.)|([^-])", re.DOTALL)


def _class_part(part: re.Match[str]) -> str:
    return _GIT_CLASSES.get(part[1], "") if part[1] else re.escape(part[2] or part[3])


def _any(patterns: Iterable[re.Pattern[str]]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{one.pattern})" for one in patterns) or "(?!)", re.DOTALL)


def _read(path: Path, title: str, cut: int = 0) -> _Chain:
    text = _text(path)
    return ((cut, _GitLines(text, title)),) if text.strip() else ()


class DockerRules:
    """``.dockerignore``: patterns hold from the folder's top, ``*`` stays in a folder, the last line that fits wins,
    and a line with ``!`` brings back also what lies below an excluded folder.

    Docker prefers ``NAME.dockerignore`` beside a Dockerfile of that name.
    """

    def __init__(self, root: Path, dockerfile: str = "Dockerfile") -> None:
        own = f"{dockerfile}.dockerignore"
        self._title = own if (root / own).is_file() else ".dockerignore"
        self.exists = (root / self._title).is_file()
        self._rules = tuple(self._read(_text(root / self._title)))
        self._brings_back = any(not excludes for _, excludes, _ in self._rules)

    def why(self, name: str, is_folder: bool) -> str:
        why = ""
        paths = _steps(name)
        for pattern, excludes, line in self._rules:
            if excludes == (not why) and any(pattern.fullmatch(path) for path in paths):
                why = f"{self._title}: {line}" if excludes else ""
        return why

    def enters(self, name: str) -> bool:
        return self._brings_back

    def _read(self, text: str) -> Iterable[tuple[re.Pattern[str], bool, str]]:
        for line in text.removeprefix("\ufeff").splitlines():
            body = line.strip()
            if not body or line.startswith("#") or body == "!":
                continue
            excludes, body = not body.startswith("!"), body.removeprefix("!").strip()
            clean = posixpath.normpath(body).lstrip("/")
            try:
                yield re.compile(_docker_expression(clean), re.DOTALL), excludes, line.strip()
            except re.error as error:
                raise UserError(f"{self._title}: {line!r} is not a pattern: {error}", next_step="Correct it.") from None


_DOCKER_TOKEN = re.compile(r"\*\*/?$|\*\*/?|\*|\?|\\.|\[|\]|.", re.DOTALL)
_DOCKER_FIXED = {"**": "(?:.*/)?", "**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]", "[": "[", "]": "]"}


def _docker_expression(pattern: str) -> str:
    tokens = list(_DOCKER_TOKEN.finditer(pattern))
    parts = []
    for token in tokens:
        text = token[0]
        if text.startswith("**") and token.end() == len(pattern):
            parts.append(".*")
        elif text in _DOCKER_FIXED:
            parts.append(_DOCKER_FIXED[text])
        elif len(text) == 2:  # a backslash and what it takes the meaning from
            parts.append(re.escape(text[1]))
        else:
            parts.append(text if text in "^-" else re.escape(text))
    return "".join(parts)


def _is_repository(folder: Path) -> bool:
    try:
        return (folder / ".git").exists()
    except PermissionError:  # somebody else's folder above ours: git sees no repository there either
        return False


def _git_folder(git: Path) -> Path:
    """Where the repository keeps ``info``: a worktree's or submodule's ``.git`` is a file that names its folder."""
    if git.is_dir():
        return git
    folder = git.parent / _text(git).removeprefix("gitdir:").strip()
    common = _text(folder / "commondir").strip()
    return folder / common if common else folder


def _steps(name: str) -> Sequence[str]:
    """The folders above a name, the highest first, and the name: ``a``, ``a/b``, ``a/b/c``."""
    parts = name.split("/") if name else []
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _text(path: Path) -> str:
    """The file's text; empty where there is none, as git and Docker take it."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""
    except OSError as error:
        raise UserError(
            f"{path} cannot be read: {error.strerror}", next_step="Make it readable, or remove it."
        ) from error
