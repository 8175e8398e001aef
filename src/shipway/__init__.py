"""Shipway: from a folder of model code to a versioned, served model.

What training code and predictors need, and the Python library that does what the commands do. Everything is loaded on
first use, so that ``import shipway`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # typing's own costs 8 ms, in every workload and every command
if TYPE_CHECKING:
    from shipway.runtime.errors import BadInput
    from shipway.runtime.predictor import Predictor
    from shipway.runtime.sdk import inputs, log_metrics, output_dir, params, save_sample
    from shipway.runtime.signature import Signature, Tensor
    from shipway.sdk.client import Client
    from shipway.sdk.client_async import AsyncClient
    from shipway.sdk.deployment import Deployment
    from shipway.sdk.up import up
    from shipway.sdk.views import Cluster, Model, ModelJob, ModelService, Revision, Route

__version__ = "0.1.0"

_HOMES = {
    "AsyncClient": "shipway.sdk.client_async",
    "BadInput": "shipway.runtime.errors",
    "Client": "shipway.sdk.client",
    "Cluster": "shipway.sdk.views",
    "Deployment": "shipway.sdk.deployment",
    "Model": "shipway.sdk.views",
    "ModelJob": "shipway.sdk.views",
    "ModelService": "shipway.sdk.views",
    "Predictor": "shipway.runtime.predictor",
    "Revision": "shipway.sdk.views",
    "Route": "shipway.sdk.views",
    "Signature": "shipway.runtime.signature",
    "Tensor": "shipway.runtime.signature",
    "inputs": "shipway.runtime.sdk",
    "log_metrics": "shipway.runtime.sdk",
    "output_dir": "shipway.runtime.sdk",
    "params": "shipway.runtime.sdk",
    "save_sample": "shipway.runtime.sdk",
    "up": "shipway.sdk.up",
}

__all__ = [
    "AsyncClient",
    "BadInput",
    "Client",
    "Cluster",
    "Deployment",
    "Model",
    "ModelJob",
    "ModelService",
    "Predictor",
    "Revision",
    "Route",
    "Signature",
    "Tensor",
    "inputs",
    "log_metrics",
    "output_dir",
    "params",
    "save_sample",
    "up",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'shipway' has no attribute {name!r}; it has {', '.join(__all__)}")
