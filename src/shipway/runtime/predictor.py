"""The class that user code subclasses to decide what happens between a request and a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from shipway.runtime.formats import find, open_model
from shipway.runtime.server.loading.cpus import threads
from shipway.runtime.signature import Signature


class Predictor:
    """One model behind ``predict``; one object per worker process (``server.instances``).

    ``predict(self, x)`` has the same form for one row and for many, with batching or without:

    - ``x`` is a NumPy array when the model has one input, else a dict of arrays by name. The first dimension is
      rows. Text (BYTES) comes as an array of ``str``; an element that is not UTF-8 comes as ``bytes``.
    - ``predict(self, x, parameters)`` gets the request's parameters too: a dict of str, numbers and bools by name.
    - It returns an array (the output is then called ``output``, or as the signature says) or a dict of arrays,
      one row for each row of ``x``. Lists will do.
    - It may be ``async def``: then it runs in an event loop of its own, many calls at a time. A plain ``def`` is
      called from one thread, one call at a time (``server.instances`` makes it more).
    - ``x`` is read-only. It may be kept: it never changes.
    - ``shipway.runtime.errors.BadInput`` raised in it answers 400 with its text; any other exception answers 500.

    ``signature`` (optional) names inputs with datatype and shape: requests are checked against it at the door,
    and a warm-up request can be made from it. Without one, any inputs are passed on.
    """

    signature: Signature | None = None
    model: Any = None

    def load(self, model_dir: Path) -> None:
        """Called once, before the first request. As it stands: ``self.model`` is the folder's model, found by
        its format (scikit-learn, skops, ONNX, PyTorch; weights of PyTorch alone are tensors by name, read with
        ``weights_only=True``). Raises ModelRefused.
        """
        allow_pickle = os.environ.get("SHIPWAY_ALLOW_PICKLE") == "1"
        self.model = open_model(find(model_dir), allow_pickle=allow_pickle, threads=threads(1))

    def predict(self, x: Any) -> Any:
        """The answer to ``x``."""
        raise NotImplementedError(f"{type(self).__name__} has no predict(self, x)")

    def warmup(self) -> Any:
        """A sample ``x`` for the warm-up call, or None: the first row that training saved (``shipway.save_sample``) of
        a model that only a predictor can open, else zeros in the signature's shapes, if it has one."""
        return None
