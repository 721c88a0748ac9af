"""How every program begins and ends: flags, one line for an error of ours, and an exit code."""

import os
import re
import sys
from collections.abc import Callable, Sequence

from pipelines.cli.parser import Config, parse_own_flags
from transforms.errors import RunError, UserError, printable
from transforms.machine.noise import quiet_libraries
from transforms.machine.streams import lasting_streams
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
            program=called_as(program),
            description=description,
            usage=usage,
            epilog=epilog,
        )
        with quiet_libraries():
            return run(config)

    return report_errors(program, work)


def called_as(program: str) -> str:
    """Returns what its user calls a program: "python -m pipelines.embed", or by the command."""
    command = os.path.basename(sys.argv[0])
    return command if command.endswith(f" {program}") else f"python -m pipelines.{program}"


def report_errors(
    program: str, work: Callable[[], int], *, drops_on: type[OSError] = BrokenPipeError
) -> int:
    """Runs work; turns our own errors into one line on stderr and an exit code.

    Whether anybody reads what it prints, as with `| head`, changes neither work nor exit code.

    Args:
        program: Name of the program, such as "verify".
        work: Callback; does the work and returns the exit code.
        drops_on: Errors of standard output that are no reason to stop: all of them where what is
            printed is not what was asked for.
    """
    with lasting_streams(drops_on):
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
