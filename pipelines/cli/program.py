"""How every program begins and ends: flags, one line for an error of ours, and an exit code."""

import os
import re
import select
import sys
from collections.abc import Callable, Sequence

from pipelines.cli.parser import Config, parse_own_flags
from transforms.errors import RunError, UserError, printable
from transforms.machine.noise import quiet_libraries
from transforms.machine.utf8 import restart_in_utf8

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_STEP = re.compile(r" \[while running '[^']*'\]")


def run_program(
    argv: Sequence[str] | None,
    *,
    program: str,
    config_class: type[Config],
    description: str,
    usage: str,
    epilog: str,
    run: Callable[[Config], int],
) -> int:
    """Runs a program whose flags are all its own; those of pipelines have Beam's, too.

    Args:
        argv: Arguments without the program's name; None means sys.argv.
        program: Name of the program, such as "verify".
        config_class: Configuration, whose fields are the program's flags.
        description: Text that --help begins with.
        usage: Text after the program's name in the usage line.
        epilog: Text that --help ends with.
        run: Callback, given the flags; does the work and returns the exit code.

    Returns:
        The exit code: 2 for a bad flag, and see report_errors.
    """
    if argv is None:
        restart_in_utf8()

    def work() -> int:
        config = parse_own_flags(
            config_class,
            argv,
            program=f"python -m pipelines.{program}",
            description=description,
            usage=usage,
            epilog=epilog,
        )
        with quiet_libraries():
            return run(config)

    return report_errors(program, work)


def report_errors(program: str, work: Callable[[], int]) -> int:
    """Runs work; turns our own errors into one line on stderr and an exit code."""
    try:
        return work()
    except (UserError, RunError) as error:
        print(f"{program}: {printable(_STEP.sub('', str(error)))}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, UserError) else EXIT_FAILED
    except SystemExit as ended:  # The parser's, after --help or a flag that does not parse.
        return int(ended.code or 0)
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
