from __future__ import annotations

import pytest

from shipway.cluster.local.requirements import Installed, closure, lacking, normalised
from shipway.errors import UserError
from shipway.packages.requirement import parse_line

MARKERS = {"python_version": "3.11", "python_full_version": "3.11.7", "sys_platform": "linux"}
THERE = {
    "flask": Installed(
        "3.1.3", ("werkzeug>=3.1", 'asgiref>=3.2; extra == "async"', 'python-dotenv; extra == "dotenv"')
    ),
    "werkzeug": Installed("3.1.9"),
    "python-dotenv": Installed("1.0"),
    "torch": Installed("2.13.0+cpu"),
    "loop": Installed("1.0", ('loop[a,all]; extra == "all"', 'werkzeug; extra == "a"')),
    "nested": Installed("1.0", ('flask[async]>=3; extra == "web"',)),
    "pre": Installed("2.0rc1"),
}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], None),
        (["flask==3.1.3"], None),
        (["Flask == 3.1.3", "werkzeug==3.1.9"], None),
        (["flask==3.1.2"], "flask==3.1.2 is asked for, 3.1.3 is installed"),
        (["six==1.17.0"], "six is not installed"),
        (["six==1.17.0; python_version < '3.8'"], None),
        (["six==1.17.0; sys_platform == 'linux'"], "six is not installed"),
        (["flask>=3"], "flask>=3 does not name one version with =="),
        (["flask"], "flask does not name one version with =="),
        (["flask==3.1.*"], "flask==3.1.* does not name one version with =="),
        (["flask==3.1.3,!=3.1.2"], "flask!=3.1.2,==3.1.3 does not name one version with =="),
        (["flask @ https://u:p@host/f.whl"], "flask @ https://***@host/f.whl does not name one version with =="),
        (["torch==2.13.0"], None),
        (["torch==2.13.0+cpu"], None),
        (["torch==2.13.0+cu130"], "torch==2.13.0+cu130 is asked for, 2.13.0+cpu is installed"),
        (["pre==2.0rc1"], None),
        (["flask[dotenv]==3.1.3"], None),
        (["flask[async]==3.1.3"], "flask[async]==3.1.3: asgiref is not installed"),
        (["nested[web]==1.0"], "nested[web]==1.0: flask[async]>=3: asgiref is not installed"),
        (["loop[all]==1.0"], None),
        (["flask[no-such-extra]==3.1.3"], None),
    ],
)
def test_what_an_interpreter_lacks(lines: list[str], reason: str | None) -> None:
    assert lacking(lines, THERE.get, MARKERS, pinned=True) == reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("flask", None),
        ("flask>=3", None),
        ("flask>=4", "flask>=4 is asked for, 3.1.3 is installed"),
        ("six", "six is not installed"),
        ("pre>=1", None),
        ("flask @ https://host/flask.whl", "flask @ https://host/flask.whl is asked for, 3.1.3 is installed"),
    ],
)
def test_ranges_where_no_pin_is_asked_for(line: str, reason: str | None) -> None:
    assert lacking([line], THERE.get, MARKERS, pinned=False) == reason


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("# numbers", "requirement '# numbers' is a comment"),
        ("  ", "requirement '  ' is empty"),
        ("-r other.txt", "requirement '-r other.txt' is an option of pip"),
        ("--index-url https://i", "is an option of pip"),
        ("-e .", "is an option of pip"),
        ("./folder", "requirement './folder' cannot be read"),
        ("six=1.0", "requirement 'six=1.0' cannot be read"),
        ("six==1.0 --hash=sha256:00", "cannot be read"),
        ("six==1.0  # why", "cannot be read"),
    ],
)
def test_a_line_that_is_no_requirement_is_named_with_what_is_allowed(line: str, words: str) -> None:
    with pytest.raises(UserError) as found:
        parse_line(line)
    assert words in found.value.message
    assert "write one requirement a line, like scikit-learn==1.9.1" in found.value.next_step


@pytest.mark.parametrize(
    ("lines", "lock"),
    [
        ([], ()),
        (["six==1.17.0"], ()),
        (["Flask==3.1.3"], ("flask==3.1.3", "werkzeug==3.1.9")),
        (["flask[dotenv,async]==3.1.3"], ("flask==3.1.3", "python-dotenv==1.0", "werkzeug==3.1.9")),
        (["pre==2.0rc1; python_version < '3'", "torch==2.13.0"], ("torch==2.13.0+cpu",)),
        (["loop==1.0"], ("loop==1.0",)),
        (["loop==1.0", "loop[all]==1.0"], ("loop==1.0", "werkzeug==3.1.9")),
        (["old==1.0"], ("old==1.0", "werkzeug==3.1.9")),
    ],
)
def test_a_closure_is_what_the_lines_and_their_extras_need(lines: list[str], lock: tuple[str, ...]) -> None:
    there = {**THERE, "old": Installed("1.0", ("six (>=1.0.*)", "werkzeug", 'torch; sys_platform == "win32"'))}
    assert closure(lines, there.get, MARKERS) == lock


def test_equal_requirements_have_one_form() -> None:
    assert normalised(["B==1", "a_c [Y, x]==2 ; python_version<'3.12'", "b == 1"]) == (
        'a-c[x,y]==2; python_version < "3.12"',
        "b==1",
    )
