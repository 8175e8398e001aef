"""What a worker does with a plain ``def predict``: one call at a time, in the thread that loaded the model."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from shipway.runtime.server.calls import Array, Call
from shipway.runtime.server.engine.processes.channel import Channel
from shipway.runtime.server.engine.processes.post import Post
from shipway.runtime.server.engine.processes.way import asked, failed
from shipway.runtime.server.engine.processes.wire import Cancel, Done, End, Failed, Item, Next, Run, Stop, Trim
from shipway.runtime.server.loading.model import Model, call, items


class Serial:
    """A sleeping ``recv``, a call, a ``send``."""

    def first(self, model: Model, request: Call) -> Mapping[str, Array]:
        if not model.streams:
            return call(model, request).outputs
        with contextlib.closing(items(model, request)) as generator:
            return next(generator, {})

    def serve(self, model: Model, post: Post) -> None:
        while True:
            match post.next():
                case Run() as run:
                    # What the call has seen must be gone before its answer is sent: the answer says so (arena.py).
                    post.send(_streamed(model, post, run) if run.streams else _answered(model, post.channel, run))
                case Trim():
                    post.channel.trim()
                case Stop():
                    return
                case _:  # about a call that has ended
                    continue


def _answered(model: Model, channel: Channel, run: Run) -> Done | Failed:
    try:
        answer = call(model, asked(channel, run))
        outputs = channel.write(answer.outputs)
    except Exception as error:
        return failed(run.number, error)
    return Done(run.number, outputs, answer.rows, answer.seconds, answer.parameters, answer.began)


def _streamed(model: Model, post: Post, run: Run) -> End | Failed:
    """Sends one item for each time that it is asked for one."""
    generator = items(model, asked(post.channel, run))
    try:
        for outputs in generator:
            post.send(Item(run.number, post.channel.write(outputs)))
            del outputs
            if not _goes_on(post, run.number):
                generator.close()
                break
    except (EOFError, ConnectionError):
        raise
    except Exception as error:
        return failed(run.number, error)
    return End(run.number)


def _goes_on(post: Post, number: int) -> bool:
    """Whether the next item is asked for; else nobody wants it, or the worker is to end."""
    while True:
        match post.next():
            case Next() as asked_for if asked_for.number == number:
                return True
            case Cancel() as given_up if given_up.number == number:
                return False
            case Stop() as stop:
                post.waiting.append(stop)
                return False
            case _:  # about a call that has ended
                continue
