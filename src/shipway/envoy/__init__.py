"""The data plane: Envoy, fed by files that it watches.

``config`` (pure) says what the files hold, ``files`` writes them whole, ``admin`` asks Envoy what it made
of them, and ``gateway`` brings a change through without losing a request.
"""
