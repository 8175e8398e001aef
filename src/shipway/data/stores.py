"""Object stores behind URIs: s3://, gs://, az:// through obstore (Rust), and file:// as a folder of this machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
    UnknownConfigurationKeyError,
)
from obstore.store import AzureStore, GCSStore, S3Store

from shipway.data.artifact import Remote
from shipway.data.contents import Contents, F, Folder, changed, in_order
from shipway.data.files import DataFile, Found
from shipway.errors import Conflict, EnvironmentFault, NotFound, Refused, ShipwayError, UserError
from shipway.oci import Digest
from shipway.oci.unpack import checked_name
from shipway.snapshot import collect_path

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta

SCHEMES = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_", "file": ""}  # and how their variables begin

_PIECE = 4 << 20  # bytes of one request
_AT_ONCE = 8  # requests
_MOST_FILES = 1_000_000
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
_HIDDEN = re.compile("KEY|SECRET|TOKEN|PASS|CREDENTIAL|SIGNATURE")
_QUERY = re.compile(r"(?<=[\w/])\?[^\s\"')]+")  # of a URL: Azure's and Google's signatures stand there
_LOOPBACK = re.compile(r"127(?:\.\d{1,3}){3}|localhost|::1")
# Where obstore looks last: what a cloud's own machines are told about themselves.
_OF_MACHINES = ("//169.254.169.254/", "//metadata.google.internal/", "//metadata/")
_KEYS = "Give the hub's environment or a secret (--secret NAME) the right keys."
_CLIENT: Any = {"timeout": "120s", "connect_timeout": "10s"}
_RETRY: Any = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}


@dataclass(frozen=True, slots=True)
class Access:
    """How object stores are reached: the hub's own variables, and where a secret's values are found by its name."""

    environment: Mapping[str, str]
    secret: Callable[[str], Mapping[str, str]]  # raises NotFound


class Place(Contents, Protocol):
    """What a URI means: files that can be listed and read."""

    @property
    def uri(self) -> str:
        """How it is pinned when it was listed: what ends in ``/`` holds the files, all else is one file. So a prefix
        is one place, whether its last slash was written or not, and no store is asked which of them it is."""
        ...

    def found(self) -> tuple[Found, ...]:
        """The files, sorted by name, as they are now. Raises NotFound, Refused, EnvironmentFault."""
        ...


class ObjectStores:
    """Opens what a URI means."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def open(self, remote: Remote) -> Place:
        """Raises UserError for a URI that is none of ours, NotFound for a secret, Refused for http to elsewhere."""
        scheme, bucket, key = parse(remote.uri)
        if scheme == "file":
            path = Path("/" + key)
            return Folder(collect_path(path), _ended(remote.uri) if path.is_dir() else remote.uri)
        values = self._access.secret(remote.secret) if remote.secret else {}
        settings = {**({} if remote.secret else self._access.environment), **values}
        config = _config(scheme, remote, settings, values)
        ours = (name for name in settings if name.startswith(SCHEMES[scheme]))
        hidden = [settings[name] for name in ours if _HIDDEN.search(name)]
        with _told(remote.uri, hidden):
            return Objects(_store(scheme, bucket, config, values), remote.uri, key, hidden)


def parse(uri: str) -> tuple[str, str, str]:
    """Scheme, bucket, and the key or prefix without its first slash. Raises UserError."""
    parts = urlsplit(uri)
    if parts.scheme not in SCHEMES:
        raise UserError(
            f"{uri!r} is not the URI of a data set", next_step=f"Allowed: {', '.join(f'{one}://' for one in SCHEMES)}."
        )
    if "@" in parts.netloc or parts.query:
        raise UserError(
            f"the URI of a data set is {parts.scheme}://BUCKET/PATH, and nothing more",
            next_step="Credentials go into a secret: shipway secret set NAME KEY, then --secret NAME.",
        )
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or parts.path in ("", "/"):
            raise UserError(f"{uri!r} names no folder of this machine: write file:///absolute/path")
        return "file", "", unquote(parts.path).lstrip("/")
    if not parts.netloc:
        raise UserError(f"{uri!r} names no bucket: write {parts.scheme}://BUCKET/PATH")
    return parts.scheme, parts.netloc, uri.partition("://")[2].partition("/")[2]


class Objects:
    """The objects below a prefix, or one object. Names are relative to the prefix. ``hidden`` stands in no error."""

    def __init__(self, store: Any, uri: str, key: str, hidden: Sequence[str]) -> None:
        self._store = store
        self._uri = uri
        self._key = key
        self._hidden = hidden
        self._single = bool(key) and not key.endswith("/")

    @property
    def uri(self) -> str:
        return self._uri if self._single else _ended(self._uri)

    def found(self) -> tuple[Found, ...]:
        with _told(self._uri, self._hidden):
            if (single := self._head()) is not None:
                return (_found(PurePosixPath(self._key).name, single),)
            self._single = False
            prefix = self._key.rstrip("/")
            listed: list[Found] = []
            for batch in obstore.list(self._store, prefix or None, chunk_size=1000):
                listed += [
                    _found(one["path"].removeprefix(f"{prefix}/" if prefix else ""), one)
                    for one in batch
                    if not (one["size"] == 0 and one["path"].endswith("/"))
                ]
                if len(listed) > _MOST_FILES:
                    raise Refused(f"{self._uri} holds more than {_MOST_FILES} objects", next_step="Name a prefix.")
        if not listed:
            raise NotFound(f"{self._uri} holds no object", next_step="Check the bucket and the path.")
        return tuple(sorted(listed, key=lambda one: one.name))

    def stream(self, files: Sequence[F]) -> Iterator[tuple[F, bytes]]:
        pieces = ((file, start) for file in files for start in range(0, file.size or 1, _PIECE))
        yield from in_order(self._fetch, pieces, _AT_ONCE)

    def differs(self, file: DataFile, digest: Digest, size: int) -> ShipwayError:
        return changed(self._where(file), file, digest, size)

    def _head(self) -> ObjectMeta | None:
        if not self._single:
            return None
        try:
            return obstore.head(self._store, self._key)
        except FileNotFoundError:
            return None

    def _fetch(self, piece: tuple[F, int]) -> tuple[F, bytes]:
        file, start = piece
        with _told(self._where(file), self._hidden, went=f": expected {_expected(file)}, found no object"):
            if not file.size:
                self._check(file, obstore.head(self._store, self._key_of(file)))
                return file, b""
            result = obstore.get(self._store, self._key_of(file), options=self._options(file, start))
            self._check(file, result.meta)
            return file, bytes(result.bytes())

    def _options(self, file: Found, start: int) -> GetOptions:
        options: GetOptions = {"range": (start, min(start + _PIECE, file.size))}
        if file.revision:
            options["version"] = file.revision
        elif file.etag and not isinstance(file, DataFile):
            # While it is pinned all pieces must be of one object. Later the sha256 decides: the same bytes sent anew
            # in other parts have another etag.
            options["if_match"] = file.etag
        return options

    def _check(self, file: Found, meta: ObjectMeta) -> None:
        if meta["size"] == file.size:
            return
        raise Conflict(
            f"{self._where(file)} changed: expected {_expected(file)}, etag {file.etag or 'none'}, "
            f"found {meta['size']} bytes, etag {meta['e_tag'] or 'none'}",
            next_step="Bring its bytes back, or pin what is there as the next version: shipway data add.",
        )

    def _key_of(self, file: Found) -> str:
        return self._key if self._single else "/".join(filter(None, [self._key.rstrip("/"), file.name]))

    def _where(self, file: Found) -> str:
        return self._uri if self._single else f"{_ended(self._uri)}{file.name}"


def _ended(uri: str) -> str:
    return f"{uri.rstrip('/')}/"


def _expected(file: Found) -> str:
    return f"{file.size} bytes with {file.digest}" if isinstance(file, DataFile) else f"{file.size} bytes"


def _found(name: str, meta: ObjectMeta) -> Found:
    if not name or checked_name(name) != name:
        raise Refused(f"the object {meta['path']!r} cannot be a file of a folder", next_step="Name another prefix.")
    return Found(name=name, size=meta["size"], etag=meta["e_tag"] or "", revision=meta["version"] or "")


def _config(scheme: str, remote: Remote, settings: Mapping[str, str], values: Mapping[str, str]) -> Mapping[str, str]:
    """What obstore is told besides the variables that it reads by itself. Raises UserError, Refused."""
    strange = [name for name in values if not name.startswith(SCHEMES[scheme])]
    if strange:
        raise UserError(
            f"the secret {remote.secret!r} has the key {strange[0]!r}: {scheme}:// knows {SCHEMES[scheme]}... only",
            next_step="Its keys are the names of variables, such as AWS_ACCESS_KEY_ID.",
        )
    endpoint = remote.endpoint or next((settings[one] for one in _ENDPOINTS if _is_of(one, scheme, settings)), "")
    config = {name: value for name, value in values.items() if name not in _ENDPOINTS}
    if endpoint:
        if "@" in (parts := urlsplit(endpoint)).netloc or parts.query:  # it is kept in the version, and pushed with it
            raise UserError(
                f"the endpoint of {remote.uri} has more in it than https://HOST[:PORT]/PATH",
                next_step="Credentials go into a secret: shipway secret set NAME KEY, then --secret NAME.",
            )
        config[f"{SCHEMES[scheme]}ENDPOINT"] = endpoint
        plain = endpoint.startswith("http://")
        if plain and not (remote.allow_http or _LOOPBACK.fullmatch(parts.hostname or "")):
            raise Refused(
                f"{endpoint} is not encrypted: whoever is on the way reads the data and can change it",
                next_step="Write https://, or allow it with --plain-http.",
            )
        if plain:
            config[f"{SCHEMES[scheme]}ALLOW_HTTP"] = "true"
    return config


def _is_of(variable: str, scheme: str, settings: Mapping[str, str]) -> bool:
    return variable.startswith(SCHEMES[scheme]) and bool(settings.get(variable))


def _store(scheme: str, bucket: str, config: Mapping[str, str], values: Mapping[str, str]) -> Any:
    told: Any = {"config": {name.lower(): value for name, value in config.items()}}
    told |= {"client_options": _CLIENT, "retry_config": _RETRY}
    if scheme == "gs":
        return GCSStore(bucket, **told)
    if scheme == "az":
        return AzureStore(bucket, **told)
    if "AWS_ACCESS_KEY_ID" in values:
        # obstore reads the hub's variables too: its session token must not be sent with the secret's key.
        told["credential_provider"] = lambda: {
            "access_key_id": values["AWS_ACCESS_KEY_ID"],
            "secret_access_key": values.get("AWS_SECRET_ACCESS_KEY", ""),
            "token": values.get("AWS_SESSION_TOKEN"),
            "expires_at": None,
        }
    return S3Store(bucket, **told)


@contextmanager
def _told(where: str, hidden: Sequence[str], went: str = " is not there") -> Iterator[None]:
    """Errors of obstore as ours: the first line, without secrets' values and what is asked of a URL (signatures)."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"{where}{went}", next_step="Check the bucket and the path.") from None
    except PreconditionError:
        raise Conflict(
            f"{where} changed while it was read", next_step="Wait until nobody writes to it, then run it again."
        ) from None
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise Refused(
            f"{where}: the store refused these credentials ({_line(error, hidden)})",
            next_step=_KEYS,
        ) from None
    except UnknownConfigurationKeyError as error:
        raise UserError(f"{where}: {_line(error, hidden)}", next_step="Correct the secret's keys.") from None
    except BaseError as error:
        told = _line(error, hidden)
        if "status code: 404" in told:  # of a listing: there is no such bucket
            raise NotFound(f"{where} is not there: {told}", next_step="Check the bucket and the path.") from None
        if any(one in told for one in _OF_MACHINES):
            raise Refused(f"{where}: there are no credentials for it", next_step=_KEYS) from None
        raise EnvironmentFault(
            f"{where} cannot be reached: {told}",
            next_step="Check the endpoint and the network, then try again.",
        ) from None


def _line(error: Exception, hidden: Sequence[str]) -> str:
    text = _QUERY.sub("", str(error).partition("\n")[0].strip())
    for value in filter(None, hidden):
        text = text.replace(value, "***")
    return text
