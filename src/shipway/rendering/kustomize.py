"""Objects as a Kustomize base, and one overlay to begin with.

Source: https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shipway.cluster.kubernetes.render.text import yaml_of
from shipway.rendering.manifests import HEAD, Rendered, text

_KIND = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
_REPLICAS = """\
# replicas:
#   - {{name: {name}, count: 3}}
"""
_IMAGES = """\
# images:
#   - {{name: {name}, newTag: v2}}
"""
_SCALED = ("Deployment", "StatefulSet")

OVERLAY = "overlays/production/kustomization.yaml"

_OVERLAY_HEAD = """\
# Yours: `shipway render` writes this file once, and never again. Deploy it: kubectl apply -k overlays/production
"""


def kustomization(parts: Sequence[Rendered], namespace: str = "") -> Mapping[str, str]:
    """Path to text. The base has no namespace in its objects, and the overlay says it; patches go there."""
    base = {**_KIND, "resources": [one.file for one in parts]}
    files = {f"base/{one.file}": text([one]) for one in parts}
    return {**files, "base/kustomization.yaml": HEAD + yaml_of([base]), OVERLAY: _overlay(parts, namespace)}


def _overlay(parts: Sequence[Rendered], namespace: str) -> str:
    """What is only an example is a comment: an image that stood here would hold back those of later bases."""
    overlay = {**_KIND, "resources": ["../../base"], **({"namespace": namespace} if namespace else {})}
    scaled = [
        manifest["metadata"]["name"]
        for one in parts
        for manifest in one.manifests
        if manifest["kind"] in _SCALED and "replicas" in manifest["spec"]
    ]
    replicas = _REPLICAS.format(name=scaled[0]) if scaled else ""
    return _OVERLAY_HEAD + yaml_of([overlay]) + replicas + _IMAGES.format(name=_repository(parts[0].image))


def _repository(image: str) -> str:
    named = image.partition("@")[0]
    path, colon, tag = named.rpartition(":")
    return path if colon and "/" not in tag else named
