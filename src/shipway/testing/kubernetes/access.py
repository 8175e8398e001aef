"""Who may do what: authentication by one token, rights as rules of a Role, and the two reviews of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shipway.testing.kubernetes.storage import Object

Rule = Mapping[str, Sequence[str]]  # apiGroups, resources, verbs, resourceNames

EVERYTHING: tuple[Rule, ...] = ({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},)
# What every user who is known may ask: what they may do.
BASIC: tuple[Rule, ...] = (
    {
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        "verbs": ["create"],
    },
    {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
)


@dataclass
class Access:
    """``server.access``: set ``rules`` to the ones of a Role; set ``token`` to let the old one expire."""

    user: str = "shipway-test"
    token: str = "not-a-secret"
    rules: Sequence[Rule] = EVERYTHING
    namespace: str = ""  # where the rules hold; "" is everywhere
    role: str = "shipway"
    asked: list[tuple[str, str, str]] = field(default_factory=list)  # verb, resource, name: each request's

    def knows(self, authorization: str) -> bool:
        """Whether a request's header is of the user."""
        return authorization == f"Bearer {self.token}"

    def allows(self, verb: str, group: str, resource: str, namespace: str, name: str = "") -> bool:
        """``resource``: "pods", "pods/log"."""
        rules = list(BASIC)
        if self.namespace in ("", namespace):
            rules += self.rules
        return any(_covers(rule, verb, group, resource, name) for rule in rules)

    def review(self, asked: Object) -> Object:
        """Answers a SelfSubjectAccessReview."""
        what = asked["spec"].get("resourceAttributes", {})
        resource = what.get("resource", "")
        if what.get("subresource"):
            resource = f"{resource}/{what['subresource']}"
        allowed = self.allows(
            what.get("verb", ""), what.get("group", ""), resource, what.get("namespace", ""), what.get("name", "")
        )
        status: Object = {"allowed": allowed}
        if allowed:
            binding = f'"{self.role}/{what.get("namespace", "")}" of Role "{self.role}" to User "{self.user}"'
            status["reason"] = f"RBAC: allowed by RoleBinding {binding}"
        said = {name: value for name, value in what.items() if value}
        return {**asked, "metadata": {}, "spec": {"resourceAttributes": said}, "status": status}

    def rules_review(self, asked: Object) -> Object:
        """Answers a SelfSubjectRulesReview."""
        rules = [*BASIC, *(self.rules if self.namespace in ("", asked["spec"].get("namespace", "")) else ())]
        listed = [
            {name: list(rule[name]) for name in ("verbs", "apiGroups", "resources", "resourceNames") if name in rule}
            for rule in rules
        ]
        status = {"resourceRules": listed, "nonResourceRules": [], "incomplete": False}
        return {**asked, "metadata": {}, "spec": {}, "status": status}


def _covers(rule: Rule, verb: str, group: str, resource: str, name: str) -> bool:
    def among(part: str, value: str) -> bool:
        return value in rule.get(part, ()) or "*" in rule.get(part, ())

    named = "resourceNames" not in rule or name in rule["resourceNames"]
    return among("verbs", verb) and among("apiGroups", group) and among("resources", resource) and named
