"""What runs INSIDE a workload: the SDK for user code and the inference server.

It imports nothing of the rest of Shipway, and the rest imports nothing of it: ``docs/contract.md`` is all
that they share. It runs with only ``requirements.txt`` (beside this file) installed.
"""
