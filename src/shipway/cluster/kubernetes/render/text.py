"""Manifests as YAML for people: in the order that they were made, each string so that every reader takes it for one."""

from __future__ import annotations

import re
from collections.abc import Iterable

import yaml

from shipway.cluster.kubernetes.names import Manifest

# PyYAML reads "1e3" as a string and writes it bare; kubectl's reader takes it for a number, and "y" for a boolean.
_BARE = re.compile(r"(?!(?i:y|n|yes|no|on|off|true|false|null|nan|inf)$)[A-Za-z/][-A-Za-z0-9_./@ :+=]*")


def yaml_of(manifests: Iterable[Manifest]) -> str:
    """One document each, stable to the byte."""
    return yaml.dump_all(
        manifests,
        Dumper=_Dumper,
        sort_keys=False,
        explicit_start=True,
        width=2**20,  # a folded line is hard to search for
        allow_unicode=True,
    )


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None if _BARE.fullmatch(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)
