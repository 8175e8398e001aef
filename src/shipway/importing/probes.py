"""How a container is asked whether it lives."""

from __future__ import annotations

from shipway.importing.block import Block
from shipway.importing.losses import Losses
from shipway.importing.manifests import Manifest
from shipway.importing.pods import Fields, Template

_PERIOD = 10  # Kubernetes' own default, which is not ours
_KINDS = ("startup", "readiness", "liveness")


def first_port(template: Template) -> int | None:
    """The port that the first probe asks."""
    for kind in _KINDS:
        for how in ("httpGet", "tcpSocket"):
            port = template.container.block(f"{kind}Probe").block(how).peek("port")
            if port is not None and (found := template.port(str(port))) is not None:
                return found
    return None


def probes(template: Template, port: int, manifest: Manifest, losses: Losses) -> Fields:
    """``startup``, ``readiness``, ``liveness``: those that are written and ask the service's port."""
    found = {}
    for kind in _KINDS:
        name = f"{kind}Probe"
        if name not in template.container:
            continue
        block = template.container.block(name)
        if _asks(block, template, port):
            found[kind] = _probe(block)
        else:
            block.all()
            losses.tell(manifest, block.path, f"probes ask the service's port, {port}, by plain HTTP or TCP")
    return found


def _asks(probe: Block, template: Template, port: int) -> bool:
    get, socket = probe.block("httpGet"), probe.block("tcpSocket")
    asked = get.peek("port") if "httpGet" in probe else socket.peek("port") if "tcpSocket" in probe else port
    return template.port(str(asked)) == port and get.peek("scheme") in (None, "HTTP")


def _probe(probe: Block) -> Fields:
    """What is neither HTTP nor TCP stays, to be told, and a TCP connection is tried in its place."""
    fields: Fields = {}
    if "httpGet" in probe:
        probe.block("httpGet").scalar("port")
        fields["path"] = probe.block("httpGet").text("path", "/")
    elif "tcpSocket" in probe:
        probe.block("tcpSocket").scalar("port")
    fields["period"] = probe.number("periodSeconds") or _PERIOD
    for theirs, ours in (("timeoutSeconds", "timeout"), ("failureThreshold", "failureThreshold")):
        if (number := probe.number(theirs)) is not None:
            fields[ours] = number
    return fields
