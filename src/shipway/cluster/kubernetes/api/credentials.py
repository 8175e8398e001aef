"""How to reach a cluster, and as whom: from kubeconfig files as kubectl reads them, or from a Pod's service account.

Sources: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/ and
https://kubernetes.io/docs/reference/access-authn-authz/authentication/. Of several ways the first counts, in
client-go's order: token file, token, exec plugin, OIDC, password.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from shipway.clock import wall as _wall
from shipway.cluster.kubernetes.api import kubeconfig as files
from shipway.cluster.kubernetes.api.kubeconfig import Entry
from shipway.cluster.kubernetes.api.login import Certified, Fixed, Login, TokenFile, basic, bearer, file
from shipway.cluster.kubernetes.api.oidc import Oidc
from shipway.cluster.kubernetes.api.plugin import Plugin
from shipway.cluster.kubernetes.api.server import Server
from shipway.cluster.kubernetes.api.tls import Tls
from shipway.errors import EnvironmentFault, NotFound, UserError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Access:
    """One API server and who we are there. Nothing secret is in its repr."""

    server: Server
    login: Login = field(default_factory=Fixed, repr=False, compare=False)
    tls: Tls = field(default_factory=Tls)
    namespace: str = "default"  # of the context
    proxy: str = field(default="", repr=False)  # may hold a password


def read(
    context: str,
    kubeconfig: str,
    inherited: Mapping[str, str],
    *,
    service_account: Path = SERVICE_ACCOUNT,
    wall: Callable[[], datetime] = _wall,
) -> Access:
    """``context``: empty for the current one; ``kubeconfig``: a path, or empty for $KUBECONFIG, ~/.kube/config or the
    Pod's own service account; ``inherited``: the user's environment.

    Raises NotFound (no file, no such context: it names those there are), UserError (what the file says makes no
    sense: file and line), EnvironmentFault (it cannot be read). No network; exec plugins run at the first request.
    """
    paths = files.files(kubeconfig, inherited)
    if not paths and not context and "KUBERNETES_SERVICE_HOST" in inherited and (service_account / "token").is_file():
        return _in_cluster(inherited, service_account)
    if not paths:
        raise NotFound(
            "There is no kubeconfig: neither $KUBECONFIG nor ~/.kube/config.",
            next_step="Get one from who runs the cluster, or name it with --kubeconfig.",
        )
    chosen = files.choose(paths, context)
    url = _url(chosen.cluster)
    login, identity = _login(chosen.user, chosen.cluster, inherited, wall)
    return Access(
        server=Server(url, chosen.context, identity, kubeconfig),
        login=login,
        tls=_tls(chosen.cluster),
        namespace=chosen.namespace,
        proxy=_proxy(chosen.cluster, url, inherited),
    )


def _in_cluster(inherited: Mapping[str, str], folder: Path) -> Access:
    host, port = inherited["KUBERNETES_SERVICE_HOST"], inherited.get("KUBERNETES_SERVICE_PORT", "443")
    url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Access(
        server=Server(url, "", "the Pod's service account"),
        login=TokenFile(folder / "token"),
        tls=Tls(authorities=file(folder / "ca.crt", "the certificate authority")()),
        namespace=(folder / "namespace").read_text().strip(),
    )


def _url(cluster: Entry) -> str:
    url = cluster.text("server").rstrip("/")
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        whole = False
    if not whole:
        raise UserError(f'{cluster}: server "{url}" is no URL', next_step="It should look like https://10.0.0.1:6443.")
    return url


def _tls(cluster: Entry) -> Tls:
    authorities = cluster.data("certificate-authority-data")
    if not authorities and (path := cluster.path("certificate-authority")):
        authorities = file(path, "the certificate authority")()
    insecure = cluster.content.get("insecure-skip-tls-verify") is True
    if insecure and authorities:
        raise UserError(
            f"{cluster} has both a certificate-authority and insecure-skip-tls-verify",
            next_step="Take insecure-skip-tls-verify out.",
        )
    return Tls(authorities, insecure, cluster.text("tls-server-name"))


def _login(
    user: Entry | None, cluster: Entry, inherited: Mapping[str, str], wall: Callable[[], datetime]
) -> tuple[Login, str]:
    """And what messages call it."""
    if user is None:
        return Fixed(), "the anonymous user"
    login, identity = _header(user, cluster, inherited, wall)
    chain = _source(user, "client-certificate")
    key = _source(user, "client-key")
    if chain is None and key is None:
        return login, identity
    if chain is None or key is None:
        there, missing = ("client-key", "client-certificate") if key else ("client-certificate", "client-key")
        raise UserError(f"{user} has a {there} and no {missing}", next_step="Get the kubeconfig anew.")
    return Certified(login, chain, key), identity if isinstance(login, Plugin) else f"the client certificate of {user}"


def _header(
    user: Entry, cluster: Entry, inherited: Mapping[str, str], wall: Callable[[], datetime]
) -> tuple[Login, str]:
    # kubectl prefers the file where both are set: the token may be an old copy of it.
    if path := user.path("tokenFile"):
        return TokenFile(path), f"the token of {user}"
    if token := user.text("token"):
        return Fixed(bearer(token)), f"the token of {user}"
    if "exec" in user.content:
        plugin = Plugin.of(user, cluster, inherited, wall)
        return plugin, f"what {plugin} gave for {user}"
    if provider := user.content.get("auth-provider"):
        if not isinstance(provider, dict) or provider.get("name") != "oidc":
            name = provider.get("name") if isinstance(provider, dict) else provider
            raise UserError(
                f"{user}: the auth-provider {name} was taken out of Kubernetes in 1.26",
                next_step="Log in to the cluster anew with the provider's current tool, which sets up an exec plugin.",
            )
        return Oidc.of(user, wall), f"the OIDC token of {user}"
    if name := user.text("username"):
        return Fixed(basic(name, user.text("password"))), f"the password of {user}"
    return Fixed(), f"{user}, who has no credentials"


def _source(user: Entry, key: str) -> Callable[[], bytes] | None:
    if data := user.data(f"{key}-data"):
        return lambda: data
    path = user.path(key)
    return file(path, f"the {key}") if path else None


def _proxy(cluster: Entry, url: str, inherited: Mapping[str, str]) -> str:
    """Of the kubeconfig, else of the user's environment."""
    proxy = cluster.text("proxy-url")
    if not proxy:
        named = {name.lower(): value for name, value in inherited.items() if name.lower().endswith("_proxy")}
        scheme, host = urlsplit(url).scheme, urlsplit(url).hostname or ""
        if host in ("localhost", "127.0.0.1", "::1") or _direct(host, named.get("no_proxy", "")):
            return ""
        proxy = named.get(f"{scheme}_proxy", "")
    if proxy and urlsplit(proxy).scheme not in ("http", "https"):
        raise EnvironmentFault(
            f"{cluster}: Shipway goes through proxies of http:// and https:// only, and this one is {urlsplit(proxy).scheme}://",
            next_step="Put an HTTP proxy in front of it, or open a tunnel and set the kubeconfig's server to its end.",
        )
    return proxy


def _direct(host: str, no_proxy: str) -> bool:
    """Whether NO_PROXY names the host: itself, a domain or network that it lies in, or ``*``."""
    named = [part.strip().lower() for part in no_proxy.split(",")]
    if host in named or "*" in named:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return any(host.endswith("." + one.lstrip("*.")) for one in named if one.lstrip("*."))
    for one in named:
        with suppress(ValueError):
            if address in ipaddress.ip_network(one, strict=False):
                return True
    return False
