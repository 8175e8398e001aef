"""The supervisor: one small process for each workload, which outlives the hub.

The rules of this folder: standard library only, relative imports only, nothing that costs megabytes
(no asyncio, subprocess, pathlib, dataclasses, typing, datetime): it runs with ``python -I -S -E`` in
under 12 MB, three of them beside every service. Decisions (backoff, expansion, health) are pure;
cgroups, logs, probes, spawn and control each touch one medium; replica and program join them.

``<dir>/plan.json`` says what to run (written by ``cluster.local.plan``), ``<dir>/status.json`` what became
of it, ``<dir>/supervisor.json`` who supervises (pid and start time).
"""
