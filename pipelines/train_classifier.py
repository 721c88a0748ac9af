"""python -m pipelines.train_classifier: vectors and labels in, a classifier of images out."""

import os
import shlex
import tempfile
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipelines.cli.program import run_program
from pipelines.cli.train_flags import TrainConfig
from pipelines.cli.wording import say
from transforms.errors import RunError
from transforms.machine.garbage import exit_at_once, importing

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    import numpy as np
    import numpy.typing as npt

    from transforms.runs.embedding_runs import EmbeddingRuns
    from transforms.training.class_metrics import ClassMetrics
    from transforms.training.linear_head import HeadSettings, TrainedHead
    from transforms.training.rows import TrainingRows

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

_SMALLEST_BATCH, _LARGEST_BATCH, _BATCHES_AN_EPOCH = 64, 2048, 50
_MEASURED_ROWS = 4096


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    return run_program(
        argv,
        program="train_classifier",
        config_class=TrainConfig,
        description=DESCRIPTION,
        usage=_USAGE,
        epilog=_EPILOG,
        run=run,
    )


def run(config: TrainConfig) -> int:
    """Trains and exports; returns the exit code.

    Raises:
        UserError: If a flag, a run, the labels or the model cannot work.
        RunError: If the classifier is not accurate enough, or not what the vectors promise.
    """
    with importing():  # Beam and TensorFlow: --help does not wait for them.
        from rich.console import Console

        from pipelines.training.classifier_export import (
            Files,
            compare_logits,
            compare_with_vectors,
            export_classifier,
        )
        from pipelines.training.fine_tuning import tune
        from pipelines.training.labelled_runs import gather, label_runs
        from pipelines.training.train_report import describe_accuracy, print_metrics
        from pipelines.training.tunable_model import load_tunable_model
        from transforms.machine.tensorflow_runtime import configure_tensorflow
        from transforms.models.image_model import ImageModel
        from transforms.models.reusable_model import check_new_directory
        from transforms.runs.embedding_runs import open_embedding_runs
        from transforms.runs.model_of_run import find_model_of_run, load_model_of_run
        from transforms.training.confusion_picture import draw_confusion
        from transforms.training.image_classifier import Head

    configure_tensorflow()
    console = Console(highlight=False)
    output = check_new_directory(config.output)
    runs = open_embedding_runs(config.embeddings)
    body = find_model_of_run(runs, config.model)
    tunable = load_tunable_model(body, config.model_arguments) if config.fine_tune else None
    labelled = label_runs(runs, config)
    parent = os.path.dirname(output)
    os.makedirs(parent, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".train_classifier.", dir=parent) as scratch:
        rows = gather(labelled, scratch, console)
        settings = _settings(config, rows.training.rows)
        head = _train(rows, settings, console)
        metrics = _measure(rows, head, config.activation)
        training = labelled.training_counts
        kernel, bias, network, tuned = head.kernel, head.bias, None, None
        if tunable:
            say("linear", describe_accuracy(metrics))
            tuned = tune(config, tunable, labelled, head, rows.standardization, scratch, console)
            kernel, bias, network = tuned.head.kernel, tuned.head.bias, tunable.network
            metrics, training = tuned.head.metrics, tuned.training
        print_metrics(console, metrics, training)
        say("accuracy", describe_accuracy(metrics))
        wanted = config.assert_accuracy_at_least
        if wanted is not None and metrics.accuracy < wanted:
            raise RunError(
                f"the accuracy is {metrics.accuracy:.4f}, --assert_accuracy_at_least is {wanted:g};"
                " nothing was written"
            )
        exported = Head(
            kernel,
            bias,
            rows.standardization.deviation,
            config.l2,
            config.activation,
            body.normalize,
        )

        def compare(model: ImageModel) -> str:
            if tuned is None:
                return compare_with_vectors(model, runs, body, exported)
            logits = tuned.head.logits(tuned.sample).numpy()
            return compare_logits(model(tuned.sample), logits, "the trained model")

        report = _describe(config, runs, settings, metrics, training, head)
        if tuned:
            report["fine_tune"] = tuned.notes
        compared = export_classifier(
            body,
            network or load_model_of_run(body),
            exported,
            Files(metrics.names, report, draw_confusion(metrics)),
            output,
            scratch,
            compare,
        )
    say("compared", compared)
    say("written", f"{config.output}, with metrics.json and confusion.svg")
    flags = ["--input", "photos/", "--model", config.output, "--output", "labels/"]
    say("go on", shlex.join(["python", "-m", "pipelines.classify", *flags]))
    return 0


def _settings(config: TrainConfig, training_rows: int) -> "HeadSettings":
    from transforms.training.linear_head import HeadSettings

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
    from transforms.training.linear_head import Epoch, train_head

    started = time.perf_counter()
    with console.status("training") as status:

        def show(epoch: Epoch) -> None:
            status.update(
                f"pass {epoch.number} of at most {settings.epochs}: loss {epoch.loss:.4f}, "
                f"validation loss {epoch.validation_loss:.4f}"
            )

        head = train_head(rows.training, rows.validation, rows.standardization, settings, show)
    best = head.best
    say(
        "trained",
        f"{len(head.epochs)} passes in {time.perf_counter() - started:.1f} s, the best is number "
        f"{best.number}: loss {best.loss:.4f}, validation loss {best.validation_loss:.4f}",
    )
    print()
    return head


def _measure(rows: "TrainingRows", head: "TrainedHead", activation: str) -> "ClassMetrics":
    from transforms.training.class_metrics import measure

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


if __name__ == "__main__":
    exit_at_once(main())
