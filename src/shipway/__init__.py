"""Shipway: from a folder of model code to a versioned, served model.

User code imports from here; everything is loaded on first use, so that ``import shipway`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # typing's own costs 8 ms, in every workload and every command
if TYPE_CHECKING:
    from shipway.runtime.errors import BadInput
    from shipway.runtime.predictor import Predictor
    from shipway.runtime.sdk import inputs, log_metrics, output_dir, params
    from shipway.runtime.signature import Signature, Tensor

__version__ = "0.1.0"

_HOMES = {
    "BadInput": "shipway.runtime.errors",
    "Predictor": "shipway.runtime.predictor",
    "Signature": "shipway.runtime.signature",
    "Tensor": "shipway.runtime.signature",
    "inputs": "shipway.runtime.sdk",
    "log_metrics": "shipway.runtime.sdk",
    "output_dir": "shipway.runtime.sdk",
    "params": "shipway.runtime.sdk",
}

__all__ = ["BadInput", "Predictor", "Signature", "Tensor", "inputs", "log_metrics", "output_dir", "params"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'shipway' has no attribute {name!r}; it has {', '.join(__all__)}")
