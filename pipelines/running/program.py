"""What embed, classify and refresh do: flags, checks, run, exit code."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pipelines.cli.beam_flags import check_beam_flags
from pipelines.cli.outcome import Outcome
from pipelines.cli.parser import parse_flags
from pipelines.cli.program import Program, called_as, quietly, report_errors, run_reporting
from pipelines.cli.run_flags import RunConfig
from transforms.machine.beam_runtime import import_beam_for_here
from transforms.machine.garbage import importing
from transforms.machine.utf8 import restart_in_utf8

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions

Config = TypeVar("Config", bound=RunConfig)


def run_program(
    argv: Sequence[str] | None,
    program: Program[Config],
    run: Callable[[Config, Sequence[str]], Outcome],
) -> int:
    """Runs a program that runs a pipeline.

    Args:
        argv: Arguments without the program's name; None means sys.argv.
        program: The program: embed, classify or refresh.
        run: Callback, given the flags and Beam's; does the work and returns its outcome.

    Returns:
        The exit code: 0 published, 1 failed, 2 bad flag, model or input.
    """
    if argv is None:
        restart_in_utf8()

    def work() -> int:
        config, beam_argv = parse_flags(
            program.config_class,
            argv,
            program=called_as(program.name),
            description=program.description,
        )
        return run_reporting(
            program.name,
            config,
            lambda: _check_and_run(config, beam_argv, run, is_alone=argv is None),
            lambda exit_code: _write_metrics(config, exit_code),
        )

    return report_errors(program.name, work, drops_on=OSError)


def _check_and_run(
    config: Config,
    beam_argv: Sequence[str],
    run: Callable[[Config, Sequence[str]], Outcome],
    *,
    is_alone: bool,
) -> Outcome:
    # TensorFlow takes 5 s to import and Beam 2 s: --help and a bad flag do not wait for them.
    with importing():
        from pipelines.running.first_look import look_first

    look_first(config, beam_argv)
    options = read_beam_flags(type(config), beam_argv, is_alone=is_alone)
    with importing():
        from pipelines.running.dataflow import check_dataflow

    check_dataflow(config, options)
    return quietly(config, lambda: run(config, beam_argv))


def read_beam_flags(
    config_class: type[Any], beam_argv: Sequence[str], *, is_alone: bool
) -> "PipelineOptions":
    """Imports Beam; checks its flags, and reads them.

    Args:
        config_class: The flags that are not Beam's.
        beam_argv: Beam's flags.
        is_alone: Whether the process is this program's own.

    Raises:
        FlagError: If a flag is none of Beam's either.
    """
    # In a process of others they may want all of Beam; so does a run that goes elsewhere.
    if is_alone and not any(word.startswith(("--runner", "--beam_plugin")) for word in beam_argv):
        import_beam_for_here()
    check_beam_flags(config_class, beam_argv)
    with importing():
        from apache_beam.options.pipeline_options import PipelineOptions
    return PipelineOptions(list(beam_argv))


def _write_metrics(config: RunConfig, exit_code: int) -> None:
    if config.metrics_file is not None:
        from pipelines.running.metrics_file import write_metrics  # Beam.

        write_metrics(config, exit_code)
