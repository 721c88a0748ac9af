"""python -m pipelines.one_pass: several runs over the same images, which are read once."""

from collections.abc import Sequence
from typing import Any

from pipelines.classify import class_outputs
from pipelines.cli.one_pass_flags import OnePassConfig, RunFile, naming, read_run_files
from pipelines.cli.outcome import Outcome
from pipelines.cli.parser import parse_flags
from pipelines.cli.program import Program, called_as, quietly, report_errors, run_reporting
from pipelines.embed import embedding_outputs
from transforms.machine.garbage import exit_at_once, importing
from transforms.machine.utf8 import restart_in_utf8

DESCRIPTION = """\
Runs embed, classify and refresh several times over the same images, which are read, hashed and
decoded once for all of them. Each run is described by a file of flags, as --config of its program
takes it, with "program: embed" or "program: classify"; one with output_root is a refresh. Each has
an output of its own, the same that it would write alone, and is published by itself.

  python -m pipelines.one_pass --config vectors.yaml labels.yaml"""

USAGE = "--config FILE FILE ... [flags] [@file]"

_MAKERS: dict[str, Any] = {"embed": embedding_outputs, "classify": class_outputs}

PROGRAM = Program("one_pass", OnePassConfig, DESCRIPTION, USAGE)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    if argv is None:
        restart_in_utf8()

    def work() -> int:
        config, beam_argv = parse_flags(
            OnePassConfig,
            argv,
            program=called_as(PROGRAM.name),
            description=DESCRIPTION,
            usage=USAGE,
        )
        files: list[RunFile] = []
        return run_reporting(
            PROGRAM.name,
            config,
            lambda: _check_and_run(config, beam_argv, files, is_alone=argv is None),
            lambda exit_code: _write_metrics(config, files, exit_code),
        )

    return report_errors(PROGRAM.name, work, drops_on=OSError)


def _check_and_run(
    config: OnePassConfig, beam_argv: Sequence[str], files: list[RunFile], *, is_alone: bool
) -> Outcome:
    """Checks all runs, and runs them; puts them into files, for whoever tells of the end."""
    files += read_run_files(config.config)
    # TensorFlow takes 5 s to import and Beam 2 s: --help and a bad flag do not wait for them.
    with importing():
        from pipelines.running.first_look import look_first
        from pipelines.running.metrics_place import place_among
        from pipelines.running.program import read_beam_flags
    for file in files:
        with naming(file):
            look_first(file.config, beam_argv)
    place_among(config.metrics_file, [file.place for file in files])
    options = read_beam_flags(OnePassConfig, beam_argv, is_alone=is_alone)
    with importing():
        from pipelines.running.dataflow import check_dataflow
        from pipelines.running.one_pass import run_pass
    for file in files:
        with naming(file):
            check_dataflow(file.config, options)
    return quietly(
        config,
        lambda: run_pass(
            config,
            files,
            beam_argv,
            outputs_of=_MAKERS.__getitem__,
            write_metrics=lambda exit_code: _write_metrics(config, files, exit_code),
        ),
    )


def _write_metrics(config: OnePassConfig, files: Sequence[RunFile], exit_code: int) -> None:
    if config.metrics_file is not None and files:
        from pipelines.running.metrics_file import write_metrics_among  # Beam.

        write_metrics_among(config.metrics_file, [file.place for file in files], exit_code)


if __name__ == "__main__":
    exit_at_once(main())
