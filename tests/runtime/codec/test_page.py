"""The examples of docs/tensors.md: each request, asked of a model that gives back what it gets, has the answer that
stands below it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from shipway.runtime.server.codec import oip, rows, v1
from shipway.runtime.server.codec.door import Door
from shipway.runtime.server.codec.tensors import DTYPES
from shipway.runtime.signature import Signature

PAGE = (Path(__file__).parents[3] / "docs" / "tensors.md").read_text()
BLOCKS = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
ECHO = Door(Signature())


@pytest.mark.parametrize(("request_", "answer"), list(zip(BLOCKS[::2], BLOCKS[1::2], strict=True)))
def test_an_example_is_answered_as_the_page_says(request_: str, answer: str) -> None:
    assert json.loads(_asked(request_.encode(), json.loads(answer))) == json.loads(answer)


def _asked(body: bytes, answer: dict[str, Any]) -> bytes:
    if "model_name" in answer:
        call = oip.decode(body, None, ECHO)
        wanted = {name: call.inputs[name] for name in call.wanted or call.inputs}
        return oip.encode(wanted, call, ECHO, model="echo", version="1")[0]
    if "output" in answer:
        return rows.encode(rows.decode(body, ECHO).inputs)
    call = v1.decode(body, ECHO)
    return v1.encode(call.inputs, call)


def test_the_page_has_every_datatype() -> None:
    table = PAGE.partition("| datatype |")[2].partition("\n\n")[0]
    ranges = {f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
    assert set(re.findall(r"`([A-Z]+\d*)`", table)) | ranges == set(DTYPES)
