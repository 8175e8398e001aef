"""How large the files of a lock are where no index said it: what shares a layer is decided by size.

Indexes in HTML say none, PyTorch's for one, whose wheels are the largest there are.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

from shipway.image.lock.chosen import sized
from shipway.image.lock.resolution import Package
from shipway.packages.pip_configuration import PipConfiguration, uv_environment

_TIMEOUT = 10.0  # seconds for one file
_AT_ONCE = 8


def with_sizes(
    packages: Iterable[Package], configuration: PipConfiguration, inherited: Mapping[str, str]
) -> tuple[Package, ...]:
    """The packages, all with sizes, but for those of which no server says it. ``inherited``: as uv has it."""
    all_ = tuple(packages)
    unknown = [one for one in all_ if not one.file.size]
    if not unknown:
        return all_
    try:
        opener = _opener(configuration, uv_environment(configuration, inherited).get("SSL_CERT_FILE"))
    except OSError:  # no certificates there
        return all_
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="size") as threads:
        asked = threads.map(lambda one: _size(one.file.url, configuration, opener), unknown)
        found = {package.name: size for package, size in zip(unknown, asked, strict=True)}
    return tuple(sized(one, found[one.name]) if one.name in found else one for one in all_)


def _size(url: str, configuration: PipConfiguration, opener: OpenerDirector) -> int:
    parts = urlsplit(url)
    try:
        if parts.scheme == "file":
            return Path(unquote(parts.path)).stat().st_size
        if parts.scheme not in ("http", "https"):
            return 0
        request = Request(url, method="HEAD", headers={"Accept-Encoding": "identity"})
        if credentials := _credentials(url, configuration):
            request.add_unredirected_header("Authorization", f"Basic {credentials}")
        with opener.open(request, timeout=_TIMEOUT) as answer:
            return max(0, int(answer.headers.get("Content-Length") or 0))
    except (OSError, HTTPException, ValueError):  # it was no promise: the layers are laid out without it
        return 0


def _credentials(url: str, configuration: PipConfiguration) -> str:
    """Those that the user wrote into the address of an index on the same host, for it alone."""
    there = urlsplit(url)
    for index in map(urlsplit, filter(None, (configuration.index_url, *configuration.extra_index_urls))):
        same = (index.scheme, index.hostname, index.port) == (there.scheme, there.hostname, there.port)
        if same and index.username:
            words = f"{unquote(index.username)}:{unquote(index.password or '')}"
            return base64.b64encode(words.encode()).decode()
    return ""


def _opener(configuration: PipConfiguration, certificates: str | None) -> OpenerDirector:
    proxies = {"http": configuration.proxy, "https": configuration.proxy} if configuration.proxy else None
    context = ssl.create_default_context(cafile=certificates)
    return build_opener(ProxyHandler(proxies), HTTPSHandler(context=context))
