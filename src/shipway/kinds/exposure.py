"""How a service is reached from outside of its cluster. On this machine the gateway does it, for all services alike.

Source: https://kubernetes.io/docs/concepts/services-networking/ (service, ingress); https://gateway-api.sigs.k8s.io.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shipway.kinds.meta import Name, Value


class Exposure(Value):
    """``service`` is the type of the Kubernetes Service. ``via``: an Ingress or an HTTPRoute in front of it."""

    service: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    port: Annotated[int, Field(ge=1, le=65535)] = 80  # of the Service: http://NAME
    node_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    via: Literal["none", "ingress", "gateway"] = "none"
    host: str = ""  # "digits.example.com"; empty: any
    path: str = "/"
    ingress_class: str = ""
    gateway: str = ""  # of an HTTPRoute: NAME, or NAMESPACE/NAME
    tls_secret: Name | None = None  # of an Ingress
    annotations: dict[str, str] = {}  # of the Service and the Ingress: what a cloud's controllers read

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.via == "gateway" and not self.gateway:
            raise ValueError("via: gateway needs gateway: the name of the Gateway (or NAMESPACE/NAME)")
        if not self.path.startswith("/"):
            raise ValueError(f"path {self.path!r} must start with '/'")
        return self
