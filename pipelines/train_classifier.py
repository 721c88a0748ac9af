"""python -m pipelines.train_classifier: vectors and labels in, a classifier of images out."""

import os
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipelines.flags import make_parser, refuse_in_one_line
from pipelines.noise import quiet_libraries
from pipelines.program import report_errors
from pipelines.train_options import PARENT_DIR, TrainConfig
from transforms.errors import RunError

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    import numpy as np
    import numpy.typing as npt

    from transforms.class_labels import ClassLabels
    from transforms.class_metrics import ClassMetrics
    from transforms.embedding_runs import EmbeddingRuns
    from transforms.linear_head import HeadSettings, TrainedHead
    from transforms.training_rows import TrainingRows

DESCRIPTION = """\
Trains a linear classifier on the vectors of pipelines.embed, without computing any of them again,
and writes it with the model that made them as one SavedModel for pipelines.classify.

  python -m pipelines.embed --input photos/ --model feature_vector_model/ --output vectors/
  python -m pipelines.train_classifier --embeddings vectors/ --output classifier/
  python -m pipelines.classify --input more_photos/ --model classifier/ --output labels/"""

_USAGE = "--embeddings RUN --output DIR"
_EPILOG = """\
--output is the model, with labels, image_model.json (the flags it wants), metrics.json and
confusion.svg beside it

exit codes: 0 written; 1 less accurate than --assert_accuracy_at_least, or the written model does
not give what the vectors do; 2 bad flag, run, label or model"""

_SMALLEST_BATCH, _LARGEST_BATCH, _BATCHES_AN_EPOCH = 64, 2048, 50
_MEASURED_ROWS = 4096


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
    return TrainConfig(**{**values, "embeddings": tuple(values["embeddings"])})


def run(config: TrainConfig) -> int:
    """Trains and exports; returns the exit code.

    Raises:
        UserError: If a flag, a run, the labels or the model cannot work.
        RunError: If the classifier is not accurate enough, or not what the vectors promise.
    """
    # Beam and TensorFlow: --help does not wait for them.
    from rich.console import Console

    from pipelines.classifier_export import Files, export_classifier, find_body
    from pipelines.train_report import describe_accuracy, print_metrics
    from transforms.confusion_picture import draw_confusion
    from transforms.embedding_runs import open_embedding_runs
    from transforms.hash_split import check_split
    from transforms.image_classifier import Head
    from transforms.reusable_model import check_new_directory
    from transforms.tensorflow_runtime import configure_tensorflow

    configure_tensorflow()
    console = Console(highlight=False)
    output = check_new_directory(config.output)
    runs = open_embedding_runs(config.embeddings)
    body = find_body(runs, config.model)
    labels, is_validation = _label(runs, config)
    training = labels.select(labels.is_labelled & ~is_validation).count()
    validation = labels.select(labels.is_labelled & is_validation).count()
    check_split(labels.names, training, validation, config.validation_fraction)
    parent = os.path.dirname(output)
    os.makedirs(parent, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".train_classifier.", dir=parent) as scratch:
        rows = _gather(runs, labels, is_validation, scratch, console)
        settings = _settings(config, rows.training.rows)
        head = _train(rows, settings, console)
        metrics = _measure(rows, head, config.activation)
        print_metrics(console, metrics, training)
        _say("accuracy", describe_accuracy(metrics))
        wanted = config.assert_accuracy_at_least
        if wanted is not None and metrics.accuracy < wanted:
            raise RunError(
                f"the accuracy is {metrics.accuracy:.4f}, --assert_accuracy_at_least is {wanted:g};"
                " nothing was written"
            )
        compared = export_classifier(
            runs,
            body,
            Head(
                head.kernel,
                head.bias,
                rows.standardization.deviation,
                config.l2,
                config.activation,
                body.normalize,
            ),
            Files(
                labels.names,
                _describe(config, runs, settings, metrics, training, head),
                draw_confusion(metrics),
            ),
            output,
            scratch,
        )
    _say("compared", compared)
    _say("written", f"{config.output}, with metrics.json and confusion.svg")
    flags = ["--input", "photos/", "--model", config.output, "--output", "labels/"]
    _say("go on", shlex.join(["python", "-m", "pipelines.classify", *flags]))
    return 0


def _label(
    runs: "EmbeddingRuns", config: TrainConfig
) -> tuple["ClassLabels", "npt.NDArray[np.bool_]"]:
    """Reads the labels of all rows, and which rows validate."""
    from pipelines.train_report import describe_classes
    from transforms.class_labels import (
        encode_labels,
        labels_of_column,
        labels_of_csv,
        labels_of_directories,
    )
    from transforms.embedding_runs import check_unique
    from transforms.hash_split import is_validation
    from transforms.schemas import IMAGE_ID, URI

    by_directory = config.label_from == PARENT_DIR
    column = URI if by_directory else config.label_from
    table = runs.read_columns(list(dict.fromkeys([IMAGE_ID, column, config.split_by])))
    _say("vectors", f"{table.num_rows:,} of {', '.join(run.directory for run in runs.runs)}")
    check_unique(table[IMAGE_ID])
    if config.labels_csv is not None:
        names, note = labels_of_csv(config.labels_csv, table[IMAGE_ID])
        if note:
            _say("ignored", note)
    elif by_directory:
        names = labels_of_directories(table[URI])
    else:
        names = labels_of_column(table[column])
    labels = encode_labels(names, exclusive=config.activation == "softmax")
    if without := int((~labels.is_labelled).sum()):
        first = table[IMAGE_ID][int(labels.is_labelled.argmin())]
        _say("ignored", f"{without:,} images have no label, such as {first}")
    _say("classes", describe_classes(labels.names, labels.count()))
    return labels, is_validation(table[config.split_by], config.validation_fraction)


def _gather(
    runs: "EmbeddingRuns",
    labels: "ClassLabels",
    is_validation: "npt.NDArray[np.bool_]",
    scratch: str,
    console: Any,  # noqa: ANN401 - rich's, which is not loaded yet
) -> "TrainingRows":
    from rich.progress import BarColumn, Progress, TextColumn

    from transforms.training_rows import gather_rows

    started = time.perf_counter()
    columns = (TextColumn("reading {task.completed:,.0f}/{task.total:,.0f} vectors"), BarColumn())
    progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with progress:
        task = progress.add_task("vectors", total=len(is_validation))
        rows = gather_rows(
            runs, labels, is_validation, scratch, lambda count: progress.advance(task, count)
        )
    _say(
        "split",
        f"{rows.training.rows:,} to train, {rows.validation.rows:,} to validate, of "
        f"{rows.training.dim:,} numbers; read in {time.perf_counter() - started:.1f} s",
    )
    return rows


def _settings(config: TrainConfig, training_rows: int) -> "HeadSettings":
    from transforms.linear_head import HeadSettings

    fitting = training_rows // _BATCHES_AN_EPOCH
    return HeadSettings(
        activation=config.activation,
        l2=config.l2,
        label_smoothing=config.label_smoothing,
        class_weights=config.class_weights,
        epochs=config.epochs,
        patience=config.patience,
        batch_size=config.batch_size or min(max(fitting, _SMALLEST_BATCH), _LARGEST_BATCH),
        learning_rate=config.learning_rate,
        seed=config.seed,
    )


def _train(
    rows: "TrainingRows",
    settings: "HeadSettings",
    console: Any,  # noqa: ANN401 - rich's, which is not loaded yet
) -> "TrainedHead":
    from transforms.linear_head import Epoch, train_head

    started = time.perf_counter()
    with console.status("training") as status:

        def show(epoch: Epoch) -> None:
            status.update(
                f"pass {epoch.number} of at most {settings.epochs}: loss {epoch.loss:.4f}, "
                f"validation loss {epoch.validation_loss:.4f}"
            )

        head = train_head(rows.training, rows.validation, rows.standardization, settings, show)
    best = head.best
    _say(
        "trained",
        f"{len(head.epochs)} passes in {time.perf_counter() - started:.1f} s, the best is number "
        f"{best.number}: loss {best.loss:.4f}, validation loss {best.validation_loss:.4f}\n",
    )
    return head


def _measure(rows: "TrainingRows", head: "TrainedHead", activation: str) -> "ClassMetrics":
    from transforms.class_metrics import measure

    batches = rows.validation.batches(_MEASURED_ROWS)
    answers = ((head.logits(batch.vectors), batch.targets) for batch in batches)
    return measure(rows.validation.labels.names, answers, activation)


def _describe(
    config: TrainConfig,
    runs: "EmbeddingRuns",
    settings: "HeadSettings",
    metrics: "ClassMetrics",
    training: "npt.NDArray[np.int64]",
    head: "TrainedHead",
) -> dict[str, Any]:
    """Returns the content of metrics.json; the same for the same vectors and flags."""
    import dataclasses

    measured = metrics.to_dict()
    for entry, count in zip(measured["classes"], training.tolist(), strict=True):
        entry["training_rows"] = count
    record = runs.record
    return {
        **measured,
        "split": {"by": config.split_by, "validation_fraction": config.validation_fraction},
        "labels": config.labels_csv or config.label_from,
        "training": {
            **dataclasses.asdict(settings),
            "best": head.best.number,
            "passes": [epoch._asdict() for epoch in head.epochs],
        },
        "embeddings": [
            {"directory": run.directory, "run_id": run.record["run_id"]} for run in runs.runs
        ],
        "model": {name: record["model"][name] for name in ("handle", "fingerprint")},
        "preprocessing": record["preprocessing"],
    }


def _say(name: str, text: str) -> None:
    print(f"{name:<9} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
