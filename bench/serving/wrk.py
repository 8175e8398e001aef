"""wrk (Debian: ``apt install wrk``) as the closed-loop load that does not cost the server its second core."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.serving.samples import Sample

_HOOKS = Path(__file__).with_name("check.lua")
_PLAIN = bytes(set(range(32, 127)) - set(b'"\\'))


@dataclass(frozen=True, slots=True)
class Script:
    """The exchanges that wrk repeats, as a file of Lua."""

    path: Path

    def run(self, port: int, connections: int, seconds: float, *, checked: bool = True) -> Sample:
        """Load, with as many threads as connections for the check (check.lua says why), and with one, which is wrk at
        its fastest, without. Ends the run when wrk fails."""
        whole = max(1, round(seconds))  # wrk takes no fractions
        arguments = [
            "wrk",
            f"-t{connections if checked else 1}",
            f"-c{connections}",
            f"-d{whole}s",
            "--timeout=20s",
            f"--script={_HOOKS}",
            f"http://127.0.0.1:{port}/",
            "--",
            str(self.path),
            *([] if checked else ["unchecked"]),
        ]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        if done.returncode or not results:
            raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return Sample(**json.loads(results[0].removeprefix("RESULT ")))


@contextmanager
def script(exchanges: Sequence[tuple[bytes, bytes]]) -> Iterator[Script]:
    """A file of requests and the bodies that answer them, for as long as it is needed."""
    if shutil.which("wrk") is None:
        raise SystemExit("there is no wrk: apt install wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(to_lua(exchanges))
        file.flush()
        yield Script(Path(file.name))


def to_lua(exchanges: Sequence[tuple[bytes, bytes]]) -> str:
    """``exchanges = {{request, answer}, ...}``."""
    pairs = ",\n".join(f"{{{quoted(request)}, {quoted(answer)}}}" for request, answer in exchanges)
    return f"exchanges = {{\n{pairs}\n}}\n"


def quoted(text: bytes) -> str:
    """A string of Lua: bytes that might end it are written as three digits."""
    return '"' + "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03d}" for byte in text) + '"'
