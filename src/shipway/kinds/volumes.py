"""Folders that outlive a replica, or that several share. On a cluster: PersistentVolumeClaims, ConfigMaps, Secrets.

Source: https://kubernetes.io/docs/concepts/storage/ (volumes, persistent-volumes).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shipway.kinds.meta import Name, Value
from shipway.kinds.quantity import Memory

AccessMode = Literal["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod"]


class Volume(Value):
    """A folder at ``path``: exactly one of a new claim (``size``), a ``claim`` that exists, a ``secret`` or a
    ``config_map`` that exist, an empty folder (``scratch``: its largest size, gone with the replica), or ``files``,
    written here as text (a ConfigMap)."""

    name: Name
    path: Annotated[str, Field(pattern=r"^/.+")]
    size: Memory | None = None
    access_mode: AccessMode = "ReadWriteOnce"
    storage_class: str | None = None
    claim: str | None = None
    secret: str | None = None
    config_map: str | None = None
    scratch: Memory | None = None
    files: dict[str, str] = {}
    read_only: bool = False
    sub_path: str = ""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        kinds = ("size", "claim", "secret", "config_map", "scratch")
        given = [one for one in kinds if getattr(self, one) is not None] + (["files"] if self.files else [])
        if len(given) != 1:
            raise ValueError(
                f"volume {self.name!r} has {' and '.join(given) or 'no source'}: give exactly one of size, claim, "
                "secret, configMap, scratch, files"
            )
        return self
