"""What is new in a revision, in words and for the journal."""

from __future__ import annotations

from typing import Any

from shipway.controllers.revisions import in_words, template_changes
from shipway.kinds import ModelServiceSpec, RevisionSpec


def revision(**fields: Any) -> RevisionSpec:
    spec = ModelServiceSpec.model_validate({"command": ["./serve"], **fields})
    return RevisionSpec(service="web", number=1, template=spec.template(), hash="sha256:" + "0" * 64)


def test_of_variables_the_names_of_those_that_differ_are_told_and_no_value() -> None:
    before = revision(env={"SAME": "1", "TOKEN": "one", "OLD": "x"})
    changed = template_changes(before, revision(env={"SAME": "1", "TOKEN": "two", "NEW": "y"}))
    assert changed == {"env": {"from": ["OLD", "TOKEN"], "to": ["NEW", "TOKEN"]}}
    assert in_words(changed) == ["env changed (NEW, OLD, TOKEN)"]


def test_an_image_is_told_without_its_digest() -> None:
    one, other = (f"r.io/team/web@sha256:{digit * 64}" for digit in "12")
    changed = template_changes(revision(image=one), revision(image=other))
    assert (changed["image"], in_words(changed)) == ({"from": one, "to": other}, ["image changed"])
    assert in_words(template_changes(revision(), revision(image="web:2"))) == ["image none -> web:2"]


def test_the_password_of_an_index_is_not_written_down() -> None:
    index = "--index-url https://ada:hunter2@example.com/simple"
    changed = template_changes(revision(requirements=["a==1"]), revision(requirements=[index, "a==1"]))
    assert changed["requirements"]["to"] == ["--index-url https://...@example.com/simple", "a==1"]
    assert in_words(changed) == ["requirements changed"]
