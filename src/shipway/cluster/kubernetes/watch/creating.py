"""Why a Pod could not even be made: quota, Pod Security, admission webhooks, rights. Pure.

The words are those of a FailedCreate event, or of a Deployment's condition ReplicaFailure.
Source: k8s.io/apiserver plugin/resourcequota/controller.go; pod-security-admission/admission/admission.go;
plugin/webhook/errors/statuserror.go.
"""

from __future__ import annotations

import re

from shipway.cluster.kubernetes.watch.why import Why, quoted

_QUOTA = re.compile(r"exceeded quota: ([^,]+), requested: (.+?), used: (.+?), limited: (.+?)$", re.S)
_QUOTA_NEEDS = re.compile(r"failed quota: ([^:]+): must specify (.+)$", re.S)
_SECURITY = re.compile(r'violates PodSecurity "([^"]+)": (.+)$', re.S)
_WEBHOOK = re.compile(r'admission webhook "([^"]+)" denied the request(?: without explanation)?(?:: (.+))?$', re.S)
_WEBHOOK_AWAY = re.compile(r'failed calling webhook "([^"]+)": (.+)$', re.S)
_POLICY = re.compile(r"ValidatingAdmissionPolicy '([^']+)'.* denied request: (.+)$", re.S)
_ACCOUNT = re.compile(r'serviceaccount "([^"]+)" not found|error looking up service account \S+/([^:]+):')
_CLASS = re.compile(r"no PriorityClass with name (\S+) was found")
_RANGE = re.compile(r"(?:maximum|minimum) \S+ usage per (?:Container|Pod) is .+$")
_RIGHTS = re.compile(r"is forbidden: User .+ cannot .+$")


def why_not_created(message: str) -> Why:
    """The first that fits; the order is that in which an API server asks."""
    if found := _QUOTA.search(message):
        return Why(
            "QuotaExceeded",
            f"the quota {found[1]} of the namespace is used up: asked for {found[2]}, used {found[3]} of {found[4]}; "
            "ask for less, or have the quota raised",
        )
    if found := _QUOTA_NEEDS.search(message):
        return Why(
            "QuotaExceeded", f"the quota {found[1]} of the namespace wants {quoted(found[2])}; say it in `resources`"
        )
    if found := _SECURITY.search(message):
        return Why(
            "PolicyForbids",
            f'Pod Security "{found[1]}" of the namespace forbids it: {quoted(found[2])}; remove that, or have the '
            "namespace's label changed",
        )
    if found := _POLICY.search(message):
        return Why("PolicyForbids", f"the policy {found[1]} forbids it: {quoted(found[2])}; do as it says")
    if found := _WEBHOOK.search(message):
        said = f": {quoted(found[2])}" if found[2] else " without a reason"
        return Why("WebhookRefused", f"the admission webhook {found[1]} refused it{said}; ask who runs that webhook")
    if found := _WEBHOOK_AWAY.search(message):
        return Why(
            "WebhookRefused",
            f"the admission webhook {found[1]} does not answer ({quoted(found[2])}); ask who runs that webhook",
        )
    return _other(message)


def _other(message: str) -> Why:
    if found := _ACCOUNT.search(message):
        return Why("CreateRefused", f"the service account {found[1] or found[2]} is not there; bring it up again")
    if found := _CLASS.search(message):
        return Why("CreateRefused", f"there is no priority class {found[1]}; mend `placement.priorityClass`")
    if found := _RANGE.search(message):
        return Why("QuotaExceeded", f"a LimitRange of the namespace forbids it: {quoted(found[0])}; mend `resources`")
    if found := _RIGHTS.search(message):
        return Why("CreateRefused", f"a controller of the cluster lacks a right: {quoted(found[0])}; ask its admin")
    return Why("CreateRefused", f"Kubernetes could not make a Pod ({quoted(message)}); it tries again by itself")
