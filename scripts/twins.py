"""Write the synchronous twins: ``python scripts/twins.py`` makes ``NAME.py`` of every ``NAME_async.py``.

The words that make Python asynchronous are taken away, names get their other form, and ruff puts the imports in order.
``tests/sdk/test_twins.py`` compares what stands in the tree with what this would write.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "shipway"
HEADER = "# Written by scripts/twins.py from {name}: change that one, and run `make twins`.\n"

RULES = [
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"(?:await )?asyncio\.to_thread\(([\w.]+)\)", r"\1()"),
        (r"(?:await )?asyncio\.to_thread\(([\w.]+), ", r"\1("),
        (r"\bshipway\.async_client\b", "shipway.client"),
        (r"\basync (def|for|with)\b", r"\1"),
        (r"\bawait ", ""),
        (r"\bAwaitable\[(\w+)\]", r"\1"),
        (r"\bAsyncGenerator\[(.+?), None\]", r"Generator[\1, None, None]"),
        (r"\bAsync(\w+)", r"\1"),
        (r"\b__a(enter|exit)__\b", r"__\1__"),
        (r"\baclosing\b", "closing"),
        (r"\banext\b", "next"),
        (r"\b(\w+)_async\b", r"\1"),
    )
]


def sources() -> list[Path]:
    """The modules that have a twin."""
    return sorted(SOURCE.rglob("*_async.py"))


def twin_of(source: Path) -> Path:
    """Where the twin stands."""
    return source.with_name(source.name.replace("_async.py", ".py"))


def twin(source: Path) -> str:
    """The text of the twin."""
    text = source.read_text()
    for pattern, plain in RULES:
        text = pattern.sub(plain, text)
    return _formatted(HEADER.format(name=source.name) + text, twin_of(source))


def _formatted(text: str, file: Path) -> str:
    ruff = [sys.executable, "-m", "ruff"]
    name = ["--stdin-filename", str(file), "--quiet", "-"]
    for command in (["check", "--fix-only", "--select", "I,F401"], ["format"]):
        text = subprocess.run([*ruff, *command, *name], input=text, capture_output=True, text=True, check=True).stdout
    return text


if __name__ == "__main__":
    for one in sources():
        twin_of(one).write_text(twin(one))
