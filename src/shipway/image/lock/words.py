"""What uv says when it cannot choose or install, as errors that say what to do. Pure.

Tried with uv 0.13: its reasons begin with "cause:", what it found instead with "hint:"; its lines are broken at will.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shipway.errors import Corrupt, DependencyFailed, EnvironmentFault, NotFound, Refused, ShipwayError, UserError
from shipway.image.lock.chosen import no_wheel
from shipway.image.lock.resolution import Package
from shipway.image.lock.tags import described
from shipway.image.platform import Target
from shipway.packages.uv import flat, not_found, uv_failure

_LINES = 8  # of uv's reasoning
_NO_WHEEL = re.compile(r"(\S+?),? (?:has|have) no (?:usable )?wheels")
_ANY_VERSION = re.compile(r"all versions of (\S+) have no usable wheels")
_SOURCE = re.compile(r"Wheels are required for `([^`]+)`")
_AVAILABLE = re.compile(r"[Ww]heels (?:are available )?for `[^`]+` \(v([^)]+)\)[^:]*: ([^:]+?)(?= hint:|$)")
_MISMATCH = re.compile(r"Hash mismatch for `([^`]+)`.*?Expected: sha256:(\w+).*?Computed: sha256:(\w+)")
_BUILT = re.compile(r"The built wheel `([^`]+)` is not compatible")
_UNSATISFIABLE = "No solution found"
_NETWORK = re.compile(
    r"error sending request|dns error|[Cc]onnection (?:refused|reset)|timed out|trying to connect|status server error"
)
_FULL = "No space left on device"


def is_contradiction(words: str) -> bool:
    """Whether uv understood everything, and no choice meets it all."""
    return _UNSATISFIABLE in words


def missing_wheel(words: str) -> str:
    """The requirement of which uv found no wheel that fits; empty when that was not it."""
    line = flat(words)
    missing = _ANY_VERSION.search(line) or _NO_WHEEL.search(line) or _SOURCE.search(line)
    return missing[1] if missing else ""


def replaced(words: str) -> str:
    """The name of the package whose file is not the locked one; empty when that was not it."""
    mismatch = _MISMATCH.search(flat(words))
    return re.split(r"==| @ ", mismatch[1])[0] if mismatch else ""


def not_chosen(words: str, status: int, target: Target, wheels: Sequence[str] = ()) -> ShipwayError:
    """The error when uv chose nothing; ``words`` must be free of secrets, ``wheels`` are all that there are of the
    package without one that fits."""
    if missing := missing_wheel(words):
        found = _AVAILABLE.search(flat(words))
        return no_wheel(missing, target, found[2].replace("`", "") if found else described(wheels, target))
    if what := not_found(words):
        return NotFound(
            f"requirement {what} cannot be found\n{_reason(words)}",
            next_step="check its name and version; where packages come from: pip config list (one that wants other "
            "credentials looks empty)",
        )
    if is_contradiction(words):
        return UserError(
            f"the requirements cannot be met together on {target}\n{_reason(words)}",
            next_step="change one of the lines that it names (some may be those of Shipway's own runtime)",
        )
    return _machine(words, status)


def not_installed(words: str, status: int, packages: Sequence[Package], target: Target) -> ShipwayError:
    """The error when uv did not install what is locked; ``words`` must be free of secrets."""
    line = flat(words)
    if mismatch := _MISMATCH.search(line):
        name = next((one.file.name for one in packages if one.name == replaced(words)), mismatch[1])
        return Corrupt(
            f"{name} is not the file that is locked\nexpected sha256:{mismatch[2]}\ngot      sha256:{mismatch[3]}",
            next_step="somebody replaced the file at its index, the index has another one of that version, or the lock "
            "is damaged: find out which; when the new file is trusted: shipway build --upgrade",
        )
    if built := _BUILT.search(line):
        return Refused(
            f"{built[1]} was built from source on this machine, and does not run on {target}",
            next_step="build the image on a machine of that platform with that Python, or ask for another version",
        )
    no_fit = _NO_WHEEL.search(line)
    what = not_found(words) or (no_fit[1] if no_fit else "")
    if what and is_contradiction(words):
        return NotFound(
            f"{what} is locked, and no index has it for {target}\n{_reason(words)}",
            next_step="where packages come from: pip config list; to choose another version: shipway build --upgrade",
        )
    return _machine(words, status)


def _machine(words: str, status: int) -> ShipwayError:
    line = flat(words)
    if _FULL in line:
        return EnvironmentFault(
            f"the disk is full: {_reason(words)}", next_step="make room: uv cache prune, shipway prune, df -h"
        )
    if _NETWORK.search(line):
        return DependencyFailed(
            f"an index of packages cannot be reached\n{_reason(words)}",
            next_step="check the network and the indexes (pip config list), then run it again: downloads are kept",
        )
    return uv_failure(words, status)


def _reason(words: str) -> str:
    lines = [line for line in words.strip().splitlines() if not line.startswith(("Using ", "Resolved ", "warning:"))]
    first = next((place for place, line in enumerate(lines) if line.lstrip().startswith("cause:")), 0)
    told = [line.strip().removeprefix("cause: ") for line in lines[first:] if line.strip()]
    return "\n".join([*told[:_LINES], *["..." for _ in told[_LINES : _LINES + 1]]])
