"""The client of a registry: pull, push, referrers, tags; asynchronous, streamed in both directions.

Source: OCI distribution-spec v1.1.1.
"""
