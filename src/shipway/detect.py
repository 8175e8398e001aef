"""What kind of project a folder is, and a shipway.yaml that works for it. Pure but for :func:`look`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shipway import formats
from shipway.errors import Refused, UserError
from shipway.project import FILE

LOOKED_FOR = "train.py, app.py or a model file (*.joblib, *.skops, *.onnx, *.pt, *.keras, *.safetensors, ...)"

_LARGEST_CODE = 1 << 20  # bytes; more is no code that a person wrote

_PREDICTOR_CLASS = re.compile(r"^class\s+(\w+)\s*\(\s*(?:\w+\.)?Predictor\s*\)", re.MULTILINE)
_ANY_CLASS = re.compile(r"^class\s+(\w+)", re.MULTILINE)
_ASGI_OBJECT = re.compile(r"^(\w+)(?:\s*:\s*\w+)?\s*=\s*(?:\w+\.)?(?:FastAPI|Starlette|Litestar|Quart)\(", re.MULTILINE)
_FLASK_OBJECT = re.compile(r"^(\w+)(?:\s*:\s*\w+)?\s*=\s*(?:\w+\.)?Flask\(", re.MULTILINE)
_OTHER_LIBRARY = re.compile(r"^\s*(?:import|from)\s+(keras|tensorflow|torch)\b", re.MULTILINE)
_READS_PORT = re.compile(r"""["']PORT["']""")  # as a variable's name; a comment that tells of $PORT reads nothing


@dataclass(frozen=True, slots=True)
class Found:
    """What matters of a folder: its name, the text of its Python files, its model files with their formats (the one
    that would be served first)."""

    name: str
    code: Mapping[str, str]
    models: tuple[tuple[str, str], ...] = ()


def look(folder: Path) -> Found:
    """Read the top of a folder; notebooks and folders in it are not looked at. Raises UserError."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder", next_step="name the folder of the project")
    files = sorted(one for one in folder.iterdir() if one.is_file())
    code = {
        one.name: one.read_text(encoding="utf-8", errors="replace")
        for one in files
        if one.suffix == ".py" and one.stat().st_size <= _LARGEST_CODE
    }
    models = formats.models({one.name: _head(one) for one in files if not one.name.startswith(".")})
    return Found(object_name(folder.resolve().name), code, tuple(models))


def write(folder: Path) -> Path:
    """Write shipway.yaml; its path. Raises Refused when there is one, UserError when nothing is recognised."""
    file = folder / FILE
    if file.exists():
        raise Refused(f"{file} exists and is not overwritten", next_step="shipway up, or remove it first")
    text = propose(look(folder))
    with file.open("x", encoding="utf-8") as out:
        out.write(text)
    return file


def object_name(text: str) -> str:
    """The nearest valid object name: ``My_Digits 2`` is ``my-digits-2``."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    named = words if words[:1].isalpha() else f"app-{words}"
    return named[:44].strip("-")  # the longest name of a service


def propose(found: Found) -> str:
    """The text of a shipway.yaml. Raises UserError that says what was looked for."""
    parts: list[str] = []
    if "train.py" in found.code:
        parts = [_JOB.format(name=found.name), _serve(found)]
    elif "app.py" in found.code:
        parts = [_server(found)]
    elif found.models:
        parts = [_import(found), _serve(found)]
    else:
        raise UserError(
            f"nothing here that could be served or trained: looked for {LOOKED_FOR}",
            next_step="write a train.py that saves to $SHIPWAY_OUTPUT_DIR, or an app.py that listens on $PORT",
        )
    return _HEAD + "---\n".join(parts)


def _head(file: Path) -> bytes:
    with file.open("rb") as content:
        return content.read(formats.HEAD)


def _import(found: Found) -> str:
    """The Model of the best file; of all files of its format, where a predictor knows what to do with several."""
    file, format = _chosen(found)
    if not formats.is_served(format) and "predictor.py" not in found.code:
        unless = " (unless it is TorchScript: then call it *.ts)" if format == "pytorch" else ""
        raise UserError(
            f"{file} is a {format} model, and opening one takes a predictor{unless}",
            next_step="write a predictor.py, a class Mine(shipway.Predictor) with load(self, model_dir) and "
            "predict(self, x); or save the model as ONNX",
        )
    several = [name for name, other in found.models if other == format and not formats.is_served(format)] or [file]
    return _MODEL.format(name=found.name, files=", ".join(f'"{one}"' for one in several))


def _chosen(found: Found) -> tuple[str, str]:
    """The file that is imported, and its format. PyTorch's weights, which the runtime would try to open, only where
    there is nothing else: safetensors or Keras files beside them are there because they are meant."""
    return next((one for one in found.models if one[1] != "pytorch"), found.models[0])


def _serve(found: Found) -> str:
    lines = _SERVICE.format(name=found.name)
    if "predictor.py" in found.code:
        lines += f"  predictor: predictor.py:{_predictor_class(found.code['predictor.py'])}\n"
    elif library := _OTHER_LIBRARY.search(found.code.get("train.py", "")):
        lines += f"  # predictor: predictor.py:Mine   # what {library[1]} saves takes one, unless it is ONNX\n"
    format = _chosen(found)[1] if found.models and "train.py" not in found.code else ""
    if formats.is_served(format) and formats.is_pickle(format):
        lines += "  allowPickle: true   # loading a pickle runs the code in it: only for files that you made\n"
    return lines


def _predictor_class(code: str) -> str:
    match = _PREDICTOR_CLASS.search(code) or _ANY_CLASS.search(code)
    return match[1] if match else "Predictor"


def _server(found: Found) -> str:
    code = found.code["app.py"]
    makers: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
        (_ASGI_OBJECT, lambda app: f"[uvicorn, app:{app}, --host, $(HOST), --port, $(PORT)]"),
        (_FLASK_OBJECT, lambda app: f"[python, -m, flask, --app, app:{app}, run, --host, $(HOST), --port, $(PORT)]"),
    )
    command = "[python, app.py]"
    if not _READS_PORT.search(code):  # one that does listens by itself
        found_apps = ((make, pattern.search(code)) for pattern, make in makers)
        command = next((make(match[1]) for make, match in found_apps if match), command)
    note = "" if command != "[python, app.py]" or _READS_PORT.search(code) else "   # it must listen on $HOST and $PORT"
    return _SERVER.format(name=found.name, command=_quoted(command), note=note)


def _quoted(command: str) -> str:
    words = command[1:-1].split(", ")
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


_HEAD = "# What shipway up makes of this folder. All fields: docs/kinds.md\n"

_JOB = """\
apiVersion: shipway.dev/v1alpha1
kind: ModelJob
metadata:
  name: {name}
spec:
  command: ["python", "train.py"]
  model: {name}   # what train.py leaves in $SHIPWAY_OUTPUT_DIR becomes {name}:1, {name}:2, ...
  # evaluate: {{metric: accuracy, min: 0.9, notWorseThan: champion}}   # else the version is kept, not rolled out
"""

_MODEL = """\
apiVersion: shipway.dev/v1alpha1
kind: Model
metadata:
  name: {name}
spec:
  source:
    files: [{files}]   # becomes {name}:1 as it is
"""

_SERVICE = """\
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata:
  name: {name}
spec:
  model: {name}   # the newest version that passed its gate; pin one with {name}:1
  replicas: 1
"""

_SERVER = """\
apiVersion: shipway.dev/v1alpha1
kind: ModelService
metadata:
  name: {name}
spec:
  command: {command}{note}
  port: 8080   # in a container; on this machine $(PORT) is a free one
  replicas: 1
"""
