"""Hand-written Kubernetes objects become our kinds, with a list of what could not be carried over. Pure.

``manifests`` reads the texts, ``pods`` a Pod's template, ``workloads`` and ``runs`` what is made of one, ``faces`` what
stands beside it (Service, Ingress, HPA, ...), ``convert`` joins them. Each field is taken out of a ``block.Block``;
what nobody took is told (``losses``), so that nothing is lost in silence.
"""

from __future__ import annotations

from shipway.importing.convert import Imported, convert
from shipway.importing.losses import Loss
from shipway.importing.manifests import read
from shipway.importing.settings import StoredSecret
from shipway.importing.written import written

__all__ = ["Imported", "Loss", "StoredSecret", "convert", "read", "written"]
