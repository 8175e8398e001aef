"""What is never part of an image, by its name: version control, editors, environments, caches, and ``.env``. Pure but
for one look into a folder."""

from __future__ import annotations

from pathlib import Path

from shipway.snapshot import is_litter

_FOLDERS_AND_FILES = {
    **dict.fromkeys(
        (".git", ".gitignore", ".gitattributes", ".gitmodules", ".hg", ".hgignore", ".svn", ".bzr", ".jj", "CVS"),
        "version control",
    ),
    **dict.fromkeys((".dockerignore", ".shipwayignore"), "says what does not get in"),
    **dict.fromkeys((".idea", ".vscode", ".vs", ".ropeproject", ".direnv", ".DS_Store", "Thumbs.db"), "an editor's"),
    **dict.fromkeys((".tox", ".nox", ".eggs", ".hypothesis", ".coverage", ".pytype", ".pyre"), "a cache"),
}
_ENDINGS = (".swp", ".swo", "~", ".pyo")
_PUBLIC_ENV = (".env.example", ".env.sample", ".env.template", ".env.dist")


def why_never(name: str) -> str:
    """Why the file or folder is in no image; empty when it may be."""
    base = name.rpartition("/")[2]
    if base in _FOLDERS_AND_FILES:
        return _FOLDERS_AND_FILES[base]
    if is_private(name):
        return "may hold secrets"
    if is_litter(name) or base.endswith(_ENDINGS) or base.startswith(("._", ".~lock.")):
        return "a cache, an environment or an editor's"
    return ""


def is_private(name: str) -> bool:
    """Whether it is the place where people keep what is not for others: ``.env`` and its like."""
    base = name.rpartition("/")[2]
    return base in (".env", ".envrc") or (base.startswith(".env.") and base not in _PUBLIC_ENV)


def is_environment(folder: Path) -> bool:
    """Whether the folder is a virtual environment, or one of conda, whatever its name."""
    try:
        return (folder / "pyvenv.cfg").is_file() or (folder / "conda-meta").is_dir()
    except PermissionError:  # the walk says so in a better place
        return False
