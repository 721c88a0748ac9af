"""python -m pipelines.evaluate: how good the answers of a run are, by labels."""

from collections.abc import Sequence

from pipelines.cli.evaluate_flags import EvaluateConfig
from pipelines.cli.outcome import Outcome
from pipelines.cli.program import Program, run_program
from transforms.machine.garbage import exit_at_once

DESCRIPTION = """\
Judges a published run by labels. Of pipelines.classify: accuracy, precision and recall of each
class, what is taken for what, whether scores are what they say. Of pipelines.embed: whether the
nearest images are of the same class, without training anything. Prints a summary and writes a page
with the worst mistakes. Changes no run.

  python -m pipelines.evaluate labels/ --labels_csv truth.csv
  python -m pipelines.evaluate vectors/                          # photos/CLASS/NAME.jpg
  python -m pipelines.evaluate labels/ --label_from species --assert_accuracy_at_least 0.9
  python -m pipelines.evaluate labels/ --labels_csv truth.csv --compare labels_of_new_model/"""

_EPILOG = """\
exit codes: 0 judged; 1 less accurate than --assert_accuracy_at_least; 2 bad flag, run or label"""


PROGRAM = Program(
    "evaluate",
    EvaluateConfig,
    DESCRIPTION,
    usage="RUN [--labels_csv URI | --label_from FROM] [flags]",
    epilog=_EPILOG,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    return run_program(argv, PROGRAM, _evaluate)


def _evaluate(config: EvaluateConfig) -> Outcome:
    from pipelines.explore.evaluate_run import evaluate_run  # Beam: --help does without.

    return evaluate_run(config)


if __name__ == "__main__":
    exit_at_once(main())
