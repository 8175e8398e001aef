"""A project with a model's service, a job that trains it, and a server of the user's own. `python -m
tests.rendering.projects` writes what it renders to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shipway.kinds.load import load
from shipway.rendering.chart import chart
from shipway.rendering.kustomize import kustomization
from shipway.rendering.lookup import Nowhere
from shipway.rendering.manifests import Rendered, rendered, text
from shipway.rendering.world import Wanted

GOLDEN = Path(__file__).parent / "golden"
DIGEST = "sha256:" + "ab" * 32

PROJECT = """\
apiVersion: shipway.dev/v1alpha1
kind: ModelJob
metadata: {name: digits}
spec:
  command: [python, train.py]
  model: digits
  resources: {cpu: 2, memory: 4Gi}
---
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: digits, labels: {team: vision}}
spec:
  model: digits:2
  replicas: 2
---
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata: {name: front-end}
spec:
  image: ghcr.io/team/front:1.0
  command: [python, app.py, --title, "{{ not Helm's }}"]
  port: 8000
  env:
    API: http://digits
    TOKEN: {secret: {name: front, key: token}}
  resources: {cpu: 500m}
  scaling: {minReplicas: 2, maxReplicas: 5}
"""

WANTED = Wanted(
    images={"service/digits": f"ghcr.io/team/digits@{DIGEST}", "job/digits": f"ghcr.io/team/digits-job@{DIGEST}"},
    models={"digits": f"ghcr.io/team/models/digits:2@{DIGEST}"},
    registry="ghcr.io/team",
    courier=f"ghcr.io/team/shipway-courier@{DIGEST}",
)


def parts(wanted: Wanted = WANTED) -> tuple[Rendered, ...]:
    return rendered(load(PROJECT), wanted, Nowhere())


def files() -> Mapping[str, str]:
    """Path below ``GOLDEN`` to text."""
    made = parts()
    return {
        "plain.yaml": text(made),
        **{f"kustomize/{path}": one for path, one in kustomization(made, "ml").items()},
        **{f"chart/{path}": one for path, one in chart(made, "vision", "0.1.0").items()},
    }


if __name__ == "__main__":
    for name, content in files().items():
        (GOLDEN / name).parent.mkdir(parents=True, exist_ok=True)
        (GOLDEN / name).write_text(content)
