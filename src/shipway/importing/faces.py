"""What stands beside a workload, found by selector or by name: Service, Ingress, autoscaler, disruption budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shipway.importing.block import Block
from shipway.importing.losses import Losses
from shipway.importing.manifests import Manifest, matches
from shipway.importing.pods import Fields
from shipway.importing.workloads import Server

_SERVICE_PORT = 80  # ours, where none is said
_NO_WORKLOAD = "no workload in these files fits"
_GIVE_IT = "give the workload's file too: -f FILE"


@dataclass(frozen=True, slots=True)
class Faces:
    """The servers that were made, and the Kubernetes Services before them by name."""

    servers: tuple[Server, ...]
    behind: Mapping[str, Server]
    losses: Losses

    def add(self, manifest: Manifest) -> bool:
        """Carry the object over into its server; False where the kind is none of these."""
        act: Mapping[str, Callable[[Manifest], None]] = {
            "Service": self._service,
            "Ingress": self._ingress,
            "HorizontalPodAutoscaler": self._autoscaler,
            "PodDisruptionBudget": self._budget,
            "NetworkPolicy": self._policy,
        }
        if manifest.kind not in act:
            return False
        act[manifest.kind](manifest)
        return True

    def _service(self, manifest: Manifest) -> None:
        spec = manifest.block.block("spec")
        server = self.behind.get(manifest.name)
        if server is None or "expose" in server.fields:
            why = _NO_WORKLOAD if server is None else f"{server.name} has a Service already"
            self.losses.tell(manifest, (), why, _GIVE_IT if server is None else "reach it by that one")
            return
        exposure: Fields = {}
        if (kind := spec.text("type")) and kind != "ClusterIP":
            exposure["service"] = kind
        ports = spec.blocks("ports")
        for one in ports:
            number, target = one.number("port"), one.scalar("targetPort")
            if server.template.port(target or str(number)) == server.fields["port"] or len(ports) == 1:
                if number is not None and number != _SERVICE_PORT:
                    exposure["port"] = number
                if (node_port := one.number("nodePort")) is not None:
                    exposure["nodePort"] = node_port
            else:
                one.all()
                self.losses.tell(manifest, one.path, f"a service has one port, and {server.fields['port']} is it")
        if annotations := manifest.block.block("metadata").block("annotations").all():
            exposure["annotations"] = dict(annotations)
        if manifest.name != server.name:
            why = f"it is called {server.name} now, as the workload behind it"
            self.losses.tell(manifest, (), why, f"clients in the cluster ask {server.name} in place of {manifest.name}")
        server.fields["expose"] = exposure
        self.losses.tell_left(manifest)

    def _ingress(self, manifest: Manifest) -> None:
        spec = manifest.block.block("spec")
        tls = {host: one.text("secretName") for one in spec.blocks("tls") for host in one.words("hosts") or [""]}
        places = [("", path, one) for path, one in _default(spec)]
        for rule in spec.blocks("rules"):
            host = rule.text("host")
            places += [(host, one.text("path", "/"), one) for one in rule.block("http").blocks("paths")]
        metadata, ingress_class = manifest.block.block("metadata"), spec.text("ingressClassName")
        annotations = dict(metadata.block("annotations").all())
        ingress_class = ingress_class or str(annotations.pop("kubernetes.io/ingress.class", ""))
        for host, path, one in places:
            one.take("pathType", str)
            service = _backend(one)
            server = self.behind.get(service)
            if server is None or server.fields.get("expose", {}).get("via"):
                why = (
                    f"no Service {service!r} in these files leads to a workload"
                    if server is None
                    else (f"{server.name} has one host and path in front of it: {_shown(server)}")
                )
                self.losses.tell(
                    manifest, one.path, why, _GIVE_IT if server is None else "make an Ingress for the others"
                )
                continue
            exposure = server.fields.setdefault("expose", {})
            exposure |= _told({"via": "ingress", "host": host, "path": "" if path == "/" else path})
            exposure |= _told({"ingressClass": ingress_class, "tlsSecret": tls.get(host, tls.get("", ""))})
            if annotations:
                exposure["annotations"] = {**exposure.get("annotations", {}), **annotations}
        self.losses.tell_left(manifest)

    def _autoscaler(self, manifest: Manifest) -> None:
        spec = manifest.block.block("spec")
        wanted = spec.block("scaleTargetRef")
        wanted.take("apiVersion", str)
        target = (wanted.text("kind"), wanted.text("name"))
        server = next((one for one in self.servers if (one.manifest.kind, one.manifest.name) == target), None)
        if server is None:
            self.losses.tell(manifest, (), f"{_NO_WORKLOAD}: {'/'.join(target)}", _GIVE_IT)
            return
        scaling: Fields = {}
        for name in ("minReplicas", "maxReplicas"):
            if (number := spec.number(name)) is not None:
                scaling[name] = number
        targets = [one for block in spec.blocks("metrics") if (one := self._target(manifest, block))]
        if (percent := spec.number("targetCPUUtilizationPercentage")) is not None:
            targets.append({"metric": "cpu", "utilization": percent})
        if targets:
            scaling["targets"] = targets
        down = spec.block("behavior").block("scaleDown")
        if (window := down.number("stabilizationWindowSeconds")) is not None:
            scaling["scaleDownAfter"] = window
        server.fields["scaling"] = scaling
        self.losses.tell_left(manifest)

    def _target(self, manifest: Manifest, metric: Block) -> Fields | None:
        """One of ``spec.metrics``; None, and told, where it is of no kind that we know."""
        kind = metric.text("type")
        if kind not in ("Resource", "Pods"):
            metric.all()
            self.losses.tell(
                manifest, metric.path, f"scaling goes by cpu, memory or a metric of the Pods, not by {kind}"
            )
            return None
        inside = metric.block("resource" if kind == "Resource" else "pods")
        name = inside.text("name") if kind == "Resource" else inside.block("metric").text("name")
        target = inside.block("target")
        target.take("type", str)
        if (percent := target.number("averageUtilization")) is not None:
            return {"metric": name, "utilization": percent}
        return {"metric": name, "average": target.scalar("averageValue")}

    def _budget(self, manifest: Manifest) -> None:
        spec = manifest.block.block("spec")
        server = self._selected(spec.block("selector"))
        if server is None:
            self.losses.tell(manifest, (), _NO_WORKLOAD, _GIVE_IT)
            return
        least, most = spec.scalar("minAvailable"), spec.scalar("maxUnavailable")
        if least.isdecimal() and server.replicas > int(least):
            most = str(server.replicas - int(least))
        elif least:
            why = f"disruption says how many may be away; with {server.replicas} replicas, {least} leave none to spare"
            self.losses.tell(manifest, (*spec.path, "minAvailable"), why, "set disruption: {maxUnavailable: 1}")
        if most:
            server.fields["disruption"] = {"maxUnavailable": int(most) if most.isdecimal() else most}
        self.losses.tell_left(manifest)

    def _policy(self, manifest: Manifest) -> None:
        server = self._selected(manifest.block.block("spec").block("podSelector"))
        whose = f"of {server.name}" if server is not None else "of a workload"
        why = f"Shipway writes the NetworkPolicy {whose} by itself: what is not needed is closed"
        self.losses.tell(manifest, (), why, "kubectl apply -f FILE: policies add up, so yours opens what ours closes")

    def _selected(self, selector: Block) -> Server | None:
        labels = selector.take("matchLabels", dict) or {}
        return next((one for one in self.servers if matches(labels, one.template.labels)), None)


def behind(services: Iterable[Manifest], labels: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Which workload (a key of ``labels``, its Pod's) stands behind each Service, by the Service's name. One that has
    an address of its own goes before a headless one of the same workload, for it is the one that clients ask."""
    found = {}
    for one in sorted(services, key=lambda one: one.block.block("spec").peek("clusterIP") == "None"):
        selector = one.block.block("spec").peek("selector")
        fits = [key for key, label in labels.items() if isinstance(selector, dict) and matches(selector, label)]
        if fits:
            found[one.name] = fits[0]
    return found


def _default(spec: Block) -> list[tuple[str, Block]]:
    """The backend of all that no rule names."""
    return [("/", spec)] if "defaultBackend" in spec else []


def _backend(place: Block) -> str:
    """The Service's name, of networking.k8s.io/v1 and of the older extensions/v1beta1."""
    backend = place.block("defaultBackend" if "defaultBackend" in place else "backend")
    service = backend.block("service")
    service.take("port", dict)
    backend.scalar("servicePort")
    return service.text("name") or backend.text("serviceName")


def _told(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if value}


def _shown(server: Server) -> str:
    exposure = server.fields["expose"]
    return f"{exposure.get('host', 'any host')}{exposure.get('path', '/')}"
