"""What the load says of a server that is known: a thread of this process that answers as it is told."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from bench.serving.load import Torn, ask_once, closed_loop, open_loop, parse

REQUESTS = [b"0", b"1", b"2"]  # the server below reads one byte and takes it for a request
Answer = Callable[[bytes], bytes]


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@dataclass(frozen=True, slots=True)
class Echo:
    """The right answer is the number of the row."""

    def right(self, number: int, body: bytes) -> bool:
        return body == str(number).encode()


@contextmanager
def server(answer: Answer) -> Iterator[int]:
    """Listens until the end of the test; each connection has a thread."""

    def serve(connection: socket.socket) -> None:
        with connection:
            while request := connection.recv(1):
                connection.sendall(answer(request))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(connection,)))
            threads[-1].start()

    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join()
    for one in threads:
        one.join()


def test_every_connection_asks_again_and_gets_its_own_answer() -> None:
    with server(ok) as port:
        sample = closed_loop(port, REQUESTS, Echo(), 4, 0.05)
    assert sample.requests >= 4
    assert (sample.wrong, sample.failed) == (0, 0)
    assert 0 < sample.p50 <= sample.p99


def test_a_swapped_answer_is_found() -> None:
    with server(lambda _: ok(b"0")) as port:
        sample = closed_loop(port, REQUESTS, Echo(), 1, 0.05)
    assert sample.wrong >= sample.requests > 0  # two rows of three


def test_an_error_is_no_request_that_was_answered() -> None:
    with server(lambda _: b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n") as port:
        sample = closed_loop(port, REQUESTS, Echo(), 1, 0.03)
    assert sample.requests == 0
    assert sample.failed > 0


def test_the_open_loop_asks_at_its_rate() -> None:
    with server(ok) as port:
        sample = open_loop(port, REQUESTS, Echo(), 2, 0.1, rate=100)
    assert sample.requests <= 11
    assert (sample.wrong, sample.failed) == (0, 0)


def test_what_a_stall_keeps_waiting_counts_from_the_time_when_it_was_due() -> None:
    """The only connection gets its answer after the end: nine more were due meanwhile, every 10 ms."""

    def stalled(request: bytes) -> bytes:
        time.sleep(0.11)
        return ok(request)

    with server(stalled) as port:
        sample = open_loop(port, REQUESTS, Echo(), 1, 0.1, rate=100)
    assert sample.requests <= 1
    assert sample.p50 == pytest.approx(50)  # a closed loop would have seen one slow request


def test_an_answer_is_whole_when_its_length_is_there() -> None:
    assert parse(b"HTTP/1.1 200 OK\r\ncontent-le") is None
    assert parse(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{") is None
    assert parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx: y\r\n\r\n{}") == (200, b"{}")


def test_chunks_are_put_together() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert parse(head + b"1\r\n{\r\n1;x=y\r\n}\r\n") is None
    assert parse(head + b"1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n") == (200, b"{}")


def test_an_answer_without_a_length_is_refused() -> None:
    with pytest.raises(Torn, match="no length"):
        parse(b"HTTP/1.1 200 OK\r\n\r\n{}")


def test_a_connection_that_is_closed_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closer = threading.Thread(target=lambda: listener.accept()[0].close())
        closer.start()
        with pytest.raises((Torn, OSError)):
            ask_once(listener.getsockname()[1], b"x")
        closer.join()
