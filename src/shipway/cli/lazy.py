"""Groups whose commands are imported when they are called: a command pays for its own imports, and for no other's."""

from __future__ import annotations

import difflib
import gc
import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import click
from click.shell_completion import CompletionItem


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives, and its line in the help."""

    place: str  # "shipway.cli.up:up"
    help: str


@contextmanager
def _imports() -> Iterator[None]:
    """What is imported stays: to look for garbage among it takes a tenth of the time, and finds none."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class LazyGroup(click.Group):
    """A group made of a table: name of the command to its :class:`Entry`. ``unlisted`` ones are in no help: programs
    call them."""

    def __init__(
        self,
        *arguments: Any,
        entries: Mapping[str, Entry],
        unlisted: Mapping[str, Entry] = MappingProxyType({}),
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._entries = entries
        self._unlisted = unlisted

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self._entries.get(cmd_name) or self._unlisted.get(cmd_name)
        if entry is None:
            if ctx.resilient_parsing:  # completion asks for half a word
                return None
            close = difflib.get_close_matches(cmd_name, self._entries, n=1, cutoff=0.65)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"there is no command {cmd_name!r}{hint}")
        module, _, name = entry.place.partition(":")
        with _imports():
            command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self._entries.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        named = [
            CompletionItem(name, help=entry.help)
            for name, entry in self._entries.items()
            if name.startswith(incomplete)
        ]
        return named or click.Command.shell_complete(self, ctx, incomplete)
