"""python -m pipelines.refresh: a new run from the one before, computing only what changed."""

from collections.abc import Sequence

from pipelines.classify import class_outputs
from pipelines.cli.outcome import Outcome
from pipelines.cli.program import Program
from pipelines.cli.refresh_flags import RefreshConfig
from pipelines.embed import embedding_outputs
from pipelines.running.program import run_program
from transforms.machine.garbage import exit_at_once, importing

DESCRIPTION = """\
Keeps the vectors or labels of a collection up to date, for a scheduler: builds on the newest run
under --output_root, computes only images that are new or changed, drops those that are gone, and
publishes a new dated run beside the old ones. LATEST in --output_root names the run to read.

  python -m pipelines.refresh --input photos/ --model feature_vector_model/ \\
      --output_root vectors/ --keep 7 --resume
  python -m pipelines.refresh --program classify --input photos/ --model classifier/ \\
      --output_root labels/ --canaries canaries/"""


def run(config: RefreshConfig, beam_argv: Sequence[str]) -> Outcome:
    """Refreshes; returns the outcome."""
    with importing():  # Beam: --help does not wait for it.
        from pipelines.running.destination import destination_of
        from pipelines.running.run import run_into

    make_outputs = embedding_outputs if config.program == "embed" else class_outputs
    return run_into(
        destination_of(config), config, beam_argv, program=config.program, make_outputs=make_outputs
    )


PROGRAM = Program("refresh", RefreshConfig, DESCRIPTION)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    return run_program(argv, PROGRAM, run)


if __name__ == "__main__":
    exit_at_once(main())
