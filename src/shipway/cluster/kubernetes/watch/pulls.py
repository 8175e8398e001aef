"""Why a node could not get an image, from the words of kubelet and of the container runtime. Pure.

Source: k8s.io/kubernetes pkg/kubelet/images/types.go (the reasons); the words are containerd's and CRI-O's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shipway.cluster.kubernetes.watch.why import Why, quoted

PULLING = frozenset(
    (
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    )
)

_BACK_OFF = re.compile(r'^Back-off pulling (?:image )?"[^"]*"(?:: (?:ErrImagePull: )?)?')
_RPC = re.compile(r"rpc error: code = \w+ desc = ")
_OF_MESSAGE = re.compile(r'(?:pull(?: and unpack)?|pulling) image "([^"]+)"')
_NOT_FOUND = re.compile(r"not found|manifest unknown|name unknown|NAME_UNKNOWN|MANIFEST_UNKNOWN|does not exist", re.I)
_UNAUTHORIZED = re.compile(
    r"unauthorized|authentication required|authorization failed|failed to authorize|\b401\b|\b403\b|denied|forbidden",
    re.I,
)
_PLATFORM = re.compile(r"no match for platform|no matching manifest|exec format error", re.I)
_CERTIFICATE = re.compile(r"x509:|certificate|gave HTTP response to HTTPS client|tls: ", re.I)
_UNREACHABLE = re.compile(
    r"dial tcp|no such host|connection refused|i/o timeout|deadline exceeded|TLS handshake timeout|no route to host"
    r"|network is unreachable|connection reset|\b50[0-9]\b|EOF$",
    re.I,
)
_FULL = re.compile(r"no space left on device", re.I)


def why_pull(reason: str, message: str, image: str, events: Sequence[str] = ()) -> Why:
    """``reason`` and ``message`` are of the waiting container, ``image`` is what its spec names, ``events`` the words
    of "Failed to pull image" events, newest last: a kubelet that backs off may have no other words than that."""
    said = _words(message) or next((_words(one) for one in reversed(events) if _words(one)), "")
    named = next((found[1] for one in (message, *reversed(events)) if (found := _OF_MESSAGE.search(one))), image)
    image = image if _same(named, image) else named  # a volume's
    if reason == "InvalidImageName":
        return Why("InvalidImageName", f"{image!r} is no name of an image; mend `image` (registry/name@sha256:...)")
    if reason == "ErrImageNeverPull":
        return Why("ImageNotFound", f"image {image} is not on the node, and its pull policy is Never; push and pull it")
    return _judged(image, said or reason)


def _judged(image: str, said: str) -> Why:
    registry = image.partition("/")[0] if "/" in image else "its registry"
    words = quoted(said)
    if _FULL.search(said):
        return Why("ImagePullFailed", f"the node's disk is full while it pulls {image} ({words}); make room there")
    if _PLATFORM.search(said):
        return Why(
            "ImagePullFailed",
            f"image {image} has no variant for the node's platform ({words}); build it with --platform for that node",
        )
    if _CERTIFICATE.search(said):
        return Why(
            "ImageUnreachable",
            f"the node does not trust {registry}, which holds {image} ({words}); give the nodes its certificate, or "
            "let their container runtime speak HTTP with it",
        )
    # Docker Hub says "pull access denied, repository does not exist or may require authorization": either.
    if _UNAUTHORIZED.search(said):
        return Why(
            "ImageUnauthorized",
            f"{registry} does not let the node pull {image} ({words}); name a pull secret in the cluster's `pullSecret`"
            ", or mend the image's name",
        )
    # Before "not found": "lookup registry.local: no such host" is a name of the network.
    if _UNREACHABLE.search(said):
        return Why(
            "ImageUnreachable",
            f"the node cannot reach {registry} to pull {image} ({words}); it must be reachable from the nodes",
        )
    if _NOT_FOUND.search(said):
        return Why("ImageNotFound", f"image {image} is not in the registry ({words}); push it, or mend its name")
    return Why("ImagePullFailed", f"the node could not pull {image} ({words}); kubelet tries again by itself")


def _words(message: str) -> str:
    """The runtime's own words: those behind the last of "failed to ..." that only repeat the image's name."""
    said = _RPC.sub("", _BACK_OFF.sub("", message)).strip()
    said = re.sub(r'^Failed to pull (?:image|volume) "[^"]*": ', "", said)
    while (
        found := re.match(r'failed to (?:pull and unpack image|resolve reference|copy)(?: "[^"]*")?: (?=\S)', said)
    ) is not None:
        said = said[found.end() :]
    return said.strip()


def _same(named: str, image: str) -> bool:
    """Docker's short names: containerd says docker.io/library/x:latest where the spec says x."""
    return _short(named) == _short(image)


def _short(image: str) -> str:
    return image.removeprefix("docker.io/").removeprefix("library/").removesuffix(":latest")
