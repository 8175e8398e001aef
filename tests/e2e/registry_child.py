"""A process that pulls or pushes, to be killed: ``python -m tests.e2e.registry_child pull|push REFERENCE LAYOUT``.

Prints the bytes of the largest blob that are done, a line each, and ``ended`` at the end.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from shipway.oci import Layout
from shipway.oci.reference import Reference
from shipway.oci.registry.client import Registry
from shipway.oci.registry.credentials import Anonymous
from shipway.oci.registry.limits import Limits
from shipway.transfer import Progress

TAG = "made"


async def main(what: str, text: str, folder: str) -> None:
    layout, reference = Layout(Path(folder)), Reference.parse(text)
    async with Registry(Anonymous(), limits=Limits(part=1 << 30)) as registry:
        with layout.lease(what) as lease:
            if what == "push":
                await registry.push(layout, layout.resolve(TAG), reference, tell)
            else:
                layout.tag(await registry.pull(reference, layout, lease, tell), TAG)
    print("ended", flush=True)


def tell(progress: Progress) -> None:
    print(progress.done, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
