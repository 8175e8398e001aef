"""Bytes to arrays and back, for every protocol. Pure: the same bytes and the same signature give the same call.

``door`` (what a signature lets in; one is made for each version: ``ServedModel.door``) is used by all. By protocol:
``oip`` (JSON, binary tensors, and through ``raw`` a body without JSON), ``v1``, ``rows`` (the last two through
``plain``). ``text`` and ``binary`` are the two forms of a tensor, ``tensors`` the datatypes.
"""
