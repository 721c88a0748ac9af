"""How every program ends: one line for an error of ours, and an exit code."""

import os
import re
import select
import sys
from collections.abc import Callable

from transforms.errors import RunError, UserError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_STEP = re.compile(r" \[while running '[^']*'\]")


def report_errors(program: str, work: Callable[[], int]) -> int:
    """Runs work; turns our own errors into one line on stderr and an exit code."""
    try:
        return work()
    except (UserError, RunError) as error:
        print(f"{program}: {_STEP.sub('', str(error))}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, UserError) else EXIT_FAILED
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        # As after `| head`. Python would fail again when it empties its buffers at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED


def _nobody_reads() -> bool:
    """Whether standard output is a pipe that was closed at its other end."""
    poll = select.poll()
    poll.register(sys.stdout, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
