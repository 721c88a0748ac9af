"""What native libraries write to file descriptor 2, kept off the terminal."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from transforms.errors import RunError, UserError
from transforms.machine.streams import DroppingStream


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keeps file descriptor 2 quiet while the block runs; sys.stderr still works.

    TensorFlow writes start-up notes before it reads its log level, and libjpeg a line for every
    photo with a harmless flaw. If the block fails in a way of no error of ours, what they wrote is
    shown after all.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    python_stderr = sys.stderr
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as notes, open(terminal, "w", buffering=1) as stderr:
        if _writes_to_descriptor_2(python_stderr):
            sys.stderr = DroppingStream(stderr)
        python_stderr.flush()
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except (UserError, RunError):
            raise
        except Exception:
            notes.seek(0)
            with contextlib.suppress(OSError):  # Nobody reads it.
                os.write(terminal, notes.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            sys.stderr = python_stderr


def _writes_to_descriptor_2(stream: object) -> bool:
    try:
        return stream.fileno() == 2  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return False
