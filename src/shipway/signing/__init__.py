"""Signatures of artifacts in the sigstore bundle format, made and checked with a key pair. No network, no files."""
