"""A child that decodes hostile files, watched: its time, its memory and its death."""

import json
import math
import os
import pathlib
import select
import subprocess
import sys
import time
from typing import NamedTuple

MAX_SECONDS = 10.0
MAX_BYTES = 1_000_000_000
PIXEL_BYTES = 3
PATIENCE_SECONDS = 20.0
"""Of processor time, after which a child is stopped; in a crowd that is longer."""
HANG_SECONDS = 180.0
START_SECONDS = 120.0


class Cost(NamedTuple):
    """What a file cost.

    Attributes:
        name: Name of the file in the table.
        file_bytes: Size of it.
        seconds: Processor time to decode it: other programs are not its fault.
        peak_bytes: Memory that the process had more than before, at most; -1 if it died.
        pixels: Number of pixels that its header announces; 0 if it failed.
        outcome: "a row", or the failure.
    """

    name: str
    file_bytes: int
    seconds: float
    peak_bytes: int
    pixels: int
    outcome: str

    @property
    def is_breach(self) -> bool:
        """Whether it is more than any file may cost."""
        if self.peak_bytes < 0 or self.seconds > MAX_SECONDS:
            return True
        return self.peak_bytes > MAX_BYTES + PIXEL_BYTES * self.pixels


class Watch:
    """Starts a child, and another one in the place of one that died or took too long."""

    def __init__(self) -> None:
        """Starts the first at the first file."""
        self._child: subprocess.Popen[bytes] | None = None

    def decode(self, name: str, path: pathlib.Path) -> Cost:
        """Decodes a file in the child."""
        if self._child is None:
            self._child = _start()
            if self._answer(START_SECONDS) != b"ready\n":
                raise RuntimeError("the child does not start: see above")
        assert self._child.stdin is not None
        self._child.stdin.write(os.fsencode(path) + b"\n")
        self._child.stdin.flush()
        size = path.stat().st_size
        answer = self._answer(HANG_SECONDS, PATIENCE_SECONDS)
        if answer is None:
            self.close()
            return Cost(name, size, PATIENCE_SECONDS, -1, 0, "stopped")
        if not answer:
            code = self._child.wait()
            self.close()
            return Cost(name, size, 0.0, -1, 0, f"the process died with {code}")
        told = json.loads(answer)
        return Cost(name, size, told["seconds"], told["bytes"], told["pixels"], told["outcome"])

    def close(self) -> None:
        """Ends the child."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def _answer(self, seconds: float, processor_seconds: float = math.inf) -> bytes | None:
        """Returns the child's next line, empty if it died, or None if it takes too long."""
        assert self._child is not None
        assert self._child.stdout is not None
        deadline = time.monotonic() + seconds
        most = self._processor_seconds() + processor_seconds
        while not select.select([self._child.stdout], [], [], 0.5)[0]:
            if time.monotonic() > deadline or self._processor_seconds() > most:
                return None
        return self._child.stdout.readline()

    def _processor_seconds(self) -> float:
        """Returns what the child has used since its start."""
        assert self._child is not None
        path = pathlib.Path(f"/proc/{self._child.pid}/stat")
        used = path.read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, used)) / os.sysconf("SC_CLK_TCK")


def _start() -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "scripts.torture.images.child"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, bufsize=0, stdin=pipe, stdout=pipe, env=environment)
