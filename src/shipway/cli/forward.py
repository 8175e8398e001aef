"""``shipway port-forward``: a port of this machine that leads to a service in a cluster, until Ctrl-C."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import click

from shipway import settings
from shipway.async_client import AsyncHubClient
from shipway.cli.hubs import connect
from shipway.deploy.documents import OBJECTS
from shipway.deploy.reach_async import forwarded
from shipway.errors import EnvironmentFault, PortTaken, ShipwayError

_BLOCK = 1 << 16  # bytes


@click.command()
@click.argument("service", metavar="NAME")
@click.argument("local", metavar="[LOCAL]", default=0, type=click.IntRange(0, 65535))
def port_forward(service: str, local: int) -> None:
    """Let port LOCAL of 127.0.0.1 (default: any free one) lead to service NAME in its cluster, until Ctrl-C.

    Goes on when replicas are exchanged: each connection goes to one that is ready.
    """
    connect().get(f"{OBJECTS}/modelservices/{service}")  # a wrong name is told now, and not to the first request
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(service, local))


async def _serve(service: str, local: int) -> None:
    hub = AsyncHubClient(settings.read().hub_socket)
    await forwarded(hub, service)
    relays: set[asyncio.Task[None]] = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(relay(hub, service, reader, writer))
        relays.add(task)
        task.add_done_callback(relays.discard)

    try:
        server = await asyncio.start_server(accepted, "127.0.0.1", local)
    except OSError as error:
        raise PortTaken(
            f"cannot listen on 127.0.0.1:{local}: {error.strerror}", next_step="Name another port, or none."
        ) from error
    async with server:
        port = server.sockets[0].getsockname()[1]
        click.echo(f"http://127.0.0.1:{port} leads to service {service}; Ctrl-C ends it")
        await server.serve_forever()


async def relay(hub: AsyncHubClient, service: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection. The hub is asked each time: after a restart of it, its port is another one."""
    try:
        there, back = await asyncio.open_connection("127.0.0.1", await forwarded(hub, service))
    except (ShipwayError, OSError) as error:
        told = error if isinstance(error, ShipwayError) else EnvironmentFault(f"service {service}: {error}")
        click.echo(f"error: {told}", err=True)
        writer.close()
        return
    try:
        await asyncio.gather(_copy(reader, back), _copy(there, writer))
    finally:
        for one in (back, writer):
            one.close()


async def _copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while block := await source.read(_BLOCK):
            to.write(block)
            await to.drain()
        to.write_eof()
