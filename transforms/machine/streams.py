"""Standard output and error that nobody may read: what they would not take is dropped."""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import IO, Any

from transforms.errors import RunError


class DroppingStream:
    """A text stream that goes quiet, rather than fail, once it takes no more.

    Attributes:
        stream: Stream that is written to as long as it takes text.
    """

    def __init__(self, stream: IO[str], drops_on: type[OSError] = OSError) -> None:
        """Wraps a stream.

        Args:
            stream: The stream.
            drops_on: Errors after which all that is written is dropped; others are a RunError.
        """
        self.stream = stream
        self._drops_on = drops_on

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any of the stream's own
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Writes text, or drops it."""
        try:
            return self.stream.write(text)
        except OSError as error:
            self._fail(error)
            return len(text)

    def flush(self) -> None:
        """Empties the buffer, into nothing if need be."""
        try:
            self.stream.flush()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        # The buffer keeps what it could not write, and Python empties it at the end.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stream.fileno())
        os.close(nowhere)
        if not isinstance(error, self._drops_on):
            reason = (error.strerror or str(error)).lower()
            raise RunError(f"standard output cannot be written: {reason}") from error


@contextlib.contextmanager
def lasting_streams(drops_on: type[OSError]) -> Iterator[None]:
    """Lets a block print although standard output or error is closed, or its reader has gone.

    Args:
        drops_on: Errors of standard output that are no reason to stop. Those of standard error
            never are.
    """
    # A file that is opened later would get the number of a closed one.
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    output, error = sys.stdout, sys.stderr
    with open(os.devnull, "w") as nowhere:
        # Python has None for a stream that was closed when it started.
        sys.stdout = lasting = DroppingStream(output or nowhere, drops_on)
        sys.stderr = DroppingStream(error or nowhere)
        try:
            yield
            lasting.flush()
        finally:
            sys.stderr.flush()
            sys.stdout, sys.stderr = output, error
