"""The Python library: ``up``, ``Client``, ``AsyncClient``, and objects that show themselves in a notebook.

A face, as the command line is one. User code imports its names from ``shipway``.
"""
