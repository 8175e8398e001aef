"""Open a model as its server will, ask it once, and record what it took and gave."""

from __future__ import annotations

from pathlib import Path

from shipway.runtime.recording import Recorded, fitted, read, write
from shipway.runtime.server.calls import Call
from shipway.runtime.server.loading.loader import load
from shipway.runtime.server.loading.model import call
from shipway.runtime.server.settings import Settings


def describe(model_dir: Path) -> None:
    """Record the signature of the folder's model, and its sample, if training saved one, in the model's own names and
    types. Its outputs are those of a call with the sample, or with zeros; where neither can be, what the file says.

    Raises ModelRefused, and what the call raises: the sample does not fit, or it cannot predict.
    """
    saved = read(model_dir)
    model = load(Settings(model_dir=model_dir, allow_pickle=True))
    inputs = model.warmup_inputs()
    if inputs is not None:
        model = model.learned(call(model, Call(inputs)).outputs)
    if not model.signature.inputs:
        return
    sample = fitted(saved.inputs, model.signature.inputs)
    write(model_dir, Recorded("model", model.signature, sample or saved.inputs, saved.outputs))
