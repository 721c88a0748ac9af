"""python -m pipelines.train_classifier: vectors and labels in, a classifier of images out."""

from collections.abc import Sequence

from pipelines.cli.parser import make_parser, refuse_in_one_line
from pipelines.cli.program import report_errors
from pipelines.cli.train_flags import TrainConfig
from transforms.machine.garbage import exit_at_once, importing
from transforms.machine.noise import quiet_libraries

DESCRIPTION = """\
Trains a linear classifier on the vectors of pipelines.embed, without computing any of them again,
and writes it with the model that made them as one SavedModel for pipelines.classify. With
--fine_tune it then trains both together, on the images.

  python -m pipelines.embed --input photos/ --model feature_vector_model/ --output vectors/
  python -m pipelines.train_classifier --embeddings vectors/ --output classifier/
  python -m pipelines.classify --input more_photos/ --model classifier/ --output labels/"""

_USAGE = "--embeddings RUN --output DIR"
_EPILOG = """\
--output is the model, with labels, image_model.json (the flags it wants), metrics.json and
confusion.svg beside it

exit codes: 0 written; 1 less accurate than --assert_accuracy_at_least, or the written model does
not give what it should; 2 bad flag, run, label or model"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""

    def work() -> int:
        config = _parse(argv)
        with quiet_libraries():
            return run(config)

    return report_errors("train_classifier", work)


def _parse(argv: Sequence[str] | None) -> TrainConfig:
    parser = make_parser(
        TrainConfig,
        program="python -m pipelines.train_classifier",
        description=DESCRIPTION,
        usage=_USAGE,
        epilog=_EPILOG,
    )
    refuse_in_one_line(parser)
    values = vars(parser.parse_args(argv))
    repeatable = {name: tuple(values[name]) for name in ("embeddings", "model_arguments")}
    return TrainConfig(**{**values, **repeatable})


def run(config: TrainConfig) -> int:
    """Trains and exports; returns the exit code.

    Raises:
        UserError: If a flag, a run, the labels or the model cannot work.
        RunError: If the classifier is not accurate enough, or not what the vectors promise.
    """
    with importing():  # Beam and TensorFlow: --help does not wait for them.
        from pipelines.training.train import train

    train(config)
    return 0


if __name__ == "__main__":
    exit_at_once(main())
