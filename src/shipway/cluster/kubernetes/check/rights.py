"""Which rights we have, and which of those that we need are missing.

Source: https://kubernetes.io/docs/reference/access-authn-authz/authorization/ (SelfSubjectRulesReview, -AccessReview).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shipway.cluster.kubernetes.api.client import Api
from shipway.cluster.kubernetes.check.together import together

_RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
_ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource: ``Right("apps", "deployments", "patch")``; ``plural`` may be ``pods/log``. ``name``:
    of the only object that is meant."""

    group: str
    plural: str
    verb: str
    name: str = ""

    @property
    def resource(self) -> str:
        """As kubectl names it: ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


async def missing(api: Api, namespace: str, wanted: Iterable[Right]) -> tuple[Right, ...]:
    """Those that we do not have in the namespace (empty: in the whole cluster), sorted.

    One request says which we have; the server may leave some out of that (other authorizers than RBAC), so each that
    is not found there is asked for by itself.
    """
    asked = sorted(set(wanted))
    review = await api.raw("POST", _RULES, _review("SelfSubjectRulesReview", {"namespace": namespace or "default"}))
    rules = (review.get("status") or {}).get("resourceRules") or ()
    doubtful = [one for one in asked if not namespace or not allowed(rules, one)]
    answers = await together(_has(api, namespace, one) for one in doubtful)
    return tuple(one for one, has in zip(doubtful, answers, strict=True) if not has)


def allowed(rules: Sequence[Mapping[str, Any]], right: Right) -> bool:
    """Whether a rule grants it, for all names or for the one that is meant. Pure."""
    return any(
        (not rule.get("resourceNames") or right.name in rule["resourceNames"])
        and _has_one(rule.get("verbs"), right.verb)
        and _has_one(rule.get("apiGroups"), right.group)
        and _has_one(rule.get("resources"), right.plural)
        for rule in rules
    )


def sentence(rights: Collection[Right]) -> str:
    """``create, patch deployments.apps; get pods/log``. Pure."""
    verbs: dict[str, list[str]] = {}
    for one in sorted(rights):
        verbs.setdefault(one.resource, []).append(one.verb)
    return "; ".join(f"{', '.join(found)} {resource}" for resource, found in verbs.items())


def _has_one(granted: Sequence[str] | None, wanted: str) -> bool:
    return wanted in (granted or ()) or "*" in (granted or ())


async def _has(api: Api, namespace: str, right: Right) -> bool:
    plural, _, subresource = right.plural.partition("/")
    attributes = {"namespace": namespace, "group": right.group, "resource": plural, "verb": right.verb}
    if right.name:
        attributes["name"] = right.name
    if subresource:
        attributes["subresource"] = subresource
    review = await api.raw("POST", _ACCESS, _review("SelfSubjectAccessReview", {"resourceAttributes": attributes}))
    return bool((review.get("status") or {}).get("allowed"))


def _review(kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
