"""Several calls as one, one as several, and the way back. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence

import numpy as np

from shipway.runtime.server.calls import Answer, Array, Call
from shipway.runtime.server.refusals import Reason, Refused

Key = Hashable


def key_of(call: Call) -> Key:
    """Calls of equal keys may go to the model together.

    Parameters by their text: ``1``, ``1.0`` and ``True`` are equal in Python and not in a request.
    """
    inputs = tuple([(name, array.dtype, array.shape[1:]) for name, array in call.inputs.items()])
    if not call.parameters:
        return call.wanted, inputs
    return call.wanted, inputs, tuple(sorted((name, repr(value)) for name, value in call.parameters.items()))


def divisible(call: Call) -> bool:
    """Whether its rows can be joined with others or cut: every input has as many, and there are some.

    A call without rows goes alone: whether the model takes it must not depend on the company it happens to have.
    """
    rows = 0
    for array in call.inputs.values():
        count = array.shape[0] if array.ndim else 0
        if not count or (rows and count != rows):
            return False
        rows = count
    return rows > 0


class Joined(Mapping[str, Array]):
    """Inputs of several calls, one below the other. Nothing is copied on the event loop (64 images are 38 MB): whoever
    runs the call copies its ``pieces`` where they are needed, or takes :func:`whole`."""

    __slots__ = ("pieces",)

    def __init__(self, pieces: Sequence[Mapping[str, Array]]) -> None:
        self.pieces = pieces

    def __getitem__(self, name: str) -> Array:
        return np.concatenate([piece[name] for piece in self.pieces])

    def __iter__(self) -> Iterator[str]:
        return iter(self.pieces[0])

    def __len__(self) -> int:
        return len(self.pieces[0])


def whole(call: Call) -> Call:
    """The call with its inputs in one piece each, in a plain dict, as models take them."""
    if type(call.inputs) is not Joined:
        return call
    return Call(dict(call.inputs), call.wanted, call.parameters, call.id, call.expires)


def join(calls: Sequence[Call]) -> Call:
    """One call for all of them; their keys are equal. A single one stays as it is."""
    first = calls[0]
    if len(calls) == 1:
        return first
    expires = max(call.expires for call in calls)
    return Call(Joined([call.inputs for call in calls]), first.wanted, first.parameters, None, expires)


def cut(call: Call, rows: int, max_rows: int) -> list[Call]:
    """The call in pieces of at most ``max_rows``, as views."""
    return [
        Call(
            {name: array[start : start + max_rows] for name, array in call.inputs.items()},
            call.wanted,
            call.parameters,
            call.id,
            call.expires,
        )
        for start in range(0, rows, max_rows)
    ]


def share(answer: Answer, rows: Sequence[int]) -> list[Answer]:
    """Each call's part of a batch's answer, as views. Raises Refused FAILED when an output has not the batch's rows."""
    total = sum(rows)
    for name, array in answer.outputs.items():
        if array.shape[:1] != (total,):
            raise Refused(
                Reason.FAILED,
                f"output {name!r} has shape {list(array.shape)}: its first dimension must be the {total} rows "
                "of the batch",
            )
    answers, start = [], 0
    for count in rows:
        end = start + count
        outputs = {name: array[start:end] for name, array in answer.outputs.items()}
        answers.append(Answer(outputs, count, answer.seconds, answer.parameters, answer.began))
        start = end
    return answers


def reunite(answers: Sequence[Answer]) -> Answer:
    """The inverse of :func:`cut` for answers; the seconds are those of all pieces together.

    Raises Refused FAILED when the pieces do not fit together.
    """
    first = answers[0]
    try:
        outputs = {name: np.concatenate([answer.outputs[name] for answer in answers]) for name in first.outputs}
    except (KeyError, ValueError) as error:
        raise Refused(
            Reason.FAILED, f"the model's answers to the parts of a large request do not fit together: {error}"
        ) from error
    rows = sum(answer.rows for answer in answers)
    return Answer(outputs, rows, sum(answer.seconds for answer in answers), first.parameters, first.began)
