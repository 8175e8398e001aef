"""Pods that may not be made: the words of quotas, Pod Security, policies and webhooks."""

from __future__ import annotations

import pytest

from shipway.cluster.kubernetes.watch.creating import why_not_created

SAID = {
    "quota": (
        'pods "digits-6d4-" is forbidden: exceeded quota: compute, requested: limits.cpu=4,requests.memory=8Gi, used: '
        "limits.cpu=6,requests.memory=0, limited: limits.cpu=8,requests.memory=8Gi",
        "QuotaExceeded",
        "the quota compute of the namespace is used up: asked for limits.cpu=4,requests.memory=8Gi, used "
        "limits.cpu=6,requests.memory=0 of limits.cpu=8,requests.memory=8Gi; ask for less, or have the quota raised",
    ),
    "a quota that wants a number": (
        'pods "digits-6d4-" is forbidden: failed quota: compute: must specify limits.cpu for: main; '
        "limits.memory for: main",
        "QuotaExceeded",
        "wants limits.cpu for: main; limits.memory for: main; say it in `resources`",
    ),
    "Pod Security": (
        'pods "digits-6d4-x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false '
        '(container "mesh" must set securityContext.allowPrivilegeEscalation=false)',
        "PolicyForbids",
        'Pod Security "restricted:latest" of the namespace forbids it: allowPrivilegeEscalation != false',
    ),
    "webhook": (
        'Error creating: admission webhook "validate.kyverno.svc-fail" denied the request: resource Pod was blocked: '
        "images must be signed",
        "WebhookRefused",
        "validate.kyverno.svc-fail refused it: resource Pod was blocked: images must be signed",
    ),
    "webhook without words": (
        'admission webhook "gate.example" denied the request without explanation',
        "WebhookRefused",
        "gate.example refused it without a reason",
    ),
    "webhook away": (
        'Internal error occurred: failed calling webhook "inject.mesh.io": failed to call webhook: Post '
        '"https://mesh.istio-system.svc:443/inject": dial tcp 10.96.1.1:443: connect: connection refused',
        "WebhookRefused",
        "inject.mesh.io does not answer",
    ),
    "admission policy": (
        "pods \"digits-6d4-x\" is forbidden: ValidatingAdmissionPolicy 'limits' with binding 'limits-all' denied "
        "request: replicas may be 3 at most",
        "PolicyForbids",
        "the policy limits forbids it: replicas may be 3 at most",
    ),
    "no service account": (
        'pods "digits-6d4-" is forbidden: error looking up service account ml/digits: '
        'serviceaccount "digits" not found',
        "CreateRefused",
        "the service account digits is not there",
    ),
    "no priority class": (
        'pods "digits-6d4-" is forbidden: no PriorityClass with name urgent was found',
        "CreateRefused",
        "no priority class urgent",
    ),
    "limit range": (
        'pods "digits-6d4-" is forbidden: maximum memory usage per Container is 1Gi, but limit is 8Gi',
        "QuotaExceeded",
        "maximum memory usage per Container is 1Gi, but limit is 8Gi",
    ),
    "what nobody foresaw": ("the moon is in the way", "CreateRefused", "(the moon is in the way)"),
}


@pytest.mark.parametrize("said, reason, words", SAID.values(), ids=SAID)
def test_a_sentence_of_the_refusal(said: str, reason: str, words: str) -> None:
    why = why_not_created(said)
    assert why.reason == reason
    assert words in why.message
