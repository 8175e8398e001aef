"""Images that do not come: the words of containerd, CRI-O and Docker Hub, as nodes report them."""

from __future__ import annotations

import pytest

from shipway.cluster.kubernetes.watch.pulls import why_pull

IMAGE = "ghcr.io/team/digits@sha256:4cba"
PULL = f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": '

SAID = {
    "containerd: no such manifest": (
        f"rpc error: code = NotFound desc = {PULL}{IMAGE}: not found",
        "ImageNotFound",
        "is not in the registry",
    ),
    "CRI-O: manifest unknown": (
        "rpc error: code = Unknown desc = reading manifest sha256:4cba in ghcr.io/team/digits: manifest unknown",
        "ImageNotFound",
        "manifest unknown",
    ),
    "containerd: token refused": (
        f"rpc error: code = Unknown desc = {PULL}failed to authorize: failed to fetch anonymous token: unexpected "
        "status from GET request to https://ghcr.io/token?scope=repository%3Ateam%2Fdigits%3Apull: 401 Unauthorized",
        "ImageUnauthorized",
        "pullSecret",
    ),
    "Docker Hub: it may not exist": (
        f"rpc error: code = Unknown desc = {PULL}pull access denied, repository does not exist or may require "
        "authorization: server message: insufficient_scope: authorization failed",
        "ImageUnauthorized",
        "or mend the image's name",
    ),
    "no such host": (
        f'rpc error: code = Unknown desc = {PULL}failed to do request: Head "https://ghcr.io/v2/": dial tcp: lookup '
        "ghcr.io on 10.96.0.10:53: no such host",
        "ImageUnreachable",
        "cannot reach ghcr.io",
    ),
    "refused": (
        f'rpc error: code = Unknown desc = {PULL}failed to do request: Head "https://10.0.0.9:5000/v2/": dial tcp '
        "10.0.0.9:5000: connect: connection refused",
        "ImageUnreachable",
        "connection refused",
    ),
    "unknown authority": (
        f"rpc error: code = Unknown desc = {PULL}failed to do request: Head: tls: failed to verify certificate: x509: "
        "certificate signed by unknown authority",
        "ImageUnreachable",
        "does not trust ghcr.io",
    ),
    "plain HTTP": (
        f"rpc error: code = Unknown desc = {PULL}failed to do request: Head: http: server gave HTTP response to HTTPS "
        "client",
        "ImageUnreachable",
        "speak HTTP",
    ),
    "another platform": (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{IMAGE}": no match for platform in '
        "manifest: not found",
        "ImagePullFailed",
        "--platform",
    ),
    "a full disk": (
        f'rpc error: code = Unknown desc = failed to pull and unpack image "{IMAGE}": failed to extract layer '
        "sha256:1: write /var/lib/containerd/x: no space left on device",
        "ImagePullFailed",
        "disk is full",
    ),
}


@pytest.mark.parametrize("said, reason, words", SAID.values(), ids=SAID)
def test_what_a_runtime_says(said: str, reason: str, words: str) -> None:
    why = why_pull("ErrImagePull", said, IMAGE)
    assert why.reason == reason
    assert words in why.message
    assert "rpc error" not in why.message
    assert why.message.count(IMAGE) <= 2


def test_a_kubelet_that_backs_off_repeats_the_words_or_leaves_them_to_an_event() -> None:
    words = f"rpc error: code = NotFound desc = {PULL}{IMAGE}: not found"
    newer = why_pull("ImagePullBackOff", f'Back-off pulling image "{IMAGE}": ErrImagePull: {words}', IMAGE)
    older = why_pull(
        "ImagePullBackOff", f'Back-off pulling image "{IMAGE}"', IMAGE, [f'Failed to pull image "{IMAGE}": {words}']
    )
    assert newer == older
    assert newer.message == (f"image {IMAGE} is not in the registry ({IMAGE}: not found); push it, or mend its name")


def test_the_image_of_a_volume_is_named_and_not_that_of_the_container() -> None:
    model = "ghcr.io/team/models@sha256:99"
    why = why_pull(
        "ErrImagePull", f'rpc error: code = NotFound desc = failed to pull and unpack image "{model}": not found', IMAGE
    )
    assert why.message.startswith(f"image {model} is not in the registry")


def test_a_short_name_stays_as_it_was_written() -> None:
    said = (
        'failed to pull and unpack image "docker.io/library/nosuch:latest": docker.io/library/nosuch:latest: not found'
    )
    assert why_pull("ErrImagePull", said, "nosuch").message.startswith("image nosuch is not in")


@pytest.mark.parametrize(
    "reason, message, code",
    [
        ("InvalidImageName", 'Failed to apply default image tag "a b": couldn\'t parse image name', "InvalidImageName"),
        ("ErrImageNeverPull", "Container image is not present with pull policy of Never", "ImageNotFound"),
        ("ErrImagePull", "something new", "ImagePullFailed"),
    ],
)
def test_the_other_reasons_of_kubelet(reason: str, message: str, code: str) -> None:
    assert why_pull(reason, message, IMAGE).reason == code
