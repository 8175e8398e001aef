"""Which blobs other repositories of a registry have, as far as the layout remembers what it pushed where."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from shipway.errors import ShipwayError
from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import Digest
from shipway.oci.pushed import pushed
from shipway.oci.reference import Reference
from shipway.oci.registry import contents
from shipway.oci.registry.outgoing import Outgoing

_MOST = 100  # versions that are looked at: a mount saves an upload, it is not worth reading thousands of manifests


def origins(layout: Outgoing, target: Reference, wanted: Collection[Digest]) -> Mapping[Digest, str]:
    """Of the ``wanted`` blobs those that were pushed to the target's registry, and to which repository.

    What was pushed may have been deleted there since: a mount that is refused becomes an upload.
    """
    found: dict[Digest, str] = {}
    looked = 0
    for entry in reversed(layout.index().manifests):
        repository = neighbour(entry, target)
        if repository is None:
            continue
        looked += 1
        if looked > _MOST or len(found) == len(wanted):
            break
        for digest in _blobs(layout, entry, depth=4):
            if digest in wanted:
                found.setdefault(digest, repository)
    return found


def neighbour(entry: Descriptor, target: Reference) -> str | None:
    """Another repository of the target's registry, to which this entry was pushed. Pure."""
    try:
        known = [Reference.parse(one) for one in pushed(entry)]
    except ShipwayError:
        return None
    names = (one.repository for one in known if one.registry == target.registry)
    return next((name for name in names if name != target.repository), None)


def _blobs(layout: Outgoing, descriptor: Descriptor, depth: int) -> Collection[Digest]:
    try:
        found = contents.of(layout.read_blob(descriptor))
    except (ValueError, ShipwayError):
        return ()
    below = (digest for one in found.manifests if depth for digest in _blobs(layout, one, depth - 1))
    return [*(blob.digest for blob in found.blobs), *below]
