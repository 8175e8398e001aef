"""Labels of our objects, and what names and labels may be. Pure.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ (syntax), and common-labels there.
"""

from __future__ import annotations

import re

from shipway.bundle import Bundle
from shipway.cluster.kubernetes import names
from shipway.cluster.kubernetes.place import Place
from shipway.errors import UserError

APP = "app.kubernetes.io"

_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1035: what a Service may be called
_DNS_SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def labels(bundle: Bundle, place: Place, component: str) -> dict[str, str]:
    """Of every object of the workload: the user's own, the recommended ones, and those that we find objects by.
    ``component``: "server", "training". Raises UserError for what cannot be a label."""
    owner = bundle.terms.owner
    found = {
        **_users(bundle),
        f"{APP}/name": owner.name,
        f"{APP}/instance": bundle.workload.name,
        f"{APP}/version": _version(bundle),
        f"{APP}/component": component,
        f"{APP}/part-of": owner.labels.get(f"{APP}/part-of", owner.name),
        names.MANAGED_BY: "shipway",
        names.OWNER: place.owner,
        names.KIND: owner.kind,
        names.NAME: owner.name,
        names.WORKLOAD: bundle.workload.name,
    }
    return {key: checked_label(value, f"label {key}") for key, value in sorted(found.items()) if value}


def selector(bundle: Bundle) -> dict[str, str]:
    """What Pods of the workload are found by. It never changes: not with the revision, nor with the owning hub."""
    return {names.KIND: bundle.terms.owner.kind, names.WORKLOAD: bundle.workload.name}


def of_claim(bundle: Bundle, place: Place, component: str) -> dict[str, str]:
    """Of a claim, which outlives revisions and workloads: without a label of theirs it cannot be deleted with them."""
    passing = {f"{APP}/version", names.WORKLOAD}
    kept = {key: value for key, value in labels(bundle, place, component).items() if key not in passing}
    return {**kept, f"{APP}/instance": bundle.terms.owner.name}


def of_claim_template(bundle: Bundle, component: str) -> dict[str, str]:
    """The same in a StatefulSet, where it can never be changed: nothing of a user's, nor of the hub, either."""
    owner = bundle.terms.owner
    return {
        f"{APP}/name": owner.name,
        f"{APP}/instance": owner.name,
        f"{APP}/component": component,
        names.MANAGED_BY: "shipway",
        names.KIND: owner.kind,
        names.NAME: owner.name,
    }


def checked_label(value: str, what: str) -> str:
    """The value, when Kubernetes takes it. Raises UserError."""
    if len(value) > names.LONGEST_LABEL:
        raise UserError(
            f"{what}: {value!r} has {len(value)} characters, and Kubernetes takes {names.LONGEST_LABEL}",
            next_step="give it a shorter name",
        )
    if not _VALUE.fullmatch(value):
        raise UserError(
            f"{what}: {value!r} is no value of a label of Kubernetes: letters, digits, '-', '_' and '.', with a letter "
            "or digit at both ends"
        )
    return value


def checked_name(name: str, kind: str) -> str:
    """The name, when an object may be called so and a host name made of it (RFC 1035). Raises UserError."""
    if not _DNS_LABEL.fullmatch(name):
        raise UserError(
            f"{kind} {name!r} ({len(name)} characters): Kubernetes makes a host name of it, which has a letter first, "
            "then a-z, 0-9 and '-', a letter or digit last, and at most 63 characters",
            next_step="give it another, shorter name",
        )
    return name


def checked_reference(name: str, what: str) -> str:
    """The name of an object that others made, when one may be called so (RFC 1123). Raises UserError."""
    if not _DNS_SUBDOMAIN.fullmatch(name):
        raise UserError(
            f"{what}: {name!r} is no name of an object of Kubernetes: a-z, 0-9, '-' and '.', with a letter or digit at "
            "both ends, and at most 253 characters"
        )
    return name


def _users(bundle: Bundle) -> dict[str, str]:
    for key in bundle.terms.owner.labels:
        if not _KEY.fullmatch(key):
            raise UserError(
                f"label {key!r} is no key of a label of Kubernetes: NAME or DOMAIN/NAME, of at most 63 letters, "
                "digits, '-', '_' and '.'"
            )
    return dict(bundle.terms.owner.labels)


def _version(bundle: Bundle) -> str:
    """The revision; where nobody numbers them, what runs."""
    image = bundle.terms.image
    _, by_digest, digest = image.rpartition("@sha256:")
    tag = image.rpartition("/")[2].partition(":")[2]
    return bundle.terms.owner.revision or (digest[:12] if by_digest else tag)
