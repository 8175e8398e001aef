"""What could not be carried over, why, and what to do: for every field that nobody took."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from shipway.importing.manifests import Manifest
from shipway.kinds.document import Path

_PATCH = "keep it as a patch of yours on what `shipway render --format kustomize` writes"


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that is not in the result. ``path``: of the field in its object; empty for the whole object."""

    object: str  # "Deployment/web"
    path: str
    why: str
    next_step: str = ""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = ":".join(str(one) for one in (self.file, self.line or "") if one)
        what = " ".join(one for one in (self.object, self.path) if one)
        told = ": ".join(one for one in (place, what, self.why) if one)
        return f"{told}; {self.next_step}" if self.next_step else told


class Losses:
    """Collects them while objects are converted."""

    def __init__(self) -> None:
        self.found: list[Loss] = []

    def tell(self, manifest: Manifest, path: Path, why: str, next_step: str = "") -> None:
        """That the field at ``path`` (of the document; empty: the object) is not carried over."""
        line = manifest.block.line(path or manifest.block.path)
        shown = manifest.shown(path) if path else ""
        self.found.append(Loss(manifest.key, shown, why, next_step, manifest.file, line))

    def tell_left(self, manifest: Manifest) -> None:
        """All that nobody took of the object and that means something."""
        for path, value in manifest.block.left():
            for field, one in _leaves(path, value):
                if not _goes_without_saying(manifest.shown(field), one):
                    self.tell(manifest, field, *_reason(manifest.shown(field)))

    def sorted(self) -> tuple[Loss, ...]:
        """In the order of the files, each once."""
        return tuple(sorted(dict.fromkeys(self.found), key=lambda one: (one.file, one.line)))


def _leaves(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    """The security settings and metadata are told one by one, for most of them go without saying; others as a whole."""
    if isinstance(value, dict) and path[-1] in _BY_FIELD:
        for name, below in value.items():
            if below not in (None, {}, [], ""):
                yield from _leaves((*path, name), below)
    else:
        yield path, value


_BY_FIELD = {"annotations", "capabilities", "metadata", "seccompProfile", "securityContext", "spec", "updateStrategy"}


def _is(*values: Any) -> Callable[[Any], bool]:
    return lambda value: value in values


def _any(_: Any) -> bool:
    return True


# What Kubernetes takes by default, what `shipway render` writes anyhow, and what only servers write.
_IMPLIED: tuple[tuple[re.Pattern[str], Callable[[Any], bool]], ...] = tuple(
    (re.compile(pattern), holds)
    for pattern, holds in (
        (r"apiVersion|kind|status|metadata\.(name|generateName|labels)", _any),
        (r"metadata\.namespace", _is("default")),
        (r".*metadata\.(creationTimestamp|uid|resourceVersion|generation|managedFields|selfLink)", _any),
        (r".*annotations\.(kubectl\.kubernetes\.io/.*|deployment\.kubernetes\.io/revision)", _any),
        (r"spec\.(selector|serviceName|revisionHistoryLimit|manualSelector)", _any),
        (r".*template\.metadata\.(name|labels|namespace)", _any),
        (r".*\.(terminationMessagePath|terminationMessagePolicy|imagePullPolicy)", _any),
        (r".*\.restartPolicy|.*\.enableServiceLinks", _any),
        (r".*\.dnsPolicy", _is("ClusterFirst")),
        (r".*\.schedulerName", _is("default-scheduler")),
        (r".*\.automountServiceAccountToken", _is(False)),
        (r".*\.serviceAccount(Name)?", _is("default")),
        (r".*\.(hostNetwork|hostPID|hostIPC|privileged|allowPrivilegeEscalation|stdin|tty|paused|suspend)", _is(False)),
        (r".*\.(runAsNonRoot|readOnlyRootFilesystem)", _is(True)),
        (r".*\.capabilities\.drop", _any),
        (r".*\.seccompProfile\.type", _is("RuntimeDefault")),
        (r".*\.protocol", _is("TCP")),
        (r".*\.successThreshold", _is(1)),
        (r".*\.scheme", _is("HTTP")),
        (r".*\.defaultMode", _is(420, 0o644, "0644")),
        (r".*\.ports\[\d+\]\.name|.*\.volumeMode", _any),
        (r"spec\.podManagementPolicy", _is("OrderedReady")),
        (r"spec\.updateStrategy\.type", _is("RollingUpdate")),
        (r"spec\.(sessionAffinity|externalTrafficPolicy|internalTrafficPolicy)", _is("None", "Cluster")),
        (r"spec\.(clusterIPs?|ipFamilies|ipFamilyPolicy)", _any),
        (r".*\.concurrencyPolicy", _is("Forbid")),
        (r".*\.minReadySeconds", _is(0)),
    )
)

_ONE_SECURITY = "all Pods run as the profile `restricted` of Pod Security demands, as user 10001"

# Why a field is not carried over, and what to do: the first that fits.
_REASONS: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), why, next_step)
    for pattern, why, next_step in (
        (r"metadata\.namespace", "the namespace is the cluster's", "name it: shipway cluster add --namespace"),
        (r".*metadata\.annotations.*", "annotations are not carried over", _PATCH),
        (r".*\.initContainers.*", "a replica has one container", "do its work in the command, or as a ModelJob"),
        (r".*\.securityContext.*|.*\.host(Network|PID|IPC|Users)", _ONE_SECURITY, "let the image run as any user"),
        (r".*\.(serviceAccount(Name)?|automountServiceAccountToken)", "Pods get an account of their own without rights",
         _PATCH),
        (r".*\.imagePullSecrets", "the pull secret is the cluster's", "name it: shipway cluster add --pull-secret"),
        (r".*\.lifecycle.*", "before it is stopped, a replica is taken out of traffic and gets SIGTERM",
         "handle SIGTERM; gracePeriod says how long it may take"),
        (r".*\.hostPort", "no port of a node is given away", "expose: {service: NodePort} opens one for the service"),
        (r".*Probe\.initialDelaySeconds", "nothing is asked before the startup probe has passed", ""),
        (r".*Probe\.(exec|grpc).*", "a replica is asked by HTTP or by a TCP connection", "give the probe a path"),
        (r".*Probe\.httpGet\..*", "probes ask the port of the service by plain HTTP", ""),
        (r".*\.resizePolicy|.*\.workingDir", "Shipway's kinds have no such field", _PATCH),
        (r".*\.(concurrencyPolicy|startingDeadlineSeconds|.*JobsHistoryLimit|timeZone)",
         "of a CronJob the schedule is carried over", _PATCH),
        (r".*podFailurePolicy.*", "Shipway writes its own: exit code 42 is never tried again, a drained node not "
         "counted", "let the command end with 42 where it is of no use to try again"),
        (r".*\.minReadySeconds", "a replica that is ready gets traffic", ""),
        (r".*behavior.*", "of how fast it scales, the window before it scales down is carried over", _PATCH),
        (r".*emptyDir\.medium", "scratch lies on the node's disk", "for shared memory, keep the volume as a patch"),
        (r".*\.suspend|.*\.paused", "what is declared runs", "leave it out of the file until it is to run"),
    )
)  # fmt: skip


def _goes_without_saying(path: str, value: Any) -> bool:
    return any(pattern.fullmatch(path) and holds(value) for pattern, holds in _IMPLIED)


def _reason(path: str) -> tuple[str, str]:
    found = ((why, next_step) for pattern, why, next_step in _REASONS if pattern.fullmatch(path))
    return next(found, ("Shipway's kinds have no such field", _PATCH))
