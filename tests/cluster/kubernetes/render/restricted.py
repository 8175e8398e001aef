"""The Pod Security profile "restricted", which holds "baseline" as well, as pod-security-admission checks it.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/ (for Linux), and
https://github.com/kubernetes/pod-security-admission/tree/master/policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
}  # fmt: skip
_SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}  # fmt: skip
_SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}
_SECCOMP = {"RuntimeDefault", "Localhost"}
_PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def templates(manifests: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The Pod templates in them."""
    for one in manifests:
        spec = one.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "containers" in spec.get("template", {}).get("spec", {}):
            yield spec["template"]


def violations(pod: Mapping[str, Any]) -> list[str]:
    """What "restricted" forbids of a Pod's spec, in words."""
    found = [*_of_pod(pod), *_of_volumes(pod)]
    own = pod.get("securityContext", {})
    for container in (*pod.get("initContainers", ()), *pod["containers"], *pod.get("ephemeralContainers", ())):
        found += [f"container {container['name']}: {one}" for one in _of_container(container, own)]
    return found


def _of_pod(pod: Mapping[str, Any]) -> Iterator[str]:
    own = pod.get("securityContext", {})
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield field
    for sysctl in own.get("sysctls", ()):
        if sysctl["name"] not in _SYSCTLS:
            yield f"sysctl {sysctl['name']}"
    yield from _of_identity(own)


def _of_volumes(pod: Mapping[str, Any]) -> Iterator[str]:
    for volume in pod.get("volumes", ()):
        if not (len(volume) == 2 and volume.keys() - {"name"} <= _VOLUMES):
            yield f"volume {volume}"


def _of_identity(own: Mapping[str, Any]) -> Iterator[str]:
    """What is forbidden in the security context of Pods and of containers alike."""
    if own.get("runAsUser") == 0:
        yield "runAsUser is 0"
    if own.get("runAsNonRoot") is False:
        yield "runAsNonRoot is false"
    if "seccompProfile" in own and own["seccompProfile"]["type"] not in _SECCOMP:
        yield f"seccompProfile {own['seccompProfile']}"
    if own.get("appArmorProfile", {}).get("type", "RuntimeDefault") == "Unconfined":
        yield "appArmorProfile is Unconfined"
    selinux = own.get("seLinuxOptions", {})
    if selinux.get("type", "") not in _SELINUX or selinux.get("user") or selinux.get("role"):
        yield f"seLinuxOptions {selinux}"
    if own.get("windowsOptions", {}).get("hostProcess"):
        yield "hostProcess"


def _of_container(container: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[str]:
    own = container.get("securityContext", {})
    yield from _of_identity(own)
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation is not false"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", ()) or set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield f"capabilities {capabilities}"
    if not (own.get("runAsNonRoot") or pod.get("runAsNonRoot")):
        yield "runAsNonRoot is not true"
    if not (own.get("seccompProfile") or pod.get("seccompProfile")):
        yield "no seccompProfile"
    for port in container.get("ports", ()):
        if port.get("hostPort"):
            yield f"hostPort {port['hostPort']}"
    actions = [container.get(one, {}) for one in _PROBES] + list(container.get("lifecycle", {}).values())
    for action in actions:
        if action.get("httpGet", {}).get("host") or action.get("tcpSocket", {}).get("host"):
            yield "a host in a probe or a lifecycle action"
