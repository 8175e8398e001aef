"""``python -m bench.quiet_hub HOME``: all of a hub but its controllers, whose work is measured elsewhere."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.home import ROOT
from shipway.api.app import build
from shipway.api.serve import serve
from shipway.app import compose
from shipway.client import HubClient
from shipway.errors import HubUnreachable
from shipway.settings import Settings


@contextmanager
def served(where: Settings) -> Iterator[HubClient]:
    """A process that answers on the home's socket while the block runs."""
    hub = subprocess.Popen([sys.executable, "-m", "bench.quiet_hub", str(where.home)], cwd=ROOT)
    client = HubClient(socket=where.hub_socket)
    try:
        while hub.poll() is None:
            with suppress(HubUnreachable):
                client.get("/healthz")
                yield client
                return
            time.sleep(0.05)
        raise SystemExit(f"the hub of the bench ended with {hub.returncode}")
    finally:
        hub.terminate()
        hub.wait()


def main() -> None:
    """Serve a home without its controllers, until terminated."""
    where = Settings(Path(sys.argv[1]))
    hub = compose(where)
    asyncio.run(serve(build(hub.backend, None), socket=where.hub_socket, tcp=None, stop=hub.stop))


if __name__ == "__main__":
    main()
