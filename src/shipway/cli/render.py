"""``shipway render``: a project as Kubernetes YAML, without a hub and without a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from shipway import project, settings
from shipway.detect import object_name
from shipway.errors import UserError
from shipway.rendering.chart import chart
from shipway.rendering.folder import write
from shipway.rendering.kustomize import OVERLAY, kustomization
from shipway.rendering.lookup import home
from shipway.rendering.manifests import Rendered, rendered, text
from shipway.rendering.world import Wanted

_PATH = click.Path(path_type=Path)
_CHART_VERSION = "0.1.0"


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=_PATH)
@click.option("-f", "--file", "file", type=_PATH, metavar="FILE", help="Render this file, and not DIR's shipway.yaml.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["yaml", "kustomize", "helm"]),
    default="yaml",
    show_default=True,
    help="One text; a base with an overlay; a chart.",
)
@click.option("-o", "--output", "target", type=_PATH, metavar="PATH", help="A file, or the folder of base or chart.")
@click.option("--only", multiple=True, metavar="KIND/NAME", help="Only this job or service; may be repeated.")
@click.option("--image", "images", multiple=True, metavar="NAME=REF", help="The image of a job or service.")
@click.option("--model", "models", multiple=True, metavar="NAME=REF", help="Where a model is, by digest.")
@click.option(
    "--namespace", default="", metavar="NS", help="Of all objects.  [default: none, who applies them says it]"
)
@click.option("--registry", default="", metavar="REF", help="Of what was pushed to several; where jobs push results.")
@click.option("--courier", default="", metavar="REF", help="The image that brings models into Pods.")
@click.option("--pull-secret", default="", metavar="NAME", help="The Secret with which nodes pull images.")
def render(folder: Path, file: Path | None, form: str, target: Path | None, **said: Any) -> None:
    """Write the jobs and services of DIR as Kubernetes objects.

    What only a hub would know is looked up in this home (images that `shipway build --push` pushed, versions that
    `shipway models push` pushed), or said by options. Values of secrets are never written: the objects name Secrets
    that must be in the namespace.
    """
    wanted = _wanted(said)
    if form != "yaml" and target is None:
        raise UserError(f"--format {form} makes a folder", next_step="Name it: -o DIR.")
    if form == "helm" and wanted.namespace:
        raise UserError("--namespace: a chart has none", next_step="Say it to Helm: helm install --namespace NS.")
    path = file or folder
    where = settings.read()
    known = home(where.oci, where.encryption_key, wanted.registry)
    parts = rendered(project.declared(path), _in_base(form, wanted), known)
    if target is None:
        click.echo(text(parts), nl=False)
    else:
        for one in _written(form, target, parts, wanted, path):
            click.echo(f"written: {one}", err=True)
    for name, key in sorted({one for part in parts for one in part.secrets}):
        click.echo(f"needs the key {key} of the Secret {name} in the namespace", err=True)


def _wanted(said: Mapping[str, Any]) -> Wanted:
    return Wanted(
        only=said["only"],
        images=_pairs("--image", said["images"]),
        models=_pairs("--model", said["models"]),
        namespace=said["namespace"],
        registry=said["registry"],
        courier=said["courier"],
        pull_secret=said["pull_secret"],
    )


def _in_base(form: str, wanted: Wanted) -> Wanted:
    """An overlay says the namespace of a base."""
    return wanted if form == "yaml" else replace(wanted, namespace="")


def _written(form: str, target: Path, parts: tuple[Rendered, ...], wanted: Wanted, path: Path) -> tuple[Path, ...]:
    if form == "yaml":
        return write(target.parent, {target.name: text(parts)}, prune=False)
    if form == "kustomize":
        return write(target, kustomization(parts, wanted.namespace), once=(OVERLAY,))
    name = object_name((path if path.is_dir() else path.parent).resolve().name)
    return write(target, chart(parts, name, _CHART_VERSION))


def _pairs(option: str, given: tuple[str, ...]) -> Mapping[str, str]:
    found = {}
    for one in given:
        name, equals, reference = one.partition("=")
        if not name or not equals or not reference:
            raise UserError(
                f"{option} {one}: it is NAME=REF", next_step=f"For example {option} digits=ghcr.io/team/digits:1."
            )
        found[name] = reference
    return found
