"""What pip and uv are asked in a RUN: which requirements, from where. Pure.

Sources: https://pip.pypa.io/en/stable/cli/pip_install/, https://docs.astral.sh/uv/reference/cli/#uv-pip-install
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

VENV = "/opt/venv"


class NotPackages(ValueError):
    """A command that is no installation of packages; ``advice`` says what to do instead."""

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason)
        self.advice = advice


@dataclass(frozen=True, slots=True)
class Asked:
    """What commands ask for; ``options`` say where pip looks (``--index-url URL``).

    ``into``: where pip would have put it, when not among the interpreter's own packages. ``isolated``: in an
    environment made by ``python -m venv``, which does not see the interpreter's own.
    """

    requirements: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    into: tuple[str, ...] = ()
    isolated: bool = False
    notes: tuple[str, ...] = ()

    def __add__(self, other: Asked) -> Asked:
        return Asked(
            self.requirements + other.requirements,
            self.files + other.files,
            self.constraints + other.constraints,
            self.options + other.options,
            self.into + other.into,
            self.isolated or other.isolated,
            self.notes + other.notes,
        )


# fmt: off
# They say how pip works or what it prints, and nothing of which packages there are afterwards.
_IDLE = frozenset({
    "--break-system-packages", "--compile", "--compile-bytecode", "--debug", "--disable-pip-version-check", "--exact",
    "--force-reinstall", "--ignore-installed", "--native-tls", "--no-build-isolation", "--no-cache", "--no-cache-dir",
    "--no-color", "--no-compile", "--no-input", "--no-progress", "--no-python-version-warning", "--no-warn-conflicts",
    "--no-warn-script-location", "--offline", "--prefer-binary", "--quiet", "--refresh", "--reinstall",
    "--require-hashes", "--require-virtualenv", "--system", "--upgrade", "--verbose", "--verify-hashes",
})
_IDLE_WITH_VALUE = frozenset({
    "--cache-dir", "--default-timeout", "--exists-action", "--link-mode", "--log", "--progress-bar",
    "--reinstall-package", "--refresh-package", "--retries", "--root-user-action", "--timeout", "--trusted-host",
    "--upgrade-package", "--upgrade-strategy", "--use-feature",
})
# fmt: on
_WITH_VALUE = frozenset(
    {"--requirement", "--constraint", "--prefix", "--editable", "--only-binary", "--python", "--target"}
)
_SHORT = {"-r": "--requirement", "-c": "--constraint", "-i": "--index-url", "-f": "--find-links", "-e": "--editable"}
_SHORT |= {"-P": "--upgrade-package", "-p": "--python", "-t": "--target"}
_ALIASES = {"--requirements": "--requirement", "--constraints": "--constraint", "--default-index": "--index-url"}
_ALIASES |= {"--index": "--extra-index-url"}
_SOURCES = frozenset({"--index-url", "--extra-index-url", "--find-links"})
# What UV_* and PIP_* say beside options of a command, and that changes nothing either.
_IDLE_SETTINGS = _IDLE | _IDLE_WITH_VALUE | {"--http-timeout", "--python-downloads", "--system-python", "--version"}
_OFF = frozenset({"0", "false", "no", "off"})
_INTERPRETER = re.compile(r"(.*/)?python(3(\.\d+)?)?|/opt/venv/?")
_IDLE_COMMANDS = frozenset({"cache", "check", "debug", "freeze", "help", "inspect", "list", "show"})
_ARCHIVE = re.compile(r"\.(whl|tar\.gz|tar\.bz2|zip)(\[.*\])?$")
_DIRECT = re.compile(r"[\w.\[\],-]+\s*@\s*https?://")
_LOCAL = (
    "Install only what it needs (a requirements file), COPY the source, and let PYTHONPATH or WORKDIR find it; "
    "or build with --with buildah."
)


def pip(words: Sequence[str]) -> Asked:
    """What ``pip WORDS`` asks for. Raises NotPackages for what is no installation, or cannot be locked."""
    rest = list(words)
    while rest and rest[0].startswith("-"):  # pip --no-cache-dir install
        option = rest.pop(0)
        if option in ("--version", "-V", "--help", "-h"):
            return Asked()
        if option in _IDLE_WITH_VALUE and rest:
            rest.pop(0)
        elif option.partition("=")[0] not in _IDLE | _IDLE_WITH_VALUE and not re.fullmatch(r"-[qv]+", option):
            raise NotPackages(f"pip {option} is not understood")
    if not rest:
        return Asked()
    command, *arguments = rest
    if command in _IDLE_COMMANDS:
        return Asked(notes=(f"pip {command} changes nothing in the image",))
    if command != "install":
        raise NotPackages(f"pip {command} is not done here; pip install is")
    return install(arguments)


def uv(words: Sequence[str]) -> Asked:
    """What ``uv WORDS`` asks for. Raises NotPackages."""
    command = next((word for word in words if not word.startswith("-")), "")
    if command == "pip":
        return pip(words[words.index(command) + 1 :])
    if command == "venv":
        return venv(words[words.index(command) + 1 :])
    if command in ("", "cache"):
        return Asked()
    if command in ("add", "export", "lock", "run", "sync"):
        raise NotPackages(
            f"uv {command} reads a project, which is not done here",
            "Run `uv export --no-dev --no-emit-project -o requirements.txt` beside the Dockerfile, COPY that file, "
            "and RUN uv pip install --system -r requirements.txt.",
        )
    raise NotPackages(f"uv {command} is not done here; uv pip install is")


def venv(words: Sequence[str]) -> Asked:
    """What ``python -m venv WORDS`` means: packages are in /opt/venv anyway. Raises NotPackages for another folder."""
    folders = [word for word in words if not word.startswith("-")]
    if [folder.rstrip("/") for folder in folders] != [VENV]:
        where = " ".join(folders) or ".venv"
        raise NotPackages(
            f"the virtual environment would be {where}; here packages stand in {VENV}",
            f"Write {VENV} here and in what follows (ENV PATH, COPY --from).",
        )
    return Asked(into=(VENV,), isolated="--system-site-packages" not in words)


def install(words: Sequence[str]) -> Asked:
    """What ``pip install WORDS`` asks for. Raises NotPackages."""
    asked = Asked()
    for option, value in _options(words):
        match option:
            case "":
                asked += _requirement(value)
            case "--requirement":
                asked += Asked(files=(value,))
            case "--constraint":
                asked += Asked(constraints=(value,))
            case "--user":
                asked += Asked(into=("~/.local",))
            case "--prefix":
                asked += Asked(into=(value,))
            case "--editable":
                raise NotPackages(f"-e {value} is built from its source, which no lock can name", _LOCAL)
            case _ if option in _SOURCES:
                asked += Asked(options=(_source(option, value),))
            case "--no-index":
                asked += Asked(options=(option,))
            case "--pre":
                raise NotPackages("--pre lets any package be a pre-release", "Name the one: flask==4.0.0rc1.")
            case "--only-binary":
                asked += Asked(notes=("--only-binary: wheels are taken where there are some, as always here",))
            case "--python":
                if not _INTERPRETER.fullmatch(value):
                    raise NotPackages(f"--python {value} is another interpreter", "Leave it out: the base's is taken.")
            case _:
                raise NotPackages(f"{option} of pip install is not done here", "Leave it out, or --with buildah.")
    return asked


def of_variables(variables: Mapping[str, str]) -> Asked:
    """What ``PIP_*`` and ``UV_*`` say: they are options of each command. Raises NotPackages."""
    asked = Asked()
    for name, value in sorted(variables.items()):
        tool, _, rest = name.partition("_")
        option = f"--{rest.lower().replace('_', '-')}"
        option = _ALIASES.get(option, option)
        if tool not in ("PIP", "UV") or not value.strip() or option in _IDLE_SETTINGS:
            continue
        if option in _SOURCES or option == "--constraint":
            asked += install([word for one in value.replace(",", " ").split() for word in (option, one)])
        elif option != "--no-index":
            asked += Asked(notes=(f"{name} is passed over",))
        elif value.lower() not in _OFF:
            asked += Asked(options=(option,))
    return asked


def _options(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Options with their values, in long form; ``""`` for a requirement. What is idle is passed over."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            yield "", word
            continue
        option, equals, value = word.partition("=")
        if not option.startswith("--"):
            if re.fullmatch(r"-[UqvI]+", word):
                continue
            option, value, equals = _SHORT.get(word[:2], word[:2]), word[2:].removeprefix("="), word[2:]
        option = _ALIASES.get(option, option)
        if option in _IDLE:
            continue
        if option in _IDLE_WITH_VALUE | _SOURCES | _WITH_VALUE and not equals:
            if not rest:
                raise NotPackages(f"{option} of pip install needs a value")
            value = rest.pop(0)
        if option not in _IDLE_WITH_VALUE:
            yield option, value


def _requirement(word: str) -> Asked:
    if re.fullmatch(r"pip([<>=!~].*)?", word):
        return Asked(notes=("pip is not upgraded: it does not install the packages of this image",))
    archive = _ARCHIVE.search(word) is not None and "://" not in word
    if archive or word.startswith((".", "/", "~")) or "*" in word.partition("=")[0]:
        raise NotPackages(f"{word} is a path: it is built or read where pip runs, and no lock can name it", _LOCAL)
    if "://" in word and not _DIRECT.match(word):
        raise NotPackages(
            f"{word} is not a released version, so nothing says what it will be tomorrow",
            "Name a version that an index has (flask==3.1.3), or build with --with buildah.",
        )
    return Asked(requirements=(word,))


def _source(option: str, url: str) -> str:
    """``--index-url URL`` as a line. Raises NotPackages for credentials: they would stand in the lock."""
    url = re.sub(r"^[\w-]+=(?=https?://)", "", url)  # uv's indexes may have a name
    parts = urlsplit(url)
    if parts.password or parts.username:
        raise NotPackages(
            f"{option} has a user or a password in it, which would stand in the image's history and in the lock",
            "Put the URL into pip's configuration on this machine: it is read (pip config set global.index-url ...).",
        )
    if option == "--find-links" and parts.scheme not in ("http", "https"):
        raise NotPackages(f"--find-links {url} is a folder of the image, which is not there while packages are chosen")
    return f"{option} {url}"
