"""Workloads as processes on this machine, and the Python environments that they run in."""

from __future__ import annotations

from shipway.cluster.local.cluster import LocalCluster
from shipway.cluster.local.environments import UvEnvironments
from shipway.cluster.local.interpreter import Environments, Interpreter

__all__ = ["Environments", "Interpreter", "LocalCluster", "UvEnvironments"]
