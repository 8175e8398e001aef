"""Asynchronous client of OCI registries. See docs/registries.md."""

from __future__ import annotations

from shipway.oci.registry.client import Registry
from shipway.oci.registry.credentials import Anonymous, Credential, Credentials, DockerCredentials
from shipway.oci.registry.limits import Limits

__all__ = ["Anonymous", "Credential", "Credentials", "DockerCredentials", "Limits", "Registry"]
