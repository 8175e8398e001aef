"""As much of Helm's template language as our charts use: values by path, `quote`, `toYaml | nindent`, a literal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

_ACTION = re.compile(r"(?P<trim>\s*)\{\{(?P<dash>-?) (?P<inside>.*?) \}\}")
_VALUE = re.compile(
    r'(?P<yaml>toYaml )?\(index \.Values\.(?P<group>\w+) "(?P<name>[^"]+)"\)\.(?P<field>\w+)(?P<pipe>.*)'
)


def filled(template: str, values: Mapping[str, Any]) -> str:
    """The template with these values. Raises ValueError for what our charts never say."""

    def act(match: re.Match[str]) -> str:
        before = "" if match["dash"] else match["trim"]
        if match["inside"] == '"{{"':
            return before + "{{"
        found = _VALUE.fullmatch(match["inside"])
        if found is None:
            raise ValueError(match[0])
        return before + _piped(values[found["group"]][found["name"]][found["field"]], found["yaml"], found["pipe"])

    return _ACTION.sub(act, template)


def _piped(value: Any, as_yaml: str | None, pipe: str) -> str:
    if as_yaml:
        indent = " " * int(pipe.removeprefix(" | nindent "))
        lines = yaml.safe_dump(value, sort_keys=False).rstrip().splitlines()
        return "".join(f"\n{indent}{line}" for line in lines)
    if pipe == " | quote":
        return json.dumps(value)
    if pipe:
        raise ValueError(pipe)
    return str(value)
