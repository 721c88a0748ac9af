"""python -m pipelines.train_classifier: vectors and labels in, a classifier of images out."""

from collections.abc import Sequence

from pipelines.cli.outcome import Outcome
from pipelines.cli.program import Program, run_program
from pipelines.cli.train_flags import TrainConfig
from transforms.machine.garbage import exit_at_once, importing

DESCRIPTION = """\
Trains a linear classifier on the vectors of pipelines.embed, without computing any of them again,
and writes it with the model that made them as one SavedModel for pipelines.classify. With
--fine_tune it then trains both together, on the images.

  python -m pipelines.embed --input photos/ --model feature_vector_model/ --output vectors/
  python -m pipelines.train_classifier --embeddings vectors/ --output classifier/
  python -m pipelines.classify --input more_photos/ --model classifier/ --output labels/"""

_USAGE = "--embeddings RUN --output DIR [flags] [@file]"
_EPILOG = """\
--output is the model, with labels, image_model.json (the flags it wants), metrics.json and
confusion.svg beside it

exit codes: 0 written; 1 less accurate than --assert_accuracy_at_least, or the written model does
not give what it should; 2 bad flag, run, label or model"""


PROGRAM = Program("train_classifier", TrainConfig, DESCRIPTION, usage=_USAGE, epilog=_EPILOG)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    return run_program(argv, PROGRAM, run)


def run(config: TrainConfig) -> Outcome:
    """Trains and exports; returns the outcome.

    Raises:
        UserError: If a flag, a run, the labels or the model cannot work.
        RunError: If the classifier is not what the vectors promise.
    """
    # A misspelt path or label does not wait for Beam and TensorFlow, nor does --help.
    from pipelines.training.labelled_runs import label_runs
    from transforms.files.new_directory import check_new_directory
    from transforms.runs.embedding_runs import open_embedding_runs, require_saved_model

    output = check_new_directory(config.output)
    runs = open_embedding_runs(config.embeddings)
    require_saved_model(runs)
    labelled = label_runs(runs, config)
    with importing():
        from pipelines.training.train import train

    return train(config, labelled, output)


if __name__ == "__main__":
    exit_at_once(main())
