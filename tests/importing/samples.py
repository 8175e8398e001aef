"""Tutorials' YAML, and what `shipway import` makes of it; `python -m tests.importing.samples` writes the latter."""

from __future__ import annotations

from pathlib import Path

from shipway.importing import Imported, convert, read, written

FOLDER = Path(__file__).parent / "samples"
NAMES = tuple(sorted(one.stem for one in FOLDER.glob("*.yaml")))


def imported(*names: str) -> Imported:
    texts = [(FOLDER / f"{name}.yaml").read_text() for name in names]
    return convert([one for name, text in zip(names, texts, strict=True) for one in read(text, f"{name}.yaml")])


def told(name: str) -> str:
    """All that the command says of a sample."""
    found = imported(name)
    lines = [
        *(f"# not carried over: {one}" for one in found.losses),
        *(f"# note: {one}" for one in found.here),
        *(f"# secret: {one.command}" for one in found.secrets),
    ]
    return written(found.objects, f"{name}.yaml") + "".join(f"{line}\n" for line in lines)


def golden(name: str) -> Path:
    return FOLDER.parent / "golden" / f"{name}.yaml"


if __name__ == "__main__":
    for one in NAMES:
        golden(one).write_text(told(one))
