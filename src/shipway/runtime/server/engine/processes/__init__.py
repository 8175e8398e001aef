"""Models in worker processes, for code that does not release the interpreter's lock.

``executor`` (in the server) keeps workers alive; ``child`` is its side of one of them. ``worker`` is the process:
``serial`` calls plain models, ``concurrent`` asynchronous ones; both are a ``way``. Between the two: frames (``wire``)
on a socket (``line`` in an event loop, ``post`` without one), tensors in shared memory (``arena``, ``spans``), both in
``channel``.
"""
