"""Our objects as the text of a shipway.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Lists of words in one line, texts of several lines as blocks, lists indented as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.SequenceNode:
    short = all(isinstance(one, str) and "\n" not in one for one in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=short)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)


def written(objects: Iterable[Mapping[str, Any]], origin: str) -> str:
    """One document each, under a line that says where they are from."""
    parts = [yaml.dump(dict(one), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=118) for one in objects]
    return f"# Made by `shipway import` of {origin}. All fields: docs/kinds.md\n" + "---\n".join(parts)
