"""Runs native decoders in processes of their own: one that crashes or hangs costs one image."""

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from transforms.errors import DecoderCrashError, DecodeTimeoutError
from transforms.images import decoder_process
from transforms.images.decoder_process import Request
from transforms.images.shared_channel import SharedChannel, create_memory

_Result = TypeVar("_Result")


_ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "-1"}
"""No GPU: decoding uses none, and TensorFlow would take memory of each."""


class DecoderPool:
    """Processes that call functions, one for each thread that asks at the same time.

    They start when they are needed, stay, and end with this process, however it ends. Threads may
    call it at the same time.
    """

    def __init__(self) -> None:
        self._idle: list[_Decoder] = []
        self._lock = threading.Lock()
        atexit.register(self.close)
        # A copy of this process would read the other's answers.
        os.register_at_fork(after_in_child=self._idle.clear)

    def call(
        self, function: Callable[..., _Result], *arguments: object, seconds: float | None
    ) -> _Result:
        """Calls a function in another process.

        Args:
            function: Function of a module.
            arguments: What it is given; bytes of an image as a `pickle.PickleBuffer`, which spares
                copies, and comes out as bytes.
            seconds: Seconds that it may take, or None for as long as it takes.

        Returns:
            What it returns.

        Raises:
            DecodeTimeoutError: If it takes longer.
            DecoderCrashError: If the process dies of it twice.
            Exception: What it raises.
        """
        request = Request(function, arguments, seconds)
        decoder = self._take()
        try:
            answer = decoder.call(request)
        except _DiedError:
            # Something else may have been the reason, such as another process's need of memory.
            decoder = _Decoder()
            try:
                answer = decoder.call(request)
            except _DiedError as error:
                raise DecoderCrashError(f"the decoder crashed on it twice ({error})") from None
        with self._lock:
            self._idle.append(decoder)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Ends the processes that nobody uses; it can be used again."""
        with self._lock:
            while self._idle:
                self._idle.pop().end()

    def _take(self) -> "_Decoder":
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return _Decoder()


class _DiedError(Exception):
    """The process died while it worked."""


class _Decoder:
    """One process, and the way to talk to it."""

    def __init__(self) -> None:
        own, theirs = socket.socketpair()
        memory = create_memory()
        with theirs:
            fds = [theirs.fileno(), memory]
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", decoder_process.__name__, *map(str, fds)],
                env={**os.environ, **_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=fds,
            )
        self._channel = SharedChannel(own, memory)

    def call(self, request: Request) -> Any:  # noqa: ANN401
        """Returns what the function returned, or the exception that it raised.

        Raises:
            DecodeTimeoutError: If it took too long.
            _DiedError: If the process died of it.
        """
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._channel.send(request)
            return self._channel.receive()
        except (EOFError, OSError):
            died_of = -self.end(kill=False)
            if died_of == signal.SIGALRM:
                raise DecodeTimeoutError(
                    f"decoding took more than {request.seconds:g} s, --max_image_seconds"
                ) from None
            raise _DiedError(_describe(died_of)) from None
        except BaseException:  # Such as Ctrl-C: the answer would be taken for the next one's.
            self.end()
            raise

    def end(self, *, kill: bool = True) -> int:
        """Ends the process, or waits for its end; returns its exit code."""
        if kill:
            self._process.kill()
        self._channel.close()
        code = self._process.wait()
        assert self._process.stdin is not None, "it is a pipe"
        self._process.stdin.close()
        return code


def _describe(died_of: int) -> str:
    if died_of == signal.SIGKILL:
        return "SIGKILL, as when memory runs out"
    return signal.Signals(died_of).name if died_of > 0 else f"exit code {-died_of}"
