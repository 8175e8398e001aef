"""Data sets as OCI artifacts: files cut into chunks by their content, named by digests, versioned."""
