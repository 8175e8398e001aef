"""Shipway: from a folder of model code to a versioned, served model.

User code imports from here; everything is loaded on first use, so that ``import shipway`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shipway.runtime.predictor import Predictor
    from shipway.runtime.sdk import inputs, log_metrics, output_dir, params

__version__ = "0.1.0"

_HOMES = {
    "Predictor": "shipway.runtime.predictor",
    "inputs": "shipway.runtime.sdk",
    "log_metrics": "shipway.runtime.sdk",
    "output_dir": "shipway.runtime.sdk",
    "params": "shipway.runtime.sdk",
}

__all__ = ["Predictor", "inputs", "log_metrics", "output_dir", "params"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'shipway' has no attribute {name!r}; it has {', '.join(__all__)}")
