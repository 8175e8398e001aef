"""``make bench-serving``: our inference server beside MLServer, KServe, LitServe, BentoML and Ray Serve.

Each server runs in an environment of its own, one at a time, on the same two cores as the load; every answer is
checked. The cases are in :mod:`bench.serving.cases`; ``python -m bench.serving --help`` lists the options.
"""
