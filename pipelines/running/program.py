"""What embed, classify and refresh do: flags, checks, run, exit code."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pipelines.cli.beam_flags import check_beam_flags
from pipelines.cli.parser import parse_flags
from pipelines.cli.program import called_as, report_errors
from pipelines.cli.run_flags import RunConfig
from transforms.machine.garbage import importing
from transforms.machine.noise import quiet_libraries
from transforms.machine.utf8 import restart_in_utf8

Config = TypeVar("Config", bound=RunConfig)


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
        config_class: Configuration, whose fields are the program's flags.
        description: Text that --help begins with.
        run: Callback, given the flags and Beam's; does the work and returns the exit code.

    Returns:
        The exit code: 0 published, 1 failed, 2 bad flag, model or input.
    """
    if argv is None:
        restart_in_utf8()

    def work() -> int:
        config, beam_argv = parse_flags(
            config_class, argv, program=called_as(program), description=description
        )
        # TensorFlow takes 5 s to import and Beam 2 s: --help and a bad flag do not wait for them.
        with importing():
            from pipelines.running.first_look import look_first

        look_first(config, beam_argv)
        check_beam_flags(config_class, beam_argv)
        with importing():
            from pipelines.running.dataflow import check_dataflow

        check_dataflow(config, beam_argv)
        with quiet_libraries():
            return run(config, beam_argv)

    return report_errors(program, work, drops_on=OSError)
