"""Workloads on a Kubernetes cluster: plain objects of vanilla Kubernetes 1.31 to 1.36, nothing to install in it."""
