"""The whole client against the fake registry, where nothing goes wrong but registries differ."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from shipway.errors import Corrupt, RegistryRefused, UserError
from shipway.oci import EMPTY_CONFIG, Descriptor, Digest, Index, Layout, Manifest
from shipway.oci.encrypted import Encrypted
from shipway.oci.label import label
from shipway.oci.manifest import INDEX_TYPE
from shipway.oci.pushed import PUSHED
from shipway.oci.reference import Reference
from shipway.oci.registry.client import Registry
from shipway.oci.registry.credentials import Anonymous
from shipway.oci.registry.limits import Limits
from shipway.oci.registry.origins import neighbour
from shipway.oci.registry.transport import Pace
from shipway.testing.registry import Drop, FakeRegistry, Quirks, Reply
from shipway.transfer import Progress
from tests.oci.registry.faulty import LIMITS, REPOSITORY, Artifact, artifact, client, reference

Result = TypeVar("Result")
SIGNATURE = "application/vnd.test.signature"


@pytest.fixture
def made(tmp_path: Path) -> Artifact:
    return artifact(tmp_path / "made", (100, 5_000, 300_000))


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as running:
        yield running


def ask(work: Callable[[Registry], Awaitable[Result]], limits: Limits = Limits()) -> Result:  # noqa: B008
    async def run() -> Result:
        async with client(limits) as asking:
            return await work(asking)

    return asyncio.run(run())


def signed(made: Artifact, text: bytes = b"signed") -> Descriptor:
    """A signature in the layout, listed among the artifact's referrers."""
    layer = made.layout.put_blob(text, SIGNATURE)
    return made.layout.attach(Manifest(EMPTY_CONFIG, (layer,), SIGNATURE, subject=made.root))


def test_what_was_pushed_is_resolved_and_read(made: Artifact, registry: FakeRegistry) -> None:
    at = reference(registry)
    assert ask(lambda one: one.push(made.layout, made.root, at)) == made.root
    found = ask(lambda one: one.resolve(at))
    assert (found.digest, found.size, found.media_type) == (made.root.digest, made.root.size, made.root.media_type)
    descriptor, data = ask(lambda one: one.manifest(at.pinned(made.root.digest)))
    assert data == made.layout.read_blob(made.root) and descriptor.digest == made.root.digest


def test_what_is_there_does_not_travel_again(made: Artifact, registry: FakeRegistry, tmp_path: Path) -> None:
    at, told = reference(registry), list[Progress]()
    ask(lambda one: one.push(made.layout, made.root, at))
    registry.forget()
    ask(lambda one: one.push(made.layout, made.root, at, told.append))
    assert registry.requests().received == 0
    assert {one.note for one in told} == {"there already"} and all(one.over for one in told)

    layout = Layout(tmp_path / "pulled")
    with layout.lease("test") as lease:
        ask(lambda one: one.pull(at, layout, lease))
        registry.forget()
        ask(lambda one: one.pull(at, layout, lease))
    assert not registry.requests("GET", "*/blobs/*"), "the config is in the manifest, the layers are there"


@pytest.mark.parametrize("quirks", [Quirks(), Quirks(ranges=False)], ids=["ranges", "no-ranges"])
def test_an_encrypted_layout_gets_the_same_bytes_and_sends_them(quirks: Quirks, made: Artifact, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "encrypted", Encrypted(bytes(32)))
    with FakeRegistry(quirks) as registry, FakeRegistry() as other:
        made.into(registry)
        registry.fail(Drop(after=70_000), path="*/blobs/*", times=3)
        with layout.lease("test") as lease:
            ask(lambda one: one.pull(reference(registry), layout, lease), LIMITS)
        assert made.is_in(layout)
        ask(lambda one: one.push(layout, made.root, reference(other)), LIMITS)
        assert made.is_at(other)
    stored = layout.blob_path(made.layers[2].digest).read_bytes()
    assert made.layout.read_blob(made.layers[2])[:100] not in stored


def test_progress_is_told_of_each_file_up_to_its_end(made: Artifact, registry: FakeRegistry, tmp_path: Path) -> None:
    told: list[Progress] = []
    ask(lambda one: one.push(made.layout, made.root, reference(registry), told.append))
    last = {one.what: one for one in told}
    for layer in made.layers:
        assert last[label(layer)].over
    assert {"tag 1", *map(label, made.layers)} < last.keys()
    for what in last:
        done = [one.done for one in told if one.what == what]
        assert done == sorted(done)
        assert not any(one.over for one in [each for each in told if each.what == what][:-1])


def test_the_tag_comes_last(made: Artifact, registry: FakeRegistry) -> None:
    ask(lambda one: one.push(made.layout, made.root, reference(registry)))
    puts = [one.path.rpartition("/")[2] for one in registry.requests("PUT", "*/manifests/*")]
    assert puts[-1] == "1" and len(puts) == 3
    assert registry.requests()[len(registry.requests()) - 1].path.endswith("/manifests/1")


def test_a_push_by_digest_needs_the_right_one(made: Artifact, registry: FakeRegistry) -> None:
    at = Reference.parse(f"{registry.host}/{REPOSITORY}@{made.root.digest}")
    ask(lambda one: one.push(made.layout, made.root, at))
    assert registry.manifest(REPOSITORY, made.root.digest) and not registry.tags(REPOSITORY)
    other = at.pinned(Digest.of(b"other"))
    with pytest.raises(UserError, match="names another manifest"):
        ask(lambda one: one.push(made.layout, made.root, other))


def test_a_damaged_blob_of_ours_is_ours_to_blame(made: Artifact, registry: FakeRegistry) -> None:
    made.layout.blob_path(made.layers[2].digest).write_bytes(bytes(made.layers[2].size))
    with pytest.raises(Corrupt, match=made.layers[2].digest.hex):
        ask(lambda one: one.push(made.layout, made.root, reference(registry)), Limits(small=1_000))
    assert not registry.tags(REPOSITORY)


def test_a_blob_of_a_neighbour_is_mounted(made: Artifact, registry: FakeRegistry) -> None:
    made.layout.tag(made.root, "digits:1")
    there = Reference.parse(f"{registry.host}/base/digits:1")
    ask(lambda one: one.push(made.layout, made.root, there))
    remember(made.layout, there)
    registry.forget()
    told: list[Progress] = []
    ask(lambda one: one.push(made.layout, made.root, reference(registry), told.append))
    assert made.is_at(registry)
    assert sum(one.received for one in registry.requests("*", "*/blobs/*")) == 0
    assert "mounted from base/digits" in {one.note for one in told}


@pytest.mark.parametrize("small", [1_000, 1 << 20])
def test_a_mount_that_is_refused_becomes_an_upload(made: Artifact, small: int) -> None:
    with FakeRegistry(Quirks(mounts=False)) as registry:
        made.layout.tag(made.root, "digits:1")
        remember(made.layout, Reference.parse(f"{registry.host}/gone/digits:1"))
        ask(lambda one: one.push(made.layout, made.root, reference(registry)), Limits(small=small))
        assert made.is_at(registry)
        assert len(registry.requests("POST")) == len(made.layers) + 1, "the session that was offered is used"


def test_who_may_not_read_the_neighbour_still_pushes(made: Artifact, registry: FakeRegistry) -> None:
    made.layout.tag(made.root, "digits:1")
    remember(made.layout, Reference.parse(f"{registry.host}/secret/digits:1"))
    trap = registry.fail(Reply(403), method="POST", path="*/blobs/uploads/", times=2)
    ask(lambda one: one.push(made.layout, made.root, reference(registry)))
    assert made.is_at(registry) and trap.struck == 2


def remember(layout: Layout, pushed: Reference) -> None:
    with layout.edit() as edit:
        edit.index = edit.index.with_tag_annotated("digits:1", PUSHED, json.dumps([str(pushed)]))


@pytest.mark.parametrize(
    "said, found",
    [
        ('["reg.example/base:1"]', "base"),
        ('["other.example/base:1", "reg.example/mine:1", "reg.example/b@sha256:' + "0" * 64 + '"]', "b"),
        ('["reg.example/mine:1"]', None),
        ("nonsense", None),
        ("{}", None),
        ("7", None),
        ('["nonsense"]', None),
        ("[7]", None),
    ],
)
def test_where_a_version_was_pushed(said: str, found: str | None) -> None:
    entry = EMPTY_CONFIG.annotated({PUSHED: said})
    assert neighbour(entry, Reference.parse("reg.example/mine:2")) == found
    assert neighbour(EMPTY_CONFIG, Reference.parse("reg.example/mine:2")) is None


@pytest.mark.parametrize(
    "quirks",
    [Quirks(), Quirks(filters=False), Quirks(page=1), Quirks(referrers=False), Quirks(says_subject=False)],
    ids=["api", "no-filters", "pages", "no-api", "not-said"],
)
def test_referrers_are_pushed_listed_and_pulled(quirks: Quirks, made: Artifact, tmp_path: Path) -> None:
    first, second = signed(made), signed(made, b"again")
    with FakeRegistry(quirks) as registry:
        at = reference(registry)
        ask(lambda one: one.push(made.layout, made.root, at))
        ask(lambda one: one.push(made.layout, made.root, at))  # twice is once
        found = ask(lambda one: one.referrers(at))
        assert {one.digest for one in found} == {first.digest, second.digest}
        assert {one.artifact_type for one in found} == {SIGNATURE}
        assert len(ask(lambda one: one.referrers(at, SIGNATURE))) == 2
        assert ask(lambda one: one.referrers(at, "application/other")) == ()
        layout = Layout(tmp_path / "pulled")
        with layout.lease("test") as lease:
            ask(lambda one: one.pull(at, layout, lease, referrers=True))
        assert {one.digest for one in layout.referrers(made.root.digest)} == {first.digest, second.digest}
        assert layout.read_blob(layout.read_manifest(first).layers[0]) == b"signed"


def test_a_signature_is_attached_later(made: Artifact, registry: FakeRegistry) -> None:
    at = reference(registry)
    ask(lambda one: one.push(made.layout, made.root, at, referrers=False))
    signature = signed(made)
    ask(lambda one: one.attach(made.layout, signature, at))
    assert [one.digest for one in ask(lambda one: one.referrers(at))] == [signature.digest]
    assert made.is_at(registry)


def test_two_who_attach_at_once_both_end_in_the_fallback_list(made: Artifact) -> None:
    signatures = [signed(made, bytes([number])) for number in range(4)]
    with FakeRegistry(Quirks(referrers=False)) as registry:
        at = reference(registry)

        async def attach_all(asking: Registry) -> None:
            await asking.push(made.layout, made.root, at, referrers=False)
            await asyncio.gather(*(asking.attach(made.layout, one, at) for one in signatures))

        ask(attach_all)
        listed = {one.digest for one in ask(lambda one: one.referrers(at))}
        assert listed == {one.digest for one in signatures}


def test_a_referrer_that_another_writer_took_off_the_list_is_written_again(made: Artifact) -> None:
    signature = signed(made)
    tag = f"sha256-{made.root.digest.hex}"
    with FakeRegistry(Quirks(referrers=False)) as registry:
        taken = [Index().to_bytes()] * 3

        async def another(seconds: float) -> None:
            if taken and registry.manifest(REPOSITORY, tag):
                registry.add_manifest(REPOSITORY, taken.pop(), tag=tag, media_type=INDEX_TYPE)

        async def run() -> tuple[Descriptor, ...]:
            async with Registry(Anonymous(), pace=Pace(sleep=another)) as asking:
                await asking.push(made.layout, made.root, reference(registry))
                return await asking.referrers(reference(registry))

        assert [one.digest for one in asyncio.run(run())] == [signature.digest]
        assert not taken


def test_a_list_that_is_never_ours_is_given_up(made: Artifact) -> None:
    signed(made)
    tag = f"sha256-{made.root.digest.hex}"
    with FakeRegistry(Quirks(referrers=False)) as registry:

        async def another(seconds: float) -> None:
            registry.add_manifest(REPOSITORY, Index().to_bytes(), tag=tag, media_type=INDEX_TYPE)

        async def run() -> None:
            async with Registry(Anonymous(), pace=Pace(sleep=another)) as asking:
                await asking.push(made.layout, made.root, reference(registry))

        with pytest.raises(RegistryRefused, match="ours is lost again"):
            asyncio.run(run())


def test_a_list_that_lies_of_its_referrers_is_not_believed(made: Artifact, tmp_path: Path) -> None:
    signature = signed(made)
    with FakeRegistry(Quirks(referrers=False)) as registry:
        ask(lambda one: one.push(made.layout, made.root, reference(registry)))
        kind = "application/vnd.oci.artifact.manifest.v1+json"
        theirs = {"blobs": [], "subject": made.root.to_json(), "mediaType": kind}
        foreign = registry.add_manifest(REPOSITORY, theirs, media_type=kind)
        gone = Digest.of(b"deleted")
        lies = Index(
            (
                replace(signature, size=7, media_type=INDEX_TYPE),
                Descriptor(INDEX_TYPE, foreign, 9),
                Descriptor(INDEX_TYPE, gone, 9),
            )
        )
        tag = f"sha256-{made.root.digest.hex}"
        registry.add_manifest(REPOSITORY, lies.to_bytes(), tag=tag, media_type=INDEX_TYPE)
        layout, told = Layout(tmp_path / "pulled"), list[Progress]()
        with layout.lease("test") as lease:
            ask(lambda one: one.pull(reference(registry), layout, lease, told.append, referrers=True))
        assert [one.digest for one in layout.referrers(made.root.digest)] == [signature.digest]
        assert [one.what for one in told if one.note.startswith("left out")] == [
            f"index {foreign.hex[:12]}",
            f"index {gone.hex[:12]}",
        ]


def test_a_deleted_referrer_leaves_the_fallback_list(made: Artifact) -> None:
    first, second = signed(made), signed(made, b"again")
    with FakeRegistry(Quirks(referrers=False)) as registry:
        at = reference(registry)
        ask(lambda one: one.push(made.layout, made.root, at))
        ask(lambda one: one.delete(Reference(at.registry, at.repository, digest=first.digest)))
        assert [one.digest for one in ask(lambda one: one.referrers(at))] == [second.digest]


def test_tags_come_in_pages() -> None:
    with FakeRegistry(Quirks(page=2)) as registry:
        for number in range(5):
            registry.add_manifest(REPOSITORY, b"{}", tag=f"v{number}")
        assert ask(lambda one: one.tags(reference(registry))) == ("v0", "v1", "v2", "v3", "v4")
        assert len(registry.requests("GET", "*/tags/list")) == 3


def test_tags_and_manifests_are_deleted(made: Artifact, registry: FakeRegistry) -> None:
    at = reference(registry)
    made.into(registry)
    made.into(registry, "2")
    ask(lambda one: one.delete(at))
    assert set(registry.tags(REPOSITORY)) == {"2"}
    ask(lambda one: one.delete(Reference(at.registry, at.repository, digest=made.root.digest)))
    assert registry.manifest(REPOSITORY, made.root.digest) is None
    with pytest.raises(RegistryRefused, match="404 MANIFEST_UNKNOWN") as unknown:
        ask(lambda one: one.delete(at))
    assert unknown.value.status == 404


def test_a_registry_that_does_not_delete_says_so(made: Artifact) -> None:
    with FakeRegistry(Quirks(deletes=False)) as registry:
        made.into(registry)
        with pytest.raises(RegistryRefused, match="405 UNSUPPORTED") as refused:
            ask(lambda one: one.delete(reference(registry)))
        assert refused.value.status == 405 and "does not allow it" in refused.value.next_step


def test_warnings_reach_who_listens(made: Artifact, tmp_path: Path) -> None:
    with FakeRegistry(Quirks(warning="the plan ends soon")) as registry:
        made.into(registry)
        told: list[Progress] = []
        layout = Layout(tmp_path / "pulled")
        with layout.lease("test") as lease:
            ask(lambda one: one.pull(reference(registry), layout, lease, told.append))
        assert f"{registry.host} warns: the plan ends soon" in {one.note for one in told}


def test_two_pushes_of_one_tag_end_with_one_of_them_whole(tmp_path: Path, registry: FakeRegistry) -> None:
    two = [artifact(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 2))]
    at = reference(registry)

    async def both(asking: Registry) -> None:
        await asyncio.gather(*(asking.push(one.layout, one.root, at) for one in two))

    ask(both)
    assert [one.is_at(registry) for one in two].count(True) == 1
