"""A builder that puts its papers beside each image: the bill of materials, and the record of the build."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from shipway.image.bases.value import Base
from shipway.image.build import Builder, Built
from shipway.image.papers.record import Input, provenance
from shipway.image.papers.referrers import attach
from shipway.image.papers.sbom import cyclonedx, purl
from shipway.image.papers.system import System
from shipway.image.platform import Platform
from shipway.image.recipe import Files, Model, Recipe
from shipway.oci import Descriptor, Digest, Layout
from shipway.oci.cancelling import in_thread
from shipway.oci.leases import Lease
from shipway.transfer import silent


@dataclass(frozen=True, slots=True)
class Recorded:
    """``system`` says what the base's own package manager has installed; ``inputs`` and ``said`` are what the caller
    knows beside the recipe (the Dockerfile, the revision), for the record."""

    inner: Builder
    layout: Layout
    lease: Lease
    system: Callable[[Base], System]
    inputs: Sequence[Input] = ()
    said: Mapping[str, str] = field(default_factory=dict)

    async def build(self, recipe: Recipe, platform: Platform) -> Built:
        """See :class:`Builder`. Both papers are made of digests alone: the same build makes the same bytes."""
        built = await self.inner.build(recipe, platform)
        base = built.base
        if base is None:  # nothing is known of what is in it
            return built
        return replace(built, referrers=await in_thread(lambda _: self._attached(built, base), silent))

    def _attached(self, built: Built, base: Base) -> tuple[Descriptor, ...]:
        recipe = built.recipe
        asked = built.resolution.asked if built.resolution is not None else ()
        bill = cyclonedx(
            recipe.name,
            built.descriptor,
            base,
            built.layers,
            asked=asked,
            system=self.system(base),
            body=any(isinstance(one, Files) and one.body for one in recipe.steps),
        )
        parameters = {
            "platform": str(built.platform),
            "base": base.public_name,
            "compression": recipe.compression,
            **({"bytecode": True} if recipe.bytecode else {}),
            "requirements": list(asked),
            **self.said,
        }
        inputs = (Input("base", base.manifest.digest, base.public_name), *self.inputs, *inputs_of(built))
        statement = provenance(recipe.name, built.descriptor, inputs, parameters)
        return attach(self.layout, built.descriptor, bill, statement, self.lease)


def inputs_of(built: Built) -> Iterator[Input]:
    """What decided the bytes above the base: each wheel, each layer of files as a tar, the model. Pure."""
    resolution = built.resolution
    for package in resolution.packages if resolution is not None else ():
        file = package.file
        yield Input(file.name, Digest(f"sha256:{file.sha256}"), purl(package.name, package.version, file.name))
    titles = {one.title for one in built.recipe.steps if isinstance(one, Files)}
    for layer in built.layers:
        if layer.created_by in titles:
            yield Input(layer.created_by, layer.diff_id)
    for step in built.recipe.steps:
        if isinstance(step, Model):
            yield Input(f"model {step.name}", step.version.digest)
