"""``shipway cluster add``: from a kubeconfig's context to a place where services and jobs can run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from shipway import settings
from shipway.building.on_cluster import courier_image
from shipway.cli.cluster.findings import Findings, missing, text
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.cli.shown import shown
from shipway.cli.starting import ensured
from shipway.client import HubClient
from shipway.deploy.documents import OBJECTS
from shipway.errors import Conflict, EnvironmentFault, RegistryRefused, RegistryUnreachable, UserError
from shipway.kinds import API_VERSION
from shipway.rendering.rights import rights

_COURIER, _OWNER = "courier", "owner"  # findings: what this command is about to mend, and whose the namespace is
_ELSEWHERE = (
    "Push the courier from a place that reaches it (shipway build --courier --push {registry}/shipway-courier) "
    "and name it here: --courier {registry}/shipway-courier@sha256:..."
)


@dataclass(frozen=True, slots=True)
class _Courier:
    """Which image brings models and takes results away: one that is there, none, or one that is built."""

    given: str
    without: bool
    base: str
    platforms: tuple[str, ...]


@click.command()
@click.argument("name")
@click.option("--context", help="Of the kubeconfig: kubectl config get-contexts. In a Pod: ''.")
@click.option("--namespace", help="Where everything is made; it must exist.")
@click.option("--registry", metavar="HOST/TEAM", help="For images, models and results; default $SHIPWAY_REGISTRY.")
@click.option("--kubeconfig", type=click.Path(path_type=Path), help="Default: $KUBECONFIG, else ~/.kube/config.")
@click.option("--pull-secret", default="", metavar="SECRET", help="In the namespace: nodes pull images with it.")
@click.option("--push-secret", default="", metavar="SECRET", help="The same, to push results; default: --pull-secret.")
@click.option("--plain-http", is_flag=True, help="The registry speaks HTTP without TLS.")
@click.option("--courier", default="", metavar="REF", help="Use this courier image, and build none.")
@click.option("--no-courier", is_flag=True, help="Without one: services only, with models by image volume.")
@click.option("--base", default="", metavar="REF", help="What its images stand on, as of build: courier, up's.")
@click.option("--platform", "platforms", multiple=True, metavar="linux/ARCH", help="Of the nodes.  [default: amd64]")
@click.option("--take-over", is_flag=True, help="Also when another hub owns the namespace.")
@click.option("--print-rbac", is_flag=True, help="Print the minimal Role as YAML, and do nothing.")
@click.option("--subject", metavar="KIND:NAME", help="Who gets the Role: User:ada, Group:ml, ServiceAccount:NS/NAME.")
@act_output
def add(name: str, print_rbac: bool, subject: str | None, take_over: bool, output: str, **said: Any) -> None:
    """Add the Kubernetes cluster of a CONTEXT as NAME: check it, push the courier image, own the namespace.

    Nothing is installed in the cluster. Afterwards: shipway up --cluster NAME.
    """
    if print_rbac:
        click.echo(rights(_given(said["namespace"], "--namespace"), subject or ""), nl=False)
        return
    if subject is not None:
        raise UserError("--subject belongs to --print-rbac")
    spec, hub = _spec(said), ensured()
    courier = _Courier(said["courier"], said["no_courier"], said["base"], said["platforms"])
    findings = _checked(hub, name, spec, courier, output, take_over=take_over)
    spec["courier"] = _reference(courier, spec, output)
    owned = _added(hub, name, spec, take_over=take_over)
    told = f"cluster {name} is added: namespace {spec['namespace']}, registry {spec['registry']}"
    taken = f"\ntaken over from hub {owned['before']}" if owned.get("before") else ""
    document = {"cluster": name, "spec": spec, "findings": findings, "owner": owned}
    emit(document, output, f"{told}{taken}\ntry it: shipway up --cluster {name}")


def _given(value: str | None, option: str) -> str:
    if value is None:
        raise UserError(f"{option} is missing", next_step="see shipway cluster add --help")
    return value


def _spec(said: Mapping[str, Any]) -> dict[str, Any]:
    """The options as the object's spec. A kubeconfig is named in full: the hub has another working directory, and
    perhaps another $KUBECONFIG. The context is never the current one, which other programs move."""
    if said["courier"] and said["no_courier"]:
        raise UserError("--courier and --no-courier contradict each other", next_step="Leave out one of the two.")
    spec = {
        "type": "kubernetes",
        "context": _given(said["context"], "--context"),
        "kubeconfig": _kubeconfig(said["kubeconfig"]),
        "namespace": _given(said["namespace"], "--namespace"),
        "registry": _given(said["registry"] or settings.read().registry or None, "--registry").rstrip("/"),
        "plainHttp": said["plain_http"],
        "pullSecret": said["pull_secret"],
        "pushSecret": said["push_secret"],
        "base": said["base"],
    }
    return {key: value for key, value in spec.items() if value or key == "context"}


def _kubeconfig(given: Path | None) -> str:
    """Its absolute path; empty for ~/.kube/config, or the Pod's own service account."""
    if given is None:
        named = [one for one in settings.inherited().get("KUBECONFIG", "").split(":") if one]
        if len(named) > 1:
            raise UserError(
                f"$KUBECONFIG names {len(named)} files, and a cluster has one",
                next_step="Name the one that has the context: --kubeconfig FILE.",
            )
        given = Path(named[0]) if named else None
    return str(given.expanduser().absolute()) if given is not None else ""


def _checked(
    hub: HubClient, name: str, spec: Mapping[str, Any], courier: _Courier, output: str, *, take_over: bool
) -> Findings:
    """What was found, shown. Raises EnvironmentFault when something is missing that nothing works without, and
    Conflict for another hub's namespace: no image is built for what would be refused then."""
    spec = {**spec, "courier": courier.given}
    findings: Findings = hub.post("/v1/clusters/check", {"name": name, "spec": spec})["findings"]
    if not courier.given:
        findings = [one for one in findings if one["name"] != _COURIER]
    if output != "json":
        click.echo(text(findings) + "\n")
    if lacking := missing(findings):
        names = ", ".join(dict.fromkeys(one["name"] for one in lacking[1:]))
        also = f" (and {names}: see above)" if names and output != "json" else ""
        told = f"cluster {name} was not added: {lacking[0]['message']}{also}"
        raise EnvironmentFault(told, next_step=lacking[0]["nextStep"])
    if not take_over and (owned := [one for one in findings if one["name"] == _OWNER and one["state"] != "ok"]):
        raise Conflict(f"cluster {name} was not added: {owned[0]['message']}", next_step=owned[0]["nextStep"])
    return findings


def _reference(asked: _Courier, spec: Mapping[str, Any], output: str) -> str:
    """The reference that the cluster's nodes pull; empty without one. Raises what a build and a registry raise."""
    if asked.given or asked.without:
        return asked.given
    plain = bool(spec.get("plainHttp"))
    try:
        with shown(output) as report:
            return courier_image(
                spec["registry"], plain_http=plain, platforms=asked.platforms, base=asked.base, report=report
            )
    except (RegistryUnreachable, RegistryRefused) as error:
        step = _ELSEWHERE.format(registry=spec["registry"])
        raise type(error)(error.message, next_step=f"{error.next_step}\n{step}".strip()) from error


def _added(hub: HubClient, name: str, spec: Mapping[str, Any], *, take_over: bool) -> Mapping[str, Any]:
    """The object, and the ownership. What another hub owns is not kept as ours. Raises Conflict."""
    document = {"apiVersion": API_VERSION, "kind": "Cluster", "metadata": {"name": name}, "spec": spec}
    applied = hub.post("/v1/apply", {"objects": [document]})["results"][0]
    try:
        owned: Mapping[str, Any] = hub.post(f"/v1/clusters/{quote(name)}/claim", {"takeOver": take_over})
    except Conflict as error:
        if applied["result"] == "created":
            hub.delete(f"{OBJECTS}/clusters/{quote(name)}")
        raise Conflict(
            error.message, next_step=error.next_step or "Take it over, when that hub is no more: --take-over."
        ) from None
    return owned
