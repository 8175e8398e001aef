"""Which revision undo goes back to, and what is declared then."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shipway.errors import NotFound, Refused
from shipway.kinds import (
    ModelService,
    ModelServiceSpec,
    ObjectMeta,
    ResolvedModel,
    Revision,
    RevisionSpec,
    RevisionTemplate,
)
from shipway.rollout.undo import back

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DIGEST = "sha256:" + "a" * 64


def model(number: int) -> ResolvedModel:
    return ResolvedModel(name="d", version=number, digest=DIGEST)


def revision(number: int, *, failed: bool = False, port: int = 8080, cluster: str = "local") -> Revision:
    spec = RevisionSpec(
        service="d",
        number=number,
        template=RevisionTemplate(port=port),
        model=model(number),
        hash=DIGEST,
        cluster=cluster,
    )
    made = Revision(metadata=ObjectMeta(name=f"d-{number:05d}"), spec=spec)
    return made.mark_failed("Error", "", "", "", NOW) if failed else made.mark_ready(NOW)


def service(latest: int, **spec: Any) -> ModelService:
    made = ModelService(metadata=ObjectMeta(name="d"), spec=ModelServiceSpec(model="d", replicas=3, **spec))
    return made.mark_progressing(f"d-{latest:05d}", model(latest), "", NOW)


def test_the_one_before_with_its_template_and_its_version_by_number() -> None:
    known = [revision(1, port=8000, cluster="prod"), revision(2, port=9090)]
    going = back(service(2, port=9090), known)
    assert (going.present, going.revision.name, going.pinned) == ("d-00002", "d-00001", "d:1")
    assert (going.spec.model, going.spec.port, going.spec.replicas, going.spec.cluster) == ("d:1", 8000, 3, "prod")
    assert going.spec.template() == going.revision.spec.template


def test_revisions_that_failed_are_passed_over_unless_they_are_named() -> None:
    known = [revision(1), revision(2, failed=True), revision(3)]
    assert back(service(3), known).revision.name == "d-00001"
    assert back(service(3), known, "d-00002").revision.name == "d-00002"


def test_from_a_revision_that_failed_to_the_one_that_serves() -> None:
    assert back(service(3), [revision(1), revision(2), revision(3, failed=True)]).revision.name == "d-00002"


def test_forward_again_by_name() -> None:
    assert back(service(1), [revision(1), revision(2)], "d-00002").spec.model == "d:2"


@pytest.mark.parametrize(
    ("latest", "known", "to", "said"),
    [
        (1, [revision(1)], "", "d-00001 is the first revision of service 'd': there is none before"),
        (7, [revision(7)], "", "the revisions before d-00007 are forgotten: old ones are removed"),
        (7, [revision(7)], "d-00003", "d-00003 is forgotten: old revisions are removed"),
        (2, [revision(1), revision(2)], "d-00009", "service 'd' has no revision 'd-00009'\nThere are: d-00001."),
        (2, [revision(1), revision(2)], "e-00001", "service 'd' has no revision 'e-00001'"),
        (2, [revision(1, failed=True), revision(2)], "", "no revision before d-00002 ever got ready\nName one all"),
    ],
)
def test_what_is_not_there(latest: int, known: list[Revision], to: str, said: str) -> None:
    with pytest.raises(NotFound) as raised:
        back(service(latest), known, to)
    assert str(raised.value).startswith(said)


def test_what_cannot_be_undone() -> None:
    with pytest.raises(Refused, match="d-00002 is the revision that service 'd' declares now"):
        back(service(2), [revision(1), revision(2)], "d-00002")
    with pytest.raises(Refused, match="has no revision yet"):
        back(ModelService(metadata=ObjectMeta(name="d"), spec=ModelServiceSpec(model="d")), [])


def test_a_server_of_ones_own_has_no_version() -> None:
    own = RevisionSpec(service="d", number=1, template=RevisionTemplate(command=("python", "a.py")), hash=DIGEST)
    one = Revision(metadata=ObjectMeta(name="d-00001"), spec=own).mark_ready(NOW)
    going = back(service(2), [one, revision(2)])
    assert (going.spec.model, going.spec.command, going.pinned) == (None, ("python", "a.py"), "")
