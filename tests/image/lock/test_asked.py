"""Which lines may be asked for."""

from __future__ import annotations

import pytest

from shipway.errors import Refused, UserError
from shipway.image.lock.asked import Asked, check_hashes, parse
from shipway.image.lock.resolution import File, Package


@pytest.mark.parametrize(
    "line, requirement, hashes",
    [
        ("flask", "flask", 0),
        (" torch[opt]==2.13.0 ; python_version < '3.12'", 'torch[opt]==2.13.0; python_version < "3.12"', 0),
        ("flask==3.1.3 --hash=sha256:aa --hash=sha256:bb", "flask==3.1.3", 2),
        ("flask==3.1.3    --hash sha256:aa", "flask==3.1.3", 1),
        ("mine @ https://x.org/mine-1.0-py3-none-any.whl", "mine@ https://x.org/mine-1.0-py3-none-any.whl", 0),
    ],
)
def test_a_requirement_is_taken_with_its_hashes(line: str, requirement: str, hashes: int) -> None:
    asked = parse(line)
    assert str(asked.requirement).replace(" @", "@") == requirement
    assert len(asked.hashes) == hashes


@pytest.mark.parametrize(
    "line, why, step",
    [
        ("-e .", "editable", "leave the line out"),
        ("--editable=../lib", "editable", "build a wheel"),
        ("--index-url https://x.org/simple", "where to look", "pip config set"),
        ("-f ./wheels", "where to look", "find-links FOLDER"),
        ("-c constraints.txt", "where to look", "pip config set"),
        ("flask --config-settings=a=b", "option that is not --hash", "leave out"),
        ("./wheels/mine-1.0-py3-none-any.whl", "is a place", "find-links"),
        ("../lib", "is a place", "find-links"),
        ("/lib", "is a place", "find-links"),
        ("mine-1.0.tar.gz", "is a place", "find-links"),
        ("https://x.org/mine-1.0-py3-none-any.whl", "is a place", "NAME @ URL"),
        ("git+https://x.org/mine.git", "is a place", "build a wheel|put the wheel"),
        ("mine @ git+https://x.org/mine.git@main", "is a repository", "put the wheel"),
        ("mine @ file:///lib/mine", "is a file of this machine", "find-links"),
        ("mine @ https://x.org/${TOKEN}/mine.whl", "variable in its address", r"~/\.netrc"),
        ("mine @ https://me:pa55@x.org/mine.whl", "user name or a password", r"~/\.netrc"),
    ],
)
def test_what_no_other_machine_understands_is_refused(line: str, why: str, step: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        parse(line)
    assert "pa55" not in str(caught.value)
    assert any(one in caught.value.next_step for one in step.replace("\\", "").split("|"))


@pytest.mark.parametrize("line", ["", "# no", "--pre", "flask=3", "flask >> 3"])
def test_what_is_no_requirement_is_the_users_error(line: str) -> None:
    with pytest.raises(UserError, match=r"^requirement "):
        parse(line)


def test_a_file_that_the_author_of_the_line_does_not_allow_is_refused() -> None:
    package = Package("flask", "3.1.3", File("flask-3.1.3-py3-none-any.whl", "a" * 64))
    other = Package("click", "8.5.1", File("click-8.5.1-py3-none-any.whl", "b" * 64))
    lines: list[Asked] = [parse("click"), parse(f"Flask==3.1.3 --hash=sha256:{'a' * 64} --hash=sha256:{'c' * 64}")]
    check_hashes(lines, [package, other])
    with pytest.raises(Refused, match=r"flask-3\.1\.3-py3-none-any\.whl .*none of the 1 files"):
        check_hashes([parse(f"flask==3.1.3 --hash=sha256:{'c' * 64}")], [package, other])
