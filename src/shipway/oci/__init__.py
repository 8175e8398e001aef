"""OCI content on disk: digests, descriptors, manifests and the image layout. No network here.

Sources: OCI image-spec v1.1.1 (descriptor.md, manifest.md, image-layout.md).
"""

from __future__ import annotations

from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import Digest
from shipway.oci.fetching import Fetch
from shipway.oci.index import Index
from shipway.oci.index_file import Edit
from shipway.oci.layout import BlobSource, Layout
from shipway.oci.leases import Lease
from shipway.oci.manifest import EMPTY_CONFIG, EMPTY_CONFIG_BYTES, Manifest

__all__ = [
    "EMPTY_CONFIG",
    "EMPTY_CONFIG_BYTES",
    "BlobSource",
    "Descriptor",
    "Digest",
    "Edit",
    "Fetch",
    "Index",
    "Layout",
    "Lease",
    "Manifest",
]
