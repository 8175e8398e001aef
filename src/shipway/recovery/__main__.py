"""``python -m shipway.recovery repair|backup|restore|encrypt``: one act on the home of this process, told as JSON.

A process of its own, as the hub is: the command line stays quick and knows neither SQLite nor the layout.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from shipway import home, settings
from shipway.clock import wall
from shipway.errors import Refused, ShipwayError
from shipway.oci.leases import Leases
from shipway.recovery.backup import backup
from shipway.recovery.encrypt import encrypt
from shipway.recovery.inspect import inspect
from shipway.recovery.plan import plan
from shipway.recovery.repair import repair
from shipway.recovery.restore import finish, restore
from shipway.settings import Settings


def main() -> int:
    """Act; the exit code."""
    os.umask(0o077)
    try:
        told = _done(_parser().parse_args(), settings.read())
    except ShipwayError as error:
        json.dump({"error": error.to_json()}, sys.stdout)
        return error.exit_code
    json.dump(told, sys.stdout)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shipway.recovery", description=__doc__)
    acts = parser.add_subparsers(dest="act", required=True)
    acts.add_parser("repair").add_argument("--yes", action="store_true")
    acts.add_parser("encrypt")
    for act, option in (("backup", "--with-secrets"), ("restore", "--force")):
        made = acts.add_parser(act)
        made.add_argument("file", type=Path)
        made.add_argument(option, action="store_true")
    return parser


def _done(asked: argparse.Namespace, where: Settings) -> dict[str, Any]:
    now = wall()
    if asked.act == "backup":  # beside a hub that runs
        return backup(where, asked.file.absolute(), now, secrets=asked.with_secrets)
    if asked.act == "repair" and not where.home.is_dir():
        return _told(where, now, yes=False)
    home.own(where)
    with home.only_hub(where) as alone:
        if not alone:
            raise Refused(f"a hub runs on {where.home}", next_step="First `shipway hub stop`; what runs goes on.")
        _check_idle(where)
        finish(where, now)
        if asked.act == "encrypt":
            return encrypt(where)
        if asked.act == "restore":
            return restore(where, asked.file.absolute(), now, force=asked.force)
        return _told(where, now, yes=asked.yes)


def _check_idle(where: Settings) -> None:
    """Builds of images write to the layout without a hub: what they write would be lost, or lie there unencrypted."""
    leases = Leases(where.oci / "leases")
    running = leases.running() if leases.folder.is_dir() else ()
    if running:
        raise Refused(
            f"another command works on {where.oci}: {', '.join(running)}", next_step="Wait for it, or end it."
        )


def _told(where: Settings, now: datetime, *, yes: bool) -> dict[str, Any]:
    made = plan(inspect(where))
    aside = repair(where, made, now) if yes and made.damage else []
    return {
        "home": str(where.home),
        "damage": made.damage,
        "saved": made.saved,
        "lost": made.lost,
        "stuck": made.stuck,
        "done": yes,
        "aside": aside,
    }


if __name__ == "__main__":
    sys.exit(main())
