"""How every program begins and ends: flags, one line for an error of ours, and an exit code."""

import argparse
import dataclasses
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from pipelines.cli.outcome import JsonFlags, Outcome, format_json, summary_apart
from pipelines.cli.parser import make_parser, parse_own_flags
from transforms.errors import RunError, UserError, printable
from transforms.machine.noise import quiet_libraries
from transforms.machine.signals import ending_of, ending_on_sigterm
from transforms.machine.streams import lasting_streams
from transforms.machine.utf8 import restart_in_utf8

EXIT_FAILED = 1
EXIT_USAGE = 2

Config = TypeVar("Config", bound=JsonFlags)

_STEP = re.compile(r" \[while running '[^']*'\]")


@dataclasses.dataclass(frozen=True)
class Program(Generic[Config]):
    """A program as its user is told of it, by --help and by the pages.

    Attributes:
        name: Name of its module in pipelines, such as "verify".
        config_class: Configuration, whose fields are the program's flags.
        description: Text that --help begins with.
        usage: Text after the program's name in the usage line; by default a pipeline's.
        epilog: Text that --help ends with; by default a pipeline's.
    """

    name: str
    config_class: type[Config]
    description: str
    usage: str | None = None
    epilog: str | None = None

    def make_parser(self) -> argparse.ArgumentParser:
        """Builds the parser of its flags, as of "python -m pipelines.verify"."""
        return make_parser(
            self.config_class,
            program=f"python -m pipelines.{self.name}",
            description=self.description,
            usage=self.usage,
            epilog=self.epilog,
        )


def run_program(
    argv: Sequence[str] | None, program: Program[Config], run: Callable[[Config], Outcome]
) -> int:
    """Runs a program whose flags are all its own; those of pipelines have Beam's, too.

    Args:
        argv: Arguments without the program's name; None means sys.argv.
        program: The program.
        run: Callback, given the flags; does the work and returns its outcome.

    Returns:
        The exit code: 2 for a bad flag, and see report_errors.
    """
    if argv is None:
        restart_in_utf8()

    def work() -> int:
        config = parse_own_flags(
            program.config_class,
            argv,
            program=called_as(program.name),
            description=program.description,
            usage=program.usage,
            epilog=program.epilog,
        )
        return run_reporting(program.name, config, lambda: quietly(config, lambda: run(config)))

    return report_errors(program.name, work)


def called_as(program: str) -> str:
    """Returns what its user calls a program: "python -m pipelines.embed", or by the command."""
    command = os.path.basename(sys.argv[0])
    return command if command.endswith(f" {program}") else f"python -m pipelines.{program}"


def run_reporting(
    program: str,
    config: JsonFlags,
    run: Callable[[], Outcome],
    at_end: Callable[[int], None] = lambda exit_code: None,
) -> int:
    """Runs what the flags ask for; prints its outcome as JSON if they ask for that.

    Args:
        program: Name of the program.
        config: The flags.
        run: Callback; does the work.
        at_end: Callback, given the exit code, however it ends.

    Returns:
        The exit code.
    """
    exit_code = EXIT_FAILED
    try:
        outcome = _catch(program, run)
        exit_code = outcome.exit_code
    finally:
        at_end(exit_code)
    if config.json:
        print(format_json(program, outcome))
    return exit_code


def quietly(config: JsonFlags, run: Callable[[], Outcome]) -> Outcome:
    """Does the work of a program, without the noise of libraries."""
    with quiet_libraries(), summary_apart(config.json):
        return run()


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
        worked = _catch(program, lambda: Outcome(exit_code=work()))
        printed = _catch(program, _empty_output)
        return worked.exit_code or printed.exit_code


def _empty_output() -> Outcome:
    sys.stdout.flush()
    return Outcome(exit_code=0)


def _catch(program: str, work: Callable[[], Outcome]) -> Outcome:
    """Runs work; an error of ours becomes its outcome, and is said on one line."""
    try:
        with ending_on_sigterm():
            outcome = work()
    except (UserError, RunError) as error:
        exit_code = EXIT_USAGE if isinstance(error, UserError) else EXIT_FAILED
        outcome = Outcome(error=_STEP.sub("", str(error)), exit_code=exit_code)
    except SystemExit as ended:  # The parser's, after --help or a flag that does not parse.
        outcome = Outcome(exit_code=int(ended.code or 0))
    except KeyboardInterrupt as interrupt:
        word, exit_code = ending_of(interrupt)
        outcome = Outcome(error="; ".join([word, *map(str, interrupt.args)]), exit_code=exit_code)
    if outcome.error is not None:
        print(f"{program}: {printable(outcome.error)}", file=sys.stderr)
    return outcome
