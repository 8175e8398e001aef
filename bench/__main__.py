"""``python -m bench [--repeat N] [NAME...]``: measure, print and keep what was found."""

from __future__ import annotations

import argparse
from datetime import datetime

from bench import measures
from bench.data import data
from bench.home import ROOT
from bench.images.measure import images
from bench.kubernetes.apply import kubernetes
from bench.kubernetes.status import status as cluster_status
from bench.kubernetes.watch import watch
from bench.machine import describe
from bench.models import models
from bench.reconcile import reconcile
from bench.recovery import recovery
from bench.registry import registry
from bench.report import Figure, to_markdown, write
from bench.status import status
from bench.store import store

MEASURES = {
    "cli": measures.command_line,
    "up": measures.first_up,
    "rest": measures.at_rest,
    "gateway": measures.gateway,
    "store": store,
    "reconcile": reconcile,
    "recovery": recovery,
    "registry": registry,
    "status": status,
    "models": models,
    "data": data,
    "images": images,
    "kubernetes": kubernetes,
    "watch": watch,
    "cluster-status": cluster_status,
    "demo": measures.demo,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(MEASURES)}; default: all")
    parser.add_argument("--repeat", type=int, default=5, help="samples that count (default: 5)")
    options = parser.parse_args()
    unknown = set(options.names) - set(MEASURES)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}: choose from {', '.join(MEASURES)}")
    names = options.names or list(MEASURES)
    machine, today = describe(), datetime.now().astimezone().date()
    figures: list[Figure] = []
    for name in names:
        print(f"measuring {name} ...", flush=True)
        figures += MEASURES[name](options.repeat)
    print("\n" + to_markdown(figures, machine, today))
    # A part of the bars is for the one who measures, not for the record.
    if options.names:
        return
    print(f"written to {write(figures, machine, today, ROOT / 'bench' / 'results').relative_to(ROOT)}")


if __name__ == "__main__":
    main()
