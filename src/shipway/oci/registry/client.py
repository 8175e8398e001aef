"""Registry: all that Shipway asks of OCI registries, for every host at once.

Sources: OCI distribution-spec v1.1.1; for tokens https://distribution.github.io/distribution/spec/auth/.
"""

from __future__ import annotations

from typing import Self

from shipway.errors import RegistryRefused, UserError
from shipway.oci.descriptor import Descriptor
from shipway.oci.digest import Digest
from shipway.oci.label import label
from shipway.oci.layout import Layout
from shipway.oci.leases import Lease
from shipway.oci.reference import Reference
from shipway.oci.registry import contents, errors, manifests, referrers
from shipway.oci.registry.credentials import Credentials
from shipway.oci.registry.limits import DEFAULT, Limits
from shipway.oci.registry.outgoing import Outgoing
from shipway.oci.registry.pull import Wanted, everything, pull
from shipway.oci.registry.push import push
from shipway.oci.registry.repository import Repository
from shipway.oci.registry.threads import in_thread
from shipway.oci.registry.transport import REAL, Pace, Transport
from shipway.oci.tree import manifests as manifests_of
from shipway.transfer import Progress, Report, silent


class Registry:
    """A client of registries: ``async with Registry(DockerCredentials(settings.docker_config)) as registry``.

    Every method raises RegistryUnreachable (no connection, time-outs, 5xx after all tries), RegistryRefused (it says
    no: credentials, rights, an unknown name; ``status`` and ``diagnosis`` say what it said) and RegistryBroken
    (what it sent is not what it announced). ``plain_http``: speak HTTP without TLS, with all or with
    the one host that is named; None: with this machine only.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        plain_http: bool | str | None = None,
        limits: Limits = DEFAULT,
        pace: Pace = REAL,
    ) -> None:
        self._transport = Transport(credentials, limits, plain_http=plain_http, pace=pace)

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._transport.__aexit__(*error)

    async def resolve(self, reference: Reference) -> Descriptor:
        """What the reference names now: type, digest and size of its manifest. Only a digest makes it certain."""
        repository = self._at(reference)
        found = await manifests.head(repository, reference.name)
        if found is None:  # HEAD says not enough, and never why not
            found, _ = await manifests.get(repository, reference.name)
        if reference.digest not in (None, found.digest):
            url = repository.manifest(reference.name)
            raise errors.broken("HEAD", url, f"{reference.digest} was asked for, and it says {found.digest}")
        return found

    async def manifest(self, reference: Reference) -> tuple[Descriptor, bytes]:
        """A manifest's verified bytes, as they are in the registry."""
        return await manifests.get(self._at(reference), reference.name)

    async def pull(
        self,
        reference: Reference,
        layout: Layout,
        lease: Lease,
        report: Report = silent,
        *,
        referrers: bool = False,
        wanted: Wanted = everything,
    ) -> Descriptor:
        """Bring what the reference names into the layout: manifests (nested ones too), configs, layers.

        What is there is not fetched, what was begun is gone on with, and nothing is tagged. ``referrers``: what
        refers to it (signatures, attestations) too, and the layout lists it. ``wanted``: which of its blobs. ``report``
        is told of each blob, from the event loop. Raises EnvironmentFault when the disk is full.
        """
        repository = self._at(reference, report=report)
        descriptor = await pull(repository, reference.name, layout, lease, wanted)
        if referrers:
            await self._pull_referrers(repository, descriptor.digest, layout, lease, {descriptor.digest})
        return descriptor

    async def push(
        self,
        layout: Layout,
        descriptor: Descriptor,
        reference: Reference,
        report: Report = silent,
        *,
        referrers: bool = True,
    ) -> Descriptor:
        """Send a manifest of the layout with all that it needs, its tag last; ``descriptor`` again.

        What is there is not sent; what another repository of the registry has is mounted. ``referrers``: what the
        layout knows to refer to it, or to a manifest of this index, is sent too. Hold ``descriptor.digest`` in a lease
        meanwhile. Raises Corrupt when a blob of the layout is damaged or missing, and UserError when the reference has
        another digest.
        """
        await self.send(layout, descriptor, reference, report)
        if referrers:
            repository = self._at(reference, "pull,push", report)
            for one in await in_thread(_below, layout, descriptor):
                await push(repository, layout, one, reference, one.digest)
        return descriptor

    async def send(
        self, source: Outgoing, descriptor: Descriptor, reference: Reference, report: Report = silent
    ) -> None:
        """As :meth:`push`, without referrers, from wherever the blobs come. Raises as it does."""
        if reference.digest not in (None, descriptor.digest):
            raise UserError(f"{reference} names another manifest than {descriptor.digest}, which is to be pushed")
        repository = self._at(reference, "pull,push", report)
        await push(repository, source, descriptor, reference, reference.tag or reference.name)

    async def referrers(self, reference: Reference, artifact_type: str | None = None) -> tuple[Descriptor, ...]:
        """What refers to the manifest that the reference names, with type and annotations of each."""
        digest = reference.digest or (await self.resolve(reference)).digest
        return await referrers.listed(self._at(reference), digest, artifact_type)

    async def attach(
        self, layout: Layout, descriptor: Descriptor, reference: Reference, report: Report = silent
    ) -> Descriptor:
        """Send a manifest that has a ``subject`` into the reference's repository, and see that it is listed there."""
        repository = self._at(reference, "pull,push", report)
        await push(repository, layout, descriptor, reference, descriptor.digest)
        return descriptor

    async def tags(self, reference: Reference) -> tuple[str, ...]:
        """The tags of the reference's repository, in the registry's order."""
        return await referrers.tags(self._at(reference))

    async def delete(self, reference: Reference) -> None:
        """Delete a manifest (with ``digest``) or only a tag. RegistryRefused (405) where the registry forbids it."""
        repository = self._at(reference, "delete,pull,push")
        subject = None
        if reference.digest is not None:
            _, data = await manifests.get(repository, reference.digest)
            subject = contents.of(data).subject
        await manifests.delete(repository, reference.name)
        if subject is not None and reference.digest is not None:
            await referrers.forget(repository, subject.digest, reference.digest)

    async def _pull_referrers(
        self, repository: Repository, subject: Digest, layout: Layout, lease: Lease, seen: set[Digest]
    ) -> None:
        for one in await referrers.listed(repository, subject):
            if one.digest in seen or len(seen) > repository.limits.manifests:
                continue
            seen.add(one.digest)
            try:
                found = await pull(repository, one.digest, layout, lease)  # a list may say what it likes
                data = await in_thread(layout.read_blob, found)
                if _subject(data) == subject:
                    await in_thread(layout.attach_bytes, data, found.media_type, lease=lease)
            except (RegistryRefused, UserError) as error:
                # Deleted, and still in a list that nobody cleans; or of a type that nobody here could read.
                if isinstance(error, RegistryRefused) and error.status != 404:
                    raise
                repository.report(Progress(label(one), one.size, one.size, f"left out: {error.message}"))
            await self._pull_referrers(repository, one.digest, layout, lease, seen)

    def _at(self, reference: Reference, actions: str = "pull", report: Report = silent) -> Repository:
        return Repository.of(self._transport, reference, actions, report)


def _subject(data: bytes) -> Digest | None:
    subject = contents.of(data).subject
    return subject.digest if subject else None


def _below(layout: Layout, root: Descriptor) -> list[Descriptor]:
    """The referrers of a manifest, of those that it names when it is an index, and theirs, each once."""
    found: dict[Digest, Descriptor] = {}
    waiting = [one.digest for one in manifests_of(layout, root)]
    while waiting:
        for one in layout.referrers(waiting.pop()):
            if one.digest not in found:
                found[one.digest] = one
                waiting.append(one.digest)
    return list(found.values())
