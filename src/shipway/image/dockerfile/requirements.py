"""Requirements files of an image: their lines, with those that they include. Pure over who reads a file.

Source: https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, replace

from shipway.errors import UserError
from shipway.image.dockerfile.meaning import Install
from shipway.image.dockerfile.pip import Asked, NotPackages, install
from shipway.image.dockerfile.value import wrong
from shipway.image.lock.asked import parse

_DEEPEST = 20  # files that include each other


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the files that one RUN names. ``text`` gives the text of an absolute path, or raises what it likes."""

    step: Install
    text: Callable[[str], str]

    def gathered(self) -> Asked:
        """All that the RUN asks for, with nothing left in files, and its one ``--index-url``: the last, or without
        address that of the machine. Raises UserError with the line of the RUN."""
        asked = replace(self.step.asked, files=(), constraints=())
        for line in asked.requirements:
            self._check(line)
        for name in self.step.asked.files:
            asked += self._file(self._path(name), ())
        for name in self.step.asked.constraints:
            asked += self._constraints(self._path(name))
        indexes = [one for one in asked.options if one.startswith("--index-url")]
        if asked.requirements and "--no-index" not in asked.options:
            options = tuple(one for one in asked.options if one not in indexes)
            return replace(asked, options=(indexes[-1] if indexes else "--index-url", *options))
        return asked

    def _check(self, line: str, path: str = "") -> None:
        """What the lock would refuse is told with the line of the RUN."""
        try:
            parse(line)
        except UserError as error:
            told = f"{path}: {error.message}" if path else error.message
            raise wrong(self.step.at, told, error.next_step) from error

    def _path(self, name: str) -> str:
        if "://" in name:
            raise wrong(self.step.at, f"{name} is not fetched", "COPY the file, and name it.")
        return posixpath.normpath(posixpath.join(self.step.workdir, name))

    def _file(self, path: str, above: tuple[str, ...]) -> Asked:
        if path in above or len(above) > _DEEPEST:
            raise wrong(self.step.at, f"{path} includes itself")
        asked = Asked()
        for line in lines(self.text(path)):
            if not line.startswith("-"):
                self._check(line, path)
                asked += Asked(requirements=(line,))
                continue
            try:
                said = install(_words(line))
            except NotPackages as error:
                raise wrong(self.step.at, f"{path}: {line}: {error}", error.advice) from error
            asked += replace(said, files=(), constraints=())
            for name in said.files:
                asked += self._file(posixpath.join(posixpath.dirname(path), name), (*above, path))
            for name in said.constraints:
                asked += self._constraints(posixpath.join(posixpath.dirname(path), name))
        return asked

    def _constraints(self, path: str) -> Asked:
        found = lines(self.text(posixpath.normpath(path)))
        for line in found:
            self._check(line, path)
        return Asked(constraints=found)


def lines(text: str) -> tuple[str, ...]:
    """The lines that say something, continued ones joined, comments gone."""
    found = []
    for raw in text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\\\n", "").split("\n"):
        line = "" if raw.lstrip().startswith("#") else raw.partition(" #")[0].strip()
        if line:
            found.append(line)
    return tuple(found)


def _words(line: str) -> list[str]:
    option, _, value = line.partition(" ") if "=" not in line.split()[0] else line.partition("=")
    return [option, value.strip()] if value else [option]
