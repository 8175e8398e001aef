"""What would go wrong is found before anything is written.

First the API server is asked to do all of it as a dry run: it judges rights, quotas, policies, webhooks, immutable
fields and other managers as it will judge the real thing. What it does not say, or says badly, is looked up beside: a
Deployment is accepted though its Pods will not be, so one Pod is tried; a quota that only Pods exceed is added up; what
is named and does not exist is asked for; and whether any node could ever run it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.api.resources import RESOURCE_QUOTAS, Resource, resource_of
from shipway.cluster.kubernetes.apply import sentences
from shipway.cluster.kubernetes.apply.applier import Applied, Applier
from shipway.cluster.kubernetes.apply.capacity import impossible, may_grow
from shipway.cluster.kubernetes.apply.decide import Key, key_of
from shipway.cluster.kubernetes.apply.demand import Excess, asked, exceeded, pod_template
from shipway.cluster.kubernetes.apply.named import Named, named
from shipway.cluster.kubernetes.check.nodes import nodes
from shipway.cluster.kubernetes.check.quantities import shown
from shipway.cluster.kubernetes.check.rights import Right, missing, sentence
from shipway.cluster.kubernetes.check.together import together
from shipway.cluster.kubernetes.names import Manifest
from shipway.errors import ClusterRefused, ClusterUnreachable, NotFound, Refused, ShipwayError, UserError

VERBS = ("create", "delete", "get", "list", "patch")  # on every kind that we write


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that would go wrong, and what to do."""

    message: str
    next_step: str
    error: Callable[..., ShipwayError] = Refused


async def preflight(
    api: Api, applier: Applier, manifests: Sequence[Manifest], *, force_conflicts: bool = False
) -> None:
    """Nothing when all of it can be written, and its Pods can start as far as can be known.

    Costs no request beyond the reads of a pass when nothing has changed. Raises what ``Applier.apply`` raises; Refused
    (quota, policy, no such node), NotFound (what is named), ClusterRefused (rights): one of them for all problems.
    """
    results: tuple[Applied, ...] = ()
    refused: ShipwayError | None = None
    try:
        results = await applier.apply(manifests, force_conflicts=force_conflicts, dry_run=True)
    except ClusterUnreachable:
        raise
    except (UserError, ClusterRefused) as error:
        if not sentences.no_dry_run(error):
            refused = error
    if refused is None and results and all(one.result == "unchanged" for one in results):
        return
    if isinstance(refused, NotFound):
        raise refused  # the namespace: nothing else can be asked of it
    problems = await _problems(api, manifests, refused)
    if problems:
        raise _error(problems)
    if refused is not None:
        raise refused


async def _problems(api: Api, manifests: Sequence[Manifest], refused: ShipwayError | None) -> tuple[Problem, ...]:
    namespace = next((one["metadata"]["namespace"] for one in manifests if one["metadata"].get("namespace")), "")
    if isinstance(refused, ClusterRefused) and (lacking := await _rights(api, namespace, manifests)):
        return lacking  # all else would only fail for the same reason
    quotas, names, places, pods = await together(
        [
            _quotas(api, namespace, manifests),
            _names(api, manifests),
            _nodes(api, manifests),
            _pods(api, manifests),
        ]
    )
    # A Pod that is refused for a quota or a class is told of already, with the numbers.
    return (*quotas, *names, *places, *(() if quotas or names else pods))


async def _rights(api: Api, namespace: str, manifests: Sequence[Manifest]) -> tuple[Problem, ...]:
    kinds = {resource_of(one) for one in manifests}
    lacking = await missing(api, namespace, [Right(one.group, one.plural, verb) for one in kinds for verb in VERBS])
    if not lacking:
        return ()
    who = api.access.server.identity
    return (
        Problem(
            f'{who} may not, in namespace "{namespace}": {sentence(lacking)}.',
            "shipway cluster add --print-rbac prints the Role that is needed; who runs the cluster can apply it.",
            partial(ClusterRefused, status=403, reason="Forbidden"),
        ),
    )


async def _quotas(api: Api, namespace: str, manifests: Sequence[Manifest]) -> tuple[Problem, ...]:
    try:
        quotas = (await api.list(RESOURCE_QUOTAS, namespace=namespace)).items
    except ClusterRefused:
        return ()  # not ours to read: the API server will say it of the first Pod
    if not quotas:
        return ()
    live = await together(_whole(api, one) for one in manifests)
    wanted = asked(manifests, {key_of(one): one for one in live if one is not None})
    return tuple(_over(one, namespace) for one in exceeded(quotas, wanted))


async def _whole(api: Api, manifest: Manifest) -> Manifest | None:
    # The names of Secrets and their like are all that a quota counts of them.
    key = key_of(manifest)
    return await api.get(resource_of(manifest), key.name, key.namespace)


def _over(one: Excess, namespace: str) -> Problem:
    hard, used, more = (shown(value, one.resource) for value in (one.hard, one.used, one.asked))
    return Problem(
        f'Quota "{one.quota}" of namespace "{namespace}" allows {one.resource} {hard}: '
        f"{used} is used, and {more} more asked.",
        "Ask for less (resources, replicas), remove something, or have the quota raised.",
    )


async def _names(api: Api, manifests: Sequence[Manifest]) -> tuple[Problem, ...]:
    wanted = named(manifests)
    there = await together(_exists(api, *one) for one in wanted)
    return tuple(_absent(one) for one, is_there in zip(wanted, there, strict=True) if not is_there)


async def _exists(api: Api, resource: Resource, namespace: str, name: str) -> bool:
    try:
        return await api.get(resource, name, namespace) is not None
    except ClusterRefused:
        return True  # nobody tells us; the Pod will


def _absent(one: Named) -> Problem:
    resource, namespace, name = one
    where = f' in namespace "{namespace}"' if namespace else ""
    flag = f" -n {namespace}" if namespace else ""
    return Problem(
        f'There is no {resource.kind} "{name}"{where}, and it is named here.',
        f"Make it, or name one of: kubectl get {resource.plural}{flag}",
        NotFound,
    )


async def _nodes(api: Api, manifests: Sequence[Manifest]) -> tuple[Problem, ...]:
    known = await nodes(api)
    if not known:
        return ()  # we may not ask, or there are none yet
    problems = []
    for one in manifests:
        why, step = impossible(pod_template(one) or {}, known)
        if why:
            problems.append(Problem(f"{key_of(one)}: {why}.", step))
    if problems and may_grow([one["name"] for one in (await api.raw("GET", "/apis"))["groups"]]):
        return ()
    return tuple(problems)


async def _pods(api: Api, manifests: Sequence[Manifest]) -> tuple[Problem, ...]:
    found = await together(_pod(api, key_of(one), pod) for one in manifests if (pod := _first_pod(one)) is not None)
    return tuple(one for one in found if one is not None)


async def _pod(api: Api, key: Key, pod: Manifest) -> Problem | None:
    try:
        await api.create(pod, dry_run=True)
    except (UserError, ClusterRefused) as error:
        if sentences.no_dry_run(error) or sentences.says_nothing_of_the_pod(error):
            return None
        return Problem(f"{key}: its Pods would be refused: {sentences.own_words(error)}", sentences.step_of(error))
    return None


def _first_pod(manifest: Manifest) -> Manifest | None:
    """As the controller would make it, but without the ServiceAccount, which may be made only with it."""
    template: Mapping[str, Any] | None = pod_template(manifest)
    if template is None:
        return None
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    key = key_of(manifest)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "name": f"{key.name[:200]}-preflight", "namespace": key.namespace},
        "spec": {name: value for name, value in spec.items() if name not in ("serviceAccountName", "serviceAccount")},
    }


def _error(problems: Sequence[Problem]) -> ShipwayError:
    """One error for all of them, of the first one's kind."""
    messages, steps = (
        dict.fromkeys(words) for words in ((p.message for p in problems), (p.next_step for p in problems))
    )
    return problems[0].error("\n".join(messages), next_step="\n".join(one for one in steps if one))
