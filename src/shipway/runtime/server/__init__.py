"""The inference server: Open Inference Protocol v2 over HTTP and gRPC, for the models of one replica.

Two planes: the event loop does protocols and scheduling, executors run models (in threads of this process, or in worker
processes). ``http`` -> ``codec`` -> ``repository`` -> ``served`` -> ``engine``. ``codec``, between bytes and arrays, is
pure.
"""
