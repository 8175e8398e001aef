"""What the server makes of PyTorch's files. Run by a Python that has torch: ``python torch_cases.py FOLDER``."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shipway.runtime import recording
from shipway.runtime.errors import BadInput, ModelRefused
from shipway.runtime.server.calls import Call
from shipway.runtime.server.loading.loader import load
from shipway.runtime.server.loading.model import Model, call
from shipway.runtime.server.refusals import Refused
from shipway.runtime.server.settings import Settings
from shipway.runtime.signature import Tensor

BATCH = torch.export.Dim("batch", max=32)


class Network(torch.nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.hidden = torch.nn.Linear(8, 16)
        self.scores = torch.nn.Linear(16, 3)

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        scores = self.scores(self.hidden(pixels).relu())
        return {"label": scores.argmax(1), "scores": scores}


class Pair(torch.nn.Module):  # type: ignore[misc]
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return a + b, (a * b).sum(1)


class Half(torch.nn.Module):  # type: ignore[misc]
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


class Counts(torch.nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += x.sum(0)
        x += 1
        return self.seen


def folder(root: Path, name: str) -> Path:
    shutil.rmtree(root / "model", ignore_errors=True)
    (root / "model").mkdir()
    return root / "model" / name


def exported(root: Path, network: Any, *inputs: Any, dynamic: Any = None) -> Model:
    path = folder(root, "model.pt2")
    torch.export.save(torch.export.export(network.eval(), inputs, dynamic_shapes=dynamic), path)
    return load(Settings(model_dir=path.parent, allow_pickle=True))


def scripted(root: Path, network: Any, name: str, sample: Any = None) -> Model:
    path = folder(root, name)
    torch.jit.script(network.eval()).save(path)
    if sample is not None:
        recording.save(path.parent, sample, None)
    return load(Settings(model_dir=path.parent, allow_pickle=True))


def read_only(*shape: int, dtype: Any = np.float32) -> Any:
    array = np.random.default_rng(0).normal(size=shape).astype(dtype)
    return np.frombuffer(array.tobytes(), dtype).reshape(shape)


def refused(error: type[Exception], words: str, do: Callable[[], object]) -> None:
    found = ""
    try:
        do()
    except error as raised:
        found = str(raised)
    assert words in found, f"no {error.__name__} that says {words!r}, but {found!r}"


def answer(model: Model, **inputs: Any) -> Mapping[str, Any]:
    return call(model, Call(inputs)).outputs


def a_program_of_any_number_of_rows(root: Path) -> None:
    network = Network()
    model = exported(root, network, torch.zeros(3, 8), dynamic={"pixels": {0: BATCH}})
    assert model.signature.inputs == (Tensor("pixels", "FP32", (-1, 8)),)
    assert model.signature.outputs == (Tensor("label", "INT64", (-1,)), Tensor("scores", "FP32", (-1, 3)))
    for rows in (1, 2, 32, 33, 100):  # more than it was exported for: in parts
        x = read_only(rows, 8)
        found = answer(model, pixels=x)
        with torch.inference_mode():
            own = network(torch.tensor(x))
        assert np.allclose(found["scores"], own["scores"].numpy(), atol=1e-6)
        assert found["label"].tolist() == own["label"].tolist()
    refused(BadInput, "Guard failed", lambda: answer(model, pixels=read_only(2, 7)))
    refused(BadInput, "'pixels' is missing", lambda: answer(model, x=read_only(2, 8)))


def a_program_of_one_row_is_not_batched(root: Path) -> None:
    model = exported(root, Network(), torch.zeros(1, 8))
    assert model.signature.inputs == (Tensor("pixels", "FP32", (1, 8)),)
    assert not model.signature.batched
    assert answer(model, pixels=read_only(1, 8))["scores"].shape == (1, 3)


def several_tensors(root: Path) -> None:
    model = exported(root, Pair(), torch.zeros(3, 4), torch.zeros(3, 4), dynamic={"a": {0: BATCH}, "b": {0: BATCH}})
    assert [one.name for one in model.signature.outputs] == ["output_0", "output_1"]
    assert answer(model, b=read_only(2, 4), a=read_only(2, 4))["output_1"].shape == (2,)
    refused(BadInput, "Guard failed", lambda: answer(model, a=read_only(2, 4), b=read_only(3, 4)))


def half_precision(root: Path) -> None:
    for dtype, name in ((torch.bfloat16, "BF16"), (torch.float16, "FP16")):
        model = exported(root, Half(), torch.zeros(3, 4, dtype=dtype), dynamic={"x": {0: BATCH}})
        assert model.signature.inputs == (Tensor("x", name, (-1, 4)),)
        given = np.ones((2, 4), np.float32 if name == "BF16" else np.float16)
        assert answer(model, x=given)["output"].tolist() == [[2.0] * 4] * 2


def what_is_written_into_is_a_copy(root: Path) -> None:
    model = exported(root, Counts(), torch.zeros(3, 2), dynamic={"x": {0: BATCH}})
    x = np.ones((2, 2), np.float32)
    first = model.function(Call({"x": x}))["output"]
    second = model.function(Call({"x": x}))["output"]
    assert (x.tolist(), first.tolist(), second.tolist()) == ([[1, 1]] * 2, [2, 2], [4, 4])


def misaligned_and_read_only_arrays(root: Path) -> None:
    model = exported(root, Half(), torch.zeros(3, 4), dynamic={"x": {0: BATCH}})
    whole = read_only(2, 4)
    odd = np.frombuffer(b"\0" + whole.tobytes(), np.float32, offset=1).reshape(2, 4)
    assert not odd.flags.aligned
    assert np.array_equal(answer(model, x=odd)["output"], whole * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = exported(root, Half(), torch.zeros(3, 4), dynamic={"x": {0: BATCH}})
        answer(model, x=whole)


def a_script_takes_what_torch_takes(root: Path) -> None:
    for name in ("model.ts", "model.pt", "model.pth"):
        model = scripted(root, Network(), name)
        assert (model.format, model.signature.inputs) == ("torchscript", ())
        assert answer(model, anything=read_only(2, 8, dtype=np.float64))["scores"].shape == (2, 3)
    refused(BadInput, "cannot be multiplied", lambda: answer(model, x=read_only(2, 7)))
    pair = scripted(root, Pair(), "model.ts")
    assert answer(pair, b=read_only(2, 4), a=read_only(2, 4))["output_0"].shape == (2, 4)
    refused(BadInput, "the inputs are a, b; got a", lambda: answer(pair, a=read_only(2, 4)))


def a_script_with_a_sample_knows_its_input(root: Path) -> None:
    model = scripted(root, Network(), "model.pt", {"pixels": read_only(5, 8)})
    assert model.signature.inputs == (Tensor("pixels", "FP32", (-1, 8)),)
    warm = model.warmup_inputs()
    assert warm is not None
    assert warm["pixels"].shape == (1, 8)
    refused(Refused, "predict failed", lambda: answer(model, pixels=read_only(2, 7)))  # the door does not let it in


def code_of_unknown_origin_is_not_opened(root: Path) -> None:
    exported(root, Half(), torch.zeros(3))
    refused(ModelRefused, "allowPickle: true", lambda: load(Settings(model_dir=root / "model")))
    scripted(root, Half(), "model.pt")
    refused(ModelRefused, "allowPickle: true", lambda: load(Settings(model_dir=root / "model")))


def weights_alone_need_a_predictor(root: Path) -> None:
    torch.save(Network().state_dict(), folder(root, "model.pt"))
    refused(ModelRefused, "holds weights and no network", lambda: load(Settings(model_dir=root / "model")))
    ran = root / "it-ran"

    class Hostile:
        def __reduce__(self) -> Any:
            return Path.touch, (ran,)

    torch.save({"weights": Hostile()}, folder(root, "model.pt"))
    refused(
        ModelRefused, "Weights only load failed", lambda: load(Settings(model_dir=root / "model", allow_pickle=True))
    )
    assert not ran.exists()


def threads_are_those_that_were_given(root: Path) -> None:
    os.environ["OMP_NUM_THREADS"] = "3"
    exported(root, Half(), torch.zeros(3))
    assert torch.get_num_threads() == 3


CASES = (
    a_program_of_any_number_of_rows,
    a_program_of_one_row_is_not_batched,
    several_tensors,
    half_precision,
    what_is_written_into_is_a_copy,
    misaligned_and_read_only_arrays,
    a_script_takes_what_torch_takes,
    a_script_with_a_sample_knows_its_input,
    code_of_unknown_origin_is_not_opened,
    weights_alone_need_a_predictor,
    threads_are_those_that_were_given,
)

if __name__ == "__main__":
    for case in CASES:
        print(case.__name__, flush=True)
        case(Path(sys.argv[1]))
