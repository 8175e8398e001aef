"""A faster form of a model, taken only when it gives the same answers: ``python -m shipway.runtime.optimize``.

``export`` makes ONNX of what another library trained, with the same inputs and outputs; ``compare`` asks both for the
recorded samples; ``measure`` times both; ``__main__`` joins them and writes what it found.
"""
