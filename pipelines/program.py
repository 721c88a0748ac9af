"""What every program does: flags, checks, run, exit code. Imports the heavy parts when needed."""

import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from pipelines.flags import check_beam_flags, parse_flags
from pipelines.noise import quiet_libraries
from pipelines.options import RunConfig
from transforms.errors import RunError, UserError

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    from pipelines.launch import MakeTabulate

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
        print(f"{program}: interrupted before any work", file=sys.stderr)
        return EXIT_INTERRUPTED


def run_program(
    argv: Sequence[str] | None,
    *,
    program: str,
    config_class: type[Config],
    description: str,
    stem: str,
    make_tabulate: "Callable[[Config], MakeTabulate]",
) -> int:
    """Runs embed or classify.

    Args:
        argv: Arguments without the program's name; None means sys.argv.
        program: "embed" or "classify".
        config_class: Its flags.
        description: What --help says first.
        stem: What its data files hold: "embeddings" or "classifications".
        make_tabulate: Given the flags, returns the maker of the step that makes rows.

    Returns:
        The exit code: 0 published, 1 failed, 2 bad flag, model or input.
    """

    def work() -> int:
        config, beam_argv = parse_flags(
            config_class, argv, program=f"python -m pipelines.{program}", description=description
        )
        check_beam_flags(config_class, beam_argv)
        # TensorFlow takes 5 s to import and Beam 2 s: --help and a bad flag do not wait for them.
        with quiet_libraries():
            from pipelines.launch import plan_run
            from pipelines.run import execute

            plan = plan_run(config, program=program, stem=stem, make_tabulate=make_tabulate(config))
            return execute(plan, beam_argv)

    return report_errors(program, work)
