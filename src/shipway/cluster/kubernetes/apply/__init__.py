"""Server-side apply: what is checked before, written in order, and removed."""

from __future__ import annotations

from shipway.cluster.kubernetes.apply.applier import Applied, Applier
from shipway.cluster.kubernetes.apply.decide import Key, key_of
from shipway.cluster.kubernetes.apply.difference import Difference, FieldChange
from shipway.cluster.kubernetes.apply.lease import Claim, Holder, Ownership

__all__ = ["Applied", "Applier", "Claim", "Difference", "FieldChange", "Holder", "Key", "Ownership", "key_of"]
