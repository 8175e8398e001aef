"""Shipway beside a workload in a Pod: brings models and inputs, takes results away."""
