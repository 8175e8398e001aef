"""Why an object is not written, in one sentence with what to do. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from shipway.cluster.kubernetes.api.refusals import FieldsOwned
from shipway.cluster.kubernetes.apply.decide import Key
from shipway.cluster.kubernetes.names import Manifest
from shipway.errors import ClusterRefused, Conflict, ShipwayError, UserError

# How Kubernetes says that a field cannot be changed: by field, by a list of those that can, by kind. Of a Job it shows
# the whole template first, and the words after it may be cut off.
_IMMUTABLE = (
    "field is immutable",
    "may not change once set",
    "updates to statefulset spec for fields other than",
    "spec is immutable after",
    " spec.template: Invalid value",
)
_SMALLER = "field can not be less than"

_FIELDS = {
    "Deployment": "the selector of a Deployment",
    "StatefulSet": "of a StatefulSet, all but replicas, template and update strategy (so its volume claims)",
    "Job": "the Pods and completions of a Job",
    "PersistentVolumeClaim": "of a claim, all but a larger size",
    "Service": "the cluster IP of a Service",
    "Secret": "an immutable Secret",
    "ConfigMap": "an immutable ConfigMap",
}
_STEPS = {
    "PersistentVolumeClaim": "Give the volume another name and move its data; or leave size, class and access mode.",
    "StatefulSet": "kubectl delete statefulset {name} -n {namespace} --cascade=orphan leaves its Pods and claims; "
    "then apply again.",
    "Job": "Ask for another run: a Job is used once.",
}
_STEP = "kubectl delete {kind} {name} -n {namespace}, then apply again: it is made anew, and away meanwhile."


@contextmanager
def told(key: Key) -> Iterator[None]:
    """Errors of an apply, in words of the object: other managers, immutable fields."""
    try:
        yield
    except FieldsOwned as error:
        raise Conflict(
            f"{key}: {' and '.join(holders(error))}, and Shipway sets it to something else.",
            next_step="Take it out there; or take it over with --force-conflicts.",
        ) from error
    except (UserError, ClusterRefused) as error:
        raise _immutable(key, error.message) or _admission(key, error) or error from error


def holders(error: FieldsOwned) -> tuple[str, ...]:
    """Who holds which fields, one sentence part a manager: ``kubectl manages .spec.replicas``."""
    fields: dict[str, list[str]] = {}
    for cause in error.causes:
        fields.setdefault(cause.manager, []).append(cause.field)
    return tuple(f"{manager} manages {', '.join(found)}" for manager, found in sorted(fields.items()))


def _immutable(key: Key, said: str) -> UserError | None:
    step = _STEPS.get(key.kind, _STEP).format(kind=key.kind.lower(), name=key.name, namespace=key.namespace)
    if _SMALLER in said:
        return Conflict(f"{key} cannot become smaller: Kubernetes has no way to shrink a volume.", next_step=step)
    if not any(words in said for words in _IMMUTABLE):
        return None
    what = _FIELDS.get(key.kind, "this field")
    return Conflict(
        f"{key} cannot be changed in this way: {what} stays as it was made. ({_field(said)})", next_step=step
    )


def _field(said: str) -> str:
    """Kubernetes' own words, without the object's name in front and without the value, which may fill a page."""
    said = said.partition(" is invalid: ")[2] or said
    path, _, value = said.partition(": Invalid value: ")
    return path if value else said[:200]


# What an admission says, and what helps.
_ADMISSIONS = (
    (
        "violates PodSecurity",
        "What Shipway renders passes `restricted`: see what the service or its namespace adds to it.",
    ),
    ("exceeded quota", "Ask for less (resources, replicas), remove something, or have the quota raised."),
    ("failed quota", "The quota wants each container to say it: set resources.cpu and resources.memory."),
    ("per Container is", "A LimitRange of the namespace says so: kubectl get limitranges; set resources within it."),
    ("per Pod is", "A LimitRange of the namespace says so: kubectl get limitranges; set resources within it."),
    ("no PriorityClass with name", "Name one of: kubectl get priorityclasses"),
    (
        "failed calling webhook",
        "The webhook does not answer: who runs it (kubectl get validatingwebhookconfigurations,"
        "mutatingwebhookconfigurations) must mend it; then try again.",
    ),
    ("admission webhook", "This is a rule of who runs the cluster: change what it names, or ask them."),
    ("ValidatingAdmissionPolicy", "This is a rule of who runs the cluster: change what it names, or ask them."),
    ("unable to create new content in namespace", "The namespace is being deleted: wait, or use another one."),
)


def _admission(key: Key, error: ShipwayError) -> ClusterRefused | None:
    """A policy answers with 422 as if the object were wrong, a webhook with any status."""
    if not (step := step_of(error)):
        return None
    status, reason = (error.status, error.reason) if isinstance(error, ClusterRefused) else (422, "Invalid")
    return ClusterRefused(f"{key}: {own_words(error)}", next_step=step, status=status, reason=reason)


def own_words(error: ShipwayError) -> str:
    """What Kubernetes said, without whom we asked and for what."""
    said = error.message.partition(" is forbidden: ")[2] or error.message.partition(": ")[2] or error.message
    return said.strip()


def step_of(error: ShipwayError) -> str:
    """What to do when an admission refuses; empty for any other error."""
    return next((step for words, step in _ADMISSIONS if words in error.message), "")


def no_dry_run(error: ShipwayError) -> bool:
    """A webhook that has side effects is not asked in a dry run, so the server does none: it tells us nothing."""
    return "does not support dry run" in error.message


def says_nothing_of_the_pod(error: ShipwayError) -> bool:
    """No right to make Pods by ourselves, or the namespace is so new that it has no default account yet."""
    return 'cannot create resource "pods"' in error.message or 'serviceaccount "default" not found' in error.message


def check_ours(key: Key, owner: str, ours: Collection[str], *, adopt: bool) -> None:
    """Whether we may write over an object. Raises Conflict with whose it is."""
    if owner in ours or (adopt and not owner):
        return
    if owner:
        raise Conflict(
            f"{key} belongs to another Shipway hub ({owner}).",
            next_step="Use another namespace; or take this one over: shipway cluster add ... --take-over",
        )
    raise Conflict(
        f"{key} exists, and was not made by Shipway.",
        next_step="Give yours another name, delete that one, or adopt it with --force-conflicts.",
    )


def leaving(key: Key, live: Manifest) -> Conflict:
    """It is being deleted, and stays: who holds it back."""
    metadata = live["metadata"]
    held = ", ".join(metadata.get("finalizers") or ())
    since = metadata["deletionTimestamp"]
    if not held:
        return Conflict(f"{key} is being deleted since {since}.", next_step="Try again when it is gone.")
    return Conflict(
        f"{key} is being deleted since {since}, and held by {held}.",
        next_step="What set these finalizers must finish first: see its logs; then try again.",
    )


def kept(key: Key) -> str:
    """A claim is not removed."""
    return (
        f"kept {key}, for it may hold data: kubectl delete pvc {key.name} -n {key.namespace} removes it and its volume"
    )
