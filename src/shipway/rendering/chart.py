"""Objects as a Helm chart: images, replicas and resources come from its values, all else stands as it was rendered.

Source: https://helm.sh/docs/topics/charts/ and https://helm.sh/docs/chart_template_guide/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from shipway.cluster.kubernetes.render.text import yaml_of
from shipway.rendering.manifests import HEAD, Rendered, main_container, text

_SCALED = ("Deployment", "StatefulSet")
_PLACE = "SHIPWAY-VALUE-"  # with a name, what stands for an expression until the YAML is written
_RESOURCES = "resources"
_OPENING, _ESCAPED = "{{", '{{ "{{" }}'  # of a user's own text


def chart(parts: Sequence[Rendered], name: str, version: str) -> Mapping[str, str]:
    """Path to text. ``version`` is the chart's (SemVer). Objects have no namespace: Helm says it."""
    meta = {
        "apiVersion": "v2",
        "name": name,
        "description": f"{name}, as `shipway render` writes it",
        "type": "application",
        "version": version,
    }
    values: dict[str, dict[str, Any]] = {"services": {}, "jobs": {}}
    files = {}
    for one in parts:
        files[f"templates/{one.file}"], values[f"{one.kind}s"][one.name] = _template(one)
    told = {group: found for group, found in values.items() if found}
    return {"Chart.yaml": HEAD + yaml_of([meta]), "values.yaml": HEAD + yaml_of([told]), **files}


def _template(part: Rendered) -> tuple[str, dict[str, Any]]:
    """The text of a template, and the values that it takes."""
    path = f'(index .Values.{part.kind}s "{part.name}")'
    values: dict[str, Any] = {"image": part.image}
    lines: dict[str, str] = {}  # what a line ends with until the YAML is written -> what it ends with then
    manifests = deepcopy(part.manifests)
    for manifest in manifests:
        spec = manifest.get("spec", {})
        if (main := main_container(manifest)) is not None:
            main["image"] = _placed(lines, "image", f"{{{{ {path}.image | quote }}}}")
            values["resources"] = main.get("resources", {})
            main["resources"] = _placed(lines, _RESOURCES, f"{{{{- toYaml {path}.resources | nindent %d }}}}")
        if manifest["kind"] in _SCALED and "replicas" in spec:
            values["replicas"] = spec["replicas"]
            spec["replicas"] = _placed(lines, "replicas", f"{{{{ {path}.replicas }}}}")
        if manifest["kind"] == "HorizontalPodAutoscaler":
            for field in ("minReplicas", "maxReplicas"):
                values[field] = spec[field]
                spec[field] = _placed(lines, field, f"{{{{ {path}.{field} }}}}")
    written = text([replace(part, manifests=manifests)]).replace(_OPENING, _ESCAPED)
    return "\n".join(_filled(line, lines) for line in written.split("\n")), values


def _placed(lines: dict[str, str], name: str, expression: str) -> str:
    lines[_PLACE + name] = expression
    return _PLACE + name


def _filled(line: str, lines: Mapping[str, str]) -> str:
    """The line with its expression; the resources are a mapping, which begins on the next line."""
    start, colon, place = line.partition(": ")
    if place not in lines:
        return line
    if place != _PLACE + _RESOURCES:
        return f"{start}{colon}{lines[place]}"
    indent = len(start) - len(start.lstrip()) + 2
    return f"{start}:\n{' ' * indent}{lines[place] % indent}"
