"""Start a process so that it can never be lost: it runs only after its pid is on record."""

from __future__ import annotations

import errno
import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Spawned:
    """A running process and the read ends of its pipes."""

    def __init__(self, pid: int, stdout: int, stderr: int) -> None:
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr


def spawn(argv: Sequence[str], env: Mapping[str, str], cwd: str, record: Callable[[int, list[int]], None]) -> Spawned:
    """Run ``argv`` as the leader of a new session, standard input empty. Raises OSError when it cannot start.

    What ``record`` raises is raised, and the child is gone.
    ``record(pid, inodes of its two pipes)`` is called while the child waits; should this process die before it
    returns, the child sees the end of the pipe and ends without having run anything.
    """
    out, err, go, failure = os.pipe(), os.pipe(), os.pipe(), os.pipe()
    try:
        pid = os.fork()
    except OSError:
        for end in (*out, *err, *go, *failure):
            os.close(end)
        raise
    if pid == 0:
        os.close(go[1])
        _become(argv, env, cwd, out[1], err[1], go[0], failure[1])
    for end in (out[1], err[1], go[0], failure[1]):
        os.close(end)
    runs = False
    try:
        record(pid, [os.fstat(end[0]).st_ino for end in (out, err)])
        os.write(go[1], b"!")
        # Closed by exec: after this read the program runs, and signals reach it and not our handlers.
        problem = os.read(failure[0], 4096)
        runs = not problem
    finally:
        os.close(go[1])
        os.close(failure[0])
        if not runs:
            os.waitpid(pid, 0)
            os.close(out[0])
            os.close(err[0])
    if problem:
        code, _, text = problem.decode().partition(":")
        raise OSError(int(code), text)
    for end in (out[0], err[0]):
        os.set_blocking(end, False)
    return Spawned(pid, out[0], err[0])


def _become(argv: Sequence[str], env: Mapping[str, str], cwd: str, out: int, err: int, go: int, failure: int) -> None:
    """The child: never returns."""
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        # Python ignores these two, and what is ignored stays so across exec.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if os.read(go, 1):
            os.chdir(cwd)
            os.execvpe(argv[0], list(argv), dict(env))
    except OSError as error:
        os.write(failure, f"{error.errno}:{error.strerror}".encode())
    except ValueError as error:  # a NUL byte in a variable
        os.write(failure, f"{errno.EINVAL}:{error}".encode())
    finally:
        os._exit(127)
