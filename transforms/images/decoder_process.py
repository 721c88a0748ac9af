"""The process in which one image is decoded at a time, so that a crash or a hang costs only it.

DecoderPool runs it as `python -m transforms.images.decoder_process SOCKET MEMORY`. It imports what
the functions that it is asked to call need: no TensorFlow, if they do not.
"""

import contextlib
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from transforms.images.shared_channel import SharedChannel

_LIFELINE = 0
"""Standard input: a pipe into which nobody writes, and which ends when the parent does."""


class Request(NamedTuple):
    """A call to make.

    Attributes:
        function: Function of a module.
        arguments: What it is given.
        seconds: Seconds after which the process dies of it; None for as long as it takes.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    seconds: float | None


def serve(channel: SharedChannel) -> None:
    """Answers requests, with what the function returns or raises, until the parent is gone."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            channel.send(_answer(channel.receive()))


def _answer(request: Request) -> object:
    # The kernel's alarm: Python's handlers would wait for the native decoder to return.
    signal.setitimer(signal.ITIMER_REAL, request.seconds or 0)
    try:
        return request.function(*request.arguments)
    except Exception as error:
        return error.with_traceback(None)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _die_with_parent() -> None:
    """Has the kernel end this process when the lifeline does, whatever it is at: by SIGIO."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to decide on.
    fcntl.fcntl(_LIFELINE, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(_LIFELINE, fcntl.F_GETFL)
    fcntl.fcntl(_LIFELINE, fcntl.F_SETFL, flags | os.O_ASYNC)


def _die_first() -> None:
    """Makes the kernel choose this process, not the run, where memory runs out."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


if __name__ == "__main__":
    _die_with_parent()
    _die_first()
    serve(SharedChannel(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])))
