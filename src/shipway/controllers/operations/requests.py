"""What callers ask for when versions move: the bodies of the API's requests, checked. Values without I/O."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from shipway.kinds import Value
from shipway.kinds.meta import Name

_LONGEST_PATH = 4096  # bytes: PATH_MAX of Linux
_LONGEST_NAME = 255


def _absolute(path: str) -> str:
    if not path.startswith("/") or "\0" in path:
        raise ValueError(f"{path[:100]!r} is not a path of this machine: it begins with /")
    if len(os.fsencode(path)) > _LONGEST_PATH or any(len(os.fsencode(one)) > _LONGEST_NAME for one in path.split("/")):
        raise ValueError(f"{path[:100]!r}... is longer than a path can be")
    return path


LocalPath = Annotated[str, AfterValidator(_absolute), Field(pattern="^/")]


class PullRequest(Value):
    """A version of a registry becomes the model's next one. ``tags``: aliases that name it then; ``key``: a public key
    in PEM, without whose signature it becomes nothing."""

    reference: str  # HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]
    tags: tuple[Name, ...] = ()
    key: str = ""
    trust: bool = False
    referrers: bool = True
    plain_http: bool = False


class ImportRequest(Value):
    """Files of this machine become the model's next version."""

    path: LocalPath
    form: Literal["tar", "tar+zstd", "raw"] = "tar"
    trust: bool = False
    description: str = ""
    metrics: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default_factory=dict)


class PushRequest(Value):
    """A version goes to a registry. A reference without a tag gets the version's number."""

    reference: str
    also_tag: tuple[str, ...] = ()
    referrers: bool = True
    plain_http: bool = False


class ExportRequest(Value):
    """A version's files go into a folder; or the version as it is, into an OCI layout or an archive of one."""

    path: LocalPath
    form: Literal["files", "layout", "archive"] = "files"
    force: bool = False


class VerifyRequest(Value):
    """Every byte of a version in the home's layout is read again."""


class RemoteVerifyRequest(Value):
    """Every byte of what a registry holds under a reference is read."""

    reference: str
    plain_http: bool = False
