"""What every program does: flags, checks, run, exit code. Imports the heavy parts when needed."""

import os
import re
import select
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from pipelines.cli.beam_flags import check_beam_flags
from pipelines.cli.parser import parse_flags
from pipelines.cli.run_flags import RunConfig
from transforms.errors import RunError, UserError
from transforms.machine.garbage import importing
from transforms.machine.noise import quiet_libraries

Config = TypeVar("Config", bound=RunConfig)

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


def run_program(
    argv: Sequence[str] | None,
    *,
    program: str,
    config_class: type[Config],
    description: str,
    run: Callable[[Config, Sequence[str]], int],
) -> int:
    """Runs a program that runs a pipeline.

    Args:
        argv: Arguments without the program's name; None means sys.argv.
        program: "embed", "classify" or "refresh".
        config_class: Its flags.
        description: What --help says first.
        run: Given the flags and Beam's, does the work and returns the exit code.

    Returns:
        The exit code: 0 published, 1 failed, 2 bad flag, model or input.
    """

    def work() -> int:
        config, beam_argv = parse_flags(
            config_class, argv, program=f"python -m pipelines.{program}", description=description
        )
        check_beam_flags(config_class, beam_argv)
        # TensorFlow takes 5 s to import and Beam 2 s: --help and a bad flag do not wait for them.
        with importing():
            from pipelines.running.dataflow import check_dataflow

        check_dataflow(config, beam_argv)
        with quiet_libraries():
            return run(config, beam_argv)

    return report_errors(program, work)
