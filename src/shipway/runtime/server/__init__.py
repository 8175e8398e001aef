"""The inference server: Open Inference Protocol v2 over HTTP for one model, in one process.

Two planes: the event loop does HTTP and JSON, one thread (or a loop of its own) runs the model. They meet in
``engine``. Everything between bytes and arrays is pure (``tensors``, ``oip``, ``rows``, ``routes``).
"""
