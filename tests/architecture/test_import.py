"""What ``import shipway`` costs, and what it promises."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib import import_module, util
from pathlib import Path

import pytest

import shipway

SOURCE = Path(shipway.__file__).parent

# Prints one line for every file opened and every socket made after the hook is in; the import system's
# own reads of shipway/__init__.py and its .pyc are not the package's doing.
WATCH_IMPORT = """
import sys
def hook(event, args):
    if event == "open" and "shipway/__" not in str(args[0]).replace(chr(92), "/"):
        print(event, args[0])
    elif event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn")):
        print(event, *args)
sys.addaudithook(hook)
{statement}
print("loaded", *sorted(name for name in sys.modules if name.partition(".")[0] == "shipway"))
"""


def run_watched(statement: str, tmp_path: Path) -> list[str]:
    done = subprocess.run(
        # -S: a site-packages .pth of a tool (coverage, editable finders) would open files of its own.
        [sys.executable, "-S", "-c", WATCH_IMPORT.format(statement=statement)],
        env={"PYTHONPATH": str(SOURCE.parent), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.defpath},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_import_opens_no_file_and_no_socket(tmp_path: Path) -> None:
    *opened, loaded = run_watched("import shipway", tmp_path)
    assert [line for line in opened if "/lib/python" not in line] == []  # the standard library's own modules
    assert loaded == "loaded shipway"


def test_what_user_code_imports_brings_only_the_runtime_body(tmp_path: Path) -> None:
    names = [name for name, home in shipway._HOMES.items() if home.startswith("shipway.runtime")]
    *_, loaded = run_watched(f"import shipway; [getattr(shipway, name) for name in {names}]", tmp_path)
    strangers = [name for name in loaded.split()[1:] if name != "shipway" and not name.startswith("shipway.runtime")]
    assert strangers == []


def test_the_hook_sees_a_file_that_is_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    assert "open secret" in run_watched("open('secret').close()", tmp_path)


def test_the_hook_sees_a_socket(tmp_path: Path) -> None:
    lines = run_watched("import socket\nsocket.socket().close()", tmp_path)
    assert [line for line in lines if line.startswith("socket.__new__")]


def test_the_public_names_are_sorted_and_exist() -> None:
    assert shipway.__all__ == sorted(shipway.__all__)
    assert [name for name in shipway.__all__ if getattr(shipway, name, None) is None] == []


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(AttributeError, match="it has AsyncClient, BadInput"):
        shipway.nothing  # noqa: B018


def exported(path: Path) -> list[str] | None:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and [getattr(one, "id", "") for one in node.targets] == ["__all__"]:
            names = ast.literal_eval(node.value)
            return [str(name) for name in names]
    return None


@pytest.mark.parametrize("room", sorted(path.parent.name for path in SOURCE.glob("*/__init__.py")))
def test_a_room_exports_what_it_says(room: str) -> None:
    names = exported(SOURCE / room / "__init__.py")
    if names is None:
        return
    if util.find_spec(f"shipway.{room}") is None:
        pytest.fail(f"shipway.{room} cannot be found")
    module = import_module(f"shipway.{room}")
    assert [name for name in names if not hasattr(module, name)] == []
