"""Calls for a process that decodes; imports nothing that takes long there."""

import ctypes
import os
import signal
import time

from transforms.boxes import ImageBox
from transforms.images.decoder_pool import DecoderPool


def kill_oneself(signal_number: int) -> None:
    os.kill(os.getpid(), signal_number)


def crash_once(flag: str) -> int:
    if not os.path.exists(flag):
        open(flag, "w").close()
        kill_oneself(signal.SIGSEGV)
    return os.getpid()


def take_memory() -> None:
    raise MemoryError


def give_back(content: bytes) -> bytes:
    return content


def hold_the_interpreter() -> None:
    """Sleeps in C with the interpreter's lock, as a native decoder may."""
    ctypes.PyDLL(None).sleep(60)


class EndlessBox(ImageBox):
    """A box whose pixels are not found before a native decoder would have given up."""

    def within(self, height: int, width: int, margin: float) -> tuple[int, int, int, int]:
        """Returns what any box does, after a minute."""
        hold_the_interpreter()
        return super().within(height, width, margin)


def wait_for_a_kill(is_busy: bool) -> None:
    pool = DecoderPool()
    print(pool.call(os.getpid, seconds=None), flush=True)
    if is_busy:
        pool.call(hold_the_interpreter, seconds=None)
    time.sleep(60)
