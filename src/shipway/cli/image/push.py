"""``shipway image push``: an image goes to a registry."""

from __future__ import annotations

import click

from shipway.building.images.moved import pushed
from shipway.cli.image.named import IMAGE, place, plain_http
from shipway.cli.options import act_output
from shipway.cli.output import emit
from shipway.cli.shown import shown
from shipway.deploy.transfers import push_target


@click.command()
@click.argument("image", type=IMAGE)
@click.argument("reference", required=False)
@plain_http
@act_output
def push(image: str, reference: str | None, plain_http: bool, output: str) -> None:
    """Push IMAGE with its bill of materials, build record and signatures; only what the registry lacks travels.

    REFERENCE is HOST[:PORT]/REPOSITORY[:TAG]: by default the image's name in $SHIPWAY_REGISTRY, and its tag.
    """
    where = place()
    target = push_target(image, reference, where.where.registry)
    with shown(output) as report:
        done = pushed(where, image, target, report, plain_http=plain_http)
    emit(done, output, f"pushed {done['name']} to {done['reference']}")
