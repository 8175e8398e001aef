"""One line of a requirements file. Pure.

Format: PEP 508 (https://packaging.python.org/en/latest/specifications/dependency-specifiers/).
"""

from __future__ import annotations

from packaging.requirements import InvalidRequirement, Requirement

from shipway.errors import UserError

ALLOWED = (
    "write one requirement a line, like scikit-learn==1.9.1, torch[opt]==2.13.0 or x==1.0; python_version < '3.12'"
)


def parse_line(line: str) -> Requirement:
    """One line as a requirement. Raises UserError that names the line and what is allowed."""
    text = line.strip()
    if not text or text.startswith("#"):
        what = "is a comment" if text else "is empty"
        raise UserError(f"requirement {line!r} {what}, not a requirement", next_step=f"leave it out; {ALLOWED}")
    if text.startswith("-"):
        raise UserError(
            f"requirement {line!r} is an option of pip, not a requirement",
            next_step=f"{ALLOWED}; indexes and constraints come from pip's own configuration (pip config list)",
        )
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"requirement {line!r} cannot be read: {reason}", next_step=ALLOWED) from error
