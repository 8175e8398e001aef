"""How a courier reaches registries: with the credentials that are mounted into its container."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shipway.oci.registry import DockerCredentials, Registry


def registries(docker_config: Path | None, *, plain_http: bool) -> Callable[[], Registry]:
    """What makes a client. ``docker_config``: a Secret of type kubernetes.io/dockerconfigjson, as a file, which is read
    anew for each request: a token that is exchanged works at once."""
    return lambda: Registry(DockerCredentials(docker_config), plain_http=plain_http or None)
