"""Why no API server answers, in one sentence. Pure."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

import aiohttp

from shipway.cluster.kubernetes.api.calls import Call
from shipway.cluster.kubernetes.api.server import Server
from shipway.errors import ClusterUnreachable


def broken(error: Exception, call: Call, server: Server) -> ClusterUnreachable:
    """A connection that ended in the midst of an answer."""
    return ClusterUnreachable(
        f"{server}: the connection broke while Shipway was to {call}: {_words(error)}",
        next_step="What runs there goes on; Shipway asks again.",
    )


def unreachable(error: Exception, server: Server) -> ClusterUnreachable:
    """A connection that was not made, or was never answered."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _certificate(error.certificate_error, server)
    if isinstance(error, aiohttp.ClientConnectorSSLError | ssl.SSLError):
        return _handshake(error, server)
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        return ClusterUnreachable(
            f"{server}: the proxy does not let us through: {_words(error)}",
            next_step="See proxy-url of the kubeconfig's cluster, and HTTPS_PROXY and NO_PROXY of the environment.",
        )
    return ClusterUnreachable(f"{server} does not answer: {_words(error)}", next_step=_step(error, server))


def _step(error: Exception, server: Server) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return "Nobody knows this host's name here: is a VPN needed, or is the kubeconfig of another network?"
    if isinstance(error, aiohttp.ClientConnectorError) and error.errno == errno.ECONNREFUSED:
        return "Nothing listens there: is the cluster running, and is this still its address?"
    return f"Is the network or VPN up? kubectl{server.flags} version asks the same server."


def _certificate(error: Exception, server: Server) -> ClusterUnreachable:
    said = str(getattr(error, "verify_message", "") or error)
    if "expired" in said:
        step = "Who runs the cluster renews it (kubeadm certs renew); is this machine's clock right?"
    elif "ostname" in said or "IP address" in said:
        step = "The kubeconfig's server is not what the certificate is for: correct it, or set tls-server-name there."
    else:
        step = "The kubeconfig's certificate-authority is of another cluster, or was replaced: get the kubeconfig anew."
    return ClusterUnreachable(f"{server} shows a certificate that is not trusted: {said}", next_step=step)


def _handshake(error: Exception, server: Server) -> ClusterUnreachable:
    said = _words(error)
    if "CERTIFICATE" in said.upper() and "ALERT" in said.upper():
        return ClusterUnreachable(
            f"{server} does not accept {server.identity}: {said}",
            next_step="The client certificate expired, or is of another cluster: get the kubeconfig anew.",
        )
    return ClusterUnreachable(
        f"{server}: no TLS connection: {said}",
        next_step="Does the kubeconfig's server begin with http:// or https:// rightly?",
    )


def _words(error: Exception) -> str:
    """What the system says of it, without aiohttp's packing."""
    if isinstance(error, asyncio.TimeoutError | TimeoutError):
        return "no answer in time"
    inner = getattr(error, "os_error", None) or error
    if isinstance(inner, ConnectionRefusedError):
        return "connection refused"
    if isinstance(inner, socket.gaierror):
        return "its name cannot be resolved"
    return str(getattr(inner, "strerror", None) or inner) or type(inner).__name__
