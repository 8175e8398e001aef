"""What the user told pip about indexes and certificates, said again in the words of uv. Pure.

uv does not read pip's files, so an index behind a firewall that works with pip would fail with uv. Precedence is
pip's (https://pip.pypa.io/en/stable/topics/configuration/): ``[global]``, then ``[install]``, then ``PIP_*``; a later
value replaces an earlier one, lists too. ``pip config list`` has already merged the files among themselves.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_SECTIONS = ("global", "install", ":env:")  # later ones win
_FALSE = frozenset({"0", "false", "no", "off", "n", "f"})
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")

# Variables of uv that say how it works and not what it chooses; all others would make an environment that its key
# does not describe.
_UV_PASSED_ON = frozenset(
    {
        "UV_CACHE_DIR",
        "UV_CONCURRENT_BUILDS",
        "UV_CONCURRENT_DOWNLOADS",
        "UV_CONCURRENT_INSTALLS",
        "UV_HTTP_RETRIES",
        "UV_HTTP_TIMEOUT",
        "UV_KEYRING_PROVIDER",
        "UV_LINK_MODE",
        "UV_NATIVE_TLS",
        "UV_NO_CACHE",
        "UV_OFFLINE",
        "UV_SYSTEM_CERTS",
    }
)
# They point uv, or the interpreter that it asks, at packages that are not the new environment's.
_NOT_PASSED_ON = frozenset({"CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"})


@dataclass(frozen=True, slots=True)
class PipConfiguration:
    """The part of pip's configuration that decides which file is installed, and how it is reached."""

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    no_index: bool = False
    cert: str | None = None
    client_cert: str | None = None
    proxy: str | None = None

    def sources(self) -> tuple[str, ...]:
        """Where packages come from, without credentials: part of an environment's key, and for error texts."""
        indexes = () if self.no_index else (self.index_url or "https://pypi.org/simple", *self.extra_index_urls)
        return tuple(redact(one) for one in (*indexes, *self.find_links))

    def redact(self, text: str) -> str:
        """The text without user names and passwords of URLs, also where a program quotes a password alone, or the token
        that stands in place of both."""
        for url in (self.index_url, *self.extra_index_urls, *self.find_links, *self.constraints, self.proxy):
            parts = urlsplit(url or "")
            if secret := parts.password or parts.username:
                text = text.replace(secret, "***").replace(unquote(secret), "***")
        return redact(text)


def redact(text: str) -> str:
    """The text with ``user:password@`` of every URL in it replaced by ``***@``."""
    return _CREDENTIALS.sub("***@", text)


def parse(listing: str, environ: Mapping[str, str], home: str) -> PipConfiguration:
    """The configuration from the output of ``pip config list`` (empty where there is no pip) and ``PIP_*`` variables.

    ``home`` is what a leading ``~`` stands for. Lines and options that are not understood are passed over.
    """
    values: dict[str, str] = {}
    sections = _sections(listing)
    sections[":env:"] |= {
        _option(name.removeprefix("PIP_")): value for name, value in environ.items() if name.startswith("PIP_")
    }
    for section in _SECTIONS:
        # pip passes over empty values: `PIP_INDEX_URL= pip install` uses the file's index.
        values |= {option: value for option, value in sections[section].items() if value.strip()}

    def one(option: str) -> str | None:
        return _expanded(values[option].strip(), home) if option in values else None

    def many(option: str) -> tuple[str, ...]:
        return tuple(_expanded(word, home) for word in values.get(option, "").split())

    return PipConfiguration(
        index_url=one("index-url") or one("pypi-url"),
        extra_index_urls=many("extra-index-url"),
        find_links=many("find-links"),
        constraints=many("constraint"),
        trusted_hosts=many("trusted-host"),
        no_index=values.get("no-index", "false").strip().lower() not in _FALSE,
        cert=one("cert"),
        client_cert=one("client-cert"),
        proxy=one("proxy"),
    )


def uv_environment(configuration: PipConfiguration, inherited: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a uv process.

    All settings go by the environment, none by the command line: every user of the machine can read the command
    line of a process, and an index URL may hold a password. Proxies and certificates of ``inherited`` pass through.
    """
    environ = {
        name: value
        for name, value in inherited.items()
        if name not in _NOT_PASSED_ON and (not name.startswith("UV_") or name in _UV_PASSED_ON)
    }
    environ |= {
        "NO_COLOR": "1",
        "UV_INDEX_STRATEGY": "unsafe-best-match",  # pip takes the best version of all indexes, uv the first index
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    bundle = inherited.get("REQUESTS_CA_BUNDLE") or inherited.get("CURL_CA_BUNDLE")  # pip reads these, uv does not
    settings = {
        "SSL_CERT_FILE": configuration.cert or inherited.get("SSL_CERT_FILE") or bundle,
        "SSL_CLIENT_CERT": configuration.client_cert,
        "HTTPS_PROXY": configuration.proxy,
        "HTTP_PROXY": configuration.proxy,
        "UV_DEFAULT_INDEX": None if configuration.no_index else configuration.index_url,
        "UV_INDEX": None if configuration.no_index else " ".join(configuration.extra_index_urls),
        "UV_FIND_LINKS": ",".join(configuration.find_links),
        "UV_CONSTRAINT": " ".join(configuration.constraints),
        "UV_INSECURE_HOST": " ".join(configuration.trusted_hosts),
    }
    return environ | {name: value for name, value in settings.items() if value}


def _sections(listing: str) -> dict[str, dict[str, str]]:
    sections: dict[str, dict[str, str]] = {name: {} for name in _SECTIONS}
    for line in listing.splitlines():
        key, separator, literal = line.partition("=")
        section, _, option = key.strip().rpartition(".")
        if not separator or section not in sections:
            continue
        try:
            sections[section][_option(option)] = str(ast.literal_eval(literal))
        except (SyntaxError, ValueError):
            continue
    return sections


def _option(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")


def _expanded(value: str, home: str) -> str:
    return home + value[1:] if value == "~" or value.startswith("~/") else value
