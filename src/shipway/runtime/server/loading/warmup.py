"""The call before the first request: lazy imports and caches are paid here, and what cannot predict is found before it
gets traffic."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from shipway.runtime.errors import ModelRefused
from shipway.runtime.server.calls import Call
from shipway.runtime.server.loading.model import Model


def warmup_call(model: Model) -> Call | None:
    """What to ask; None where nothing says what a request looks like, which is told. Raises what user code does."""
    inputs = model.warmup_inputs()
    if inputs is None:
        print("shipway: no warm-up call: nothing says what a request looks like", file=sys.stderr)
        return None
    return Call(inputs)


@contextlib.contextmanager
def warming() -> Iterator[None]:
    """Whatever goes wrong within refuses the model. Raises ModelRefused."""
    try:
        yield
    except Exception as error:
        raise ModelRefused(
            f"the warm-up call failed: {error}; a Predictor may give a better sample in warmup()"
        ) from error
