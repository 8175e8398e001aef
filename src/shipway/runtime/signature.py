"""What a model takes and gives: names, datatypes, shapes.

Source: Open Inference Protocol v2, "Tensor Data Types" and "Model Metadata Response".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DATATYPES = (
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP16", "BF16", "FP32", "FP64", "BYTES",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output. In ``shape`` -1 is any size; a leading -1 is the number of rows.

    BYTES elements are ``str`` in Python, and ``bytes`` where they are not UTF-8. BF16, which NumPy does not have, is
    held as FP32. Raises ValueError for an unknown datatype or a bad dimension.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.datatype not in DATATYPES:
            raise ValueError(f"tensor {self.name!r}: unknown datatype {self.datatype!r}; one of {', '.join(DATATYPES)}")
        if any(size < -1 for size in self.shape):
            raise ValueError(f"tensor {self.name!r}: a dimension of {list(self.shape)} is below -1")

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether data of that shape fits."""
        return len(shape) == len(self.shape) and all(
            want in (-1, have) for want, have in zip(self.shape, shape, strict=True)
        )

    def __str__(self) -> str:
        return f"{self.name} {self.datatype} {list(self.shape)}"

    def to_json(self) -> dict[str, Any]:
        """``{name, datatype, shape}``, as model metadata lists it."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


@dataclass(frozen=True, slots=True)
class Signature:
    """Inputs and outputs of a model. Without inputs the server takes any; outputs are learned at warm-up."""

    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()

    @property
    def batched(self) -> bool:
        """Whether the first dimension of every tensor counts rows; assumed where nothing is declared."""
        return all(one.shape[:1] == (-1,) for one in self.inputs)

    def __str__(self) -> str:
        outputs = ", ".join(map(str, self.outputs)) or "not known"
        return f"inputs: {', '.join(map(str, self.inputs)) or 'any'}; outputs: {outputs}"
