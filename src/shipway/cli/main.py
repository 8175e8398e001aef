"""``shipway``: finds the command in a table, imports its module, runs it, and turns its end into an exit code.

Rule: this module imports nothing that takes time; ``shipway --help`` must answer in 150 ms.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from shipway import __version__
from shipway.cli.failure import end_of
from shipway.cli.lazy import Entry, LazyGroup
from shipway.cli.options import Invocation

COMMANDS = {
    "init": Entry("shipway.cli.init:init", "Look at a folder and write a shipway.yaml that works."),
    "up": Entry("shipway.cli.up:up", "Train, version, deploy; wait until it answers."),
    "down": Entry("shipway.cli.down:down", "Stop what runs; models are kept."),
    "diff": Entry("shipway.cli.diff:diff", "Say what up or apply would change, and change nothing."),
    "undo": Entry("shipway.cli.undo:undo", "Go back to the revision of a service before."),
    "status": Entry("shipway.cli.status:status", "Everything at one look."),
    "predict": Entry("shipway.cli.predict:predict", "Send a request to a service."),
    "port-forward": Entry("shipway.cli.forward:port_forward", "A port of this machine for a service in a cluster."),
    "logs": Entry("shipway.cli.logs:logs", "What a job or a service printed."),
    "why": Entry("shipway.cli.why:why", "What happened to an object and why, and what to do next."),
    "events": Entry("shipway.cli.events:events", "The journal: what was decided and what happened."),
    "jobs": Entry("shipway.cli.get:jobs", "List jobs."),
    "models": Entry("shipway.cli.models:models", "Versions of models: list, compare, name, push, pull, sign."),
    "data": Entry("shipway.cli.data:data", "Data sets: versions of files, here or in an object store."),
    "import": Entry("shipway.cli.importing:import_", "Make a shipway.yaml of Kubernetes YAML."),
    "render": Entry("shipway.cli.render:render", "Write a project as Kubernetes YAML, Kustomize or a Helm chart."),
    "build": Entry("shipway.cli.build:build", "Make container images of a folder, without a daemon."),
    "image": Entry("shipway.cli.image:image", "Container images: list, compare, sign, push, what is in them."),
    "services": Entry("shipway.cli.get:services", "List services."),
    "get": Entry("shipway.cli.get:get", "Print objects of any kind."),
    "apply": Entry("shipway.cli.apply:apply", "Give the objects of a file to the hub, and do not wait."),
    "delete": Entry("shipway.cli.apply:delete", "Delete an object, or the objects of a file."),
    "cluster": Entry("shipway.cli.cluster:cluster", "Places to run: add, list, check and forget clusters."),
    "secret": Entry("shipway.cli.secret:secret", "Values that never stand in YAML."),
    "gc": Entry("shipway.cli.gc:gc", "Show what nothing needs any more, and delete it."),
    "doctor": Entry("shipway.cli.doctor:doctor", "Say what is wrong with this machine; pack a bug report."),
    "hub": Entry("shipway.cli.hub:hub", "The daemon behind the commands."),
    "completion": Entry("shipway.cli.completion:completion", "Completion for your shell."),
}
# What our containers call in a cluster.
UNLISTED = {"courier": Entry("shipway.cli.courier:courier", "Bring models and inputs into Pods, take results away.")}


@click.group(
    cls=LazyGroup,
    entries=COMMANDS,
    unlisted=UNLISTED,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="shipway", message="%(prog)s %(version)s")
def cli() -> None:
    """From a folder of model code to a versioned, served model.

    Start with `shipway up FOLDER`; `shipway init FOLDER` writes the file that it needs.
    """


def run(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code. Nothing is raised."""
    invocation = Invocation()
    try:
        result: Any = cli.main(arguments, prog_name="shipway", obj=invocation, standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:  # every end of a command has a code: docs/cli.md
        return end_of(error, invocation)
    return result if isinstance(result, int) else 0


def main() -> None:
    """The entry point of the distribution."""
    code = run()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at its end, and would report what nobody reads.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


if __name__ == "__main__":
    main()
