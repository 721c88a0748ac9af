"""The work of train_classifier: read, train, measure, export, report.

The program imports this module late, and this module all that is slow to import.
"""

import dataclasses
import os
import shlex
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console

from pipelines.cli.outcome import Outcome
from pipelines.cli.program import EXIT_FAILED
from pipelines.cli.train_flags import TrainConfig
from pipelines.cli.wording import say
from pipelines.training.classifier_export import (
    Files,
    compare_logits,
    compare_with_vectors,
    export_classifier,
)
from pipelines.training.fine_tuning import tune
from pipelines.training.head_training import MeasuredHead, fit_head
from pipelines.training.labelled_runs import LabelledRuns
from pipelines.training.train_report import describe_accuracy, print_metrics
from pipelines.training.tunable_model import TunableModel, load_tunable_model
from transforms.errors import OutputError, brief
from transforms.machine.tensorflow_runtime import configure_tensorflow
from transforms.models.image_model import ImageModel
from transforms.models.reusable_model import ReusableModel
from transforms.runs.embedding_runs import EmbeddingRuns
from transforms.runs.model_of_run import (
    ModelOfRun,
    check_range_of_run,
    find_model_of_run,
    load_model_of_run,
)
from transforms.training.class_metrics import ClassMetrics
from transforms.training.confusion_picture import draw_confusion
from transforms.training.image_classifier import Head


class TrainedClassifier(NamedTuple):
    """What training came to: a head on the model as it was, or on the model trained with it.

    Attributes:
        network: The model that was trained further; None if it is as it was, and not loaded yet.
        head: Head that makes logits of the model's vectors.
        metrics: Metrics of model and head on the validation images.
        training_counts: int64 [classes], images trained with.
        notes: Further content of metrics.json, of fine-tuning; empty without it.
        compare: Callback, given the classifier as it was written; raises RunError if it is not what
            was trained, and says on a line what it found.
    """

    network: ReusableModel | None
    head: Head
    metrics: ClassMetrics
    training_counts: npt.NDArray[np.int64]
    notes: dict[str, Any]
    compare: Callable[[ImageModel], str]


def train(config: TrainConfig, labelled: LabelledRuns, output: str) -> Outcome:
    """Trains a classifier and writes it, whole or not at all, and returns the outcome.

    Args:
        config: The flags.
        labelled: The vectors, with the classes of their rows.
        output: Directory to write, absolute, as check_new_directory returns it.

    Raises:
        UserError: If a flag or the model cannot work.
        RunError: If the classifier is not what the vectors promise.
    """
    configure_tensorflow()
    console = Console(highlight=False)
    # All that can be refused is refused before anything takes long.
    runs = labelled.runs
    body = find_model_of_run(runs, config.model)
    check_range_of_run(body, runs)
    tunable = load_tunable_model(body, config.model_arguments) if config.fine_tune else None
    with _beside(output) as scratch:
        linear = fit_head(config, labelled, scratch, console)
        if tunable is None:
            classifier = _on_the_model_as_it_was(config, body, labelled, linear)
        else:
            say("linear", describe_accuracy(linear.metrics))
            classifier = _on_the_tuned_model(config, tunable, labelled, linear, scratch, console)
        _report(classifier, console)
        report = describe_training(config, runs, linear, classifier)
        if error := _judge(classifier, config.assert_accuracy_at_least):
            return Outcome(facts=report, error=error, exit_code=EXIT_FAILED)
        compared = export_classifier(
            body,
            classifier.network or load_model_of_run(body),
            classifier.head,
            Files(classifier.metrics.names, report, draw_confusion(classifier.metrics)),
            output,
            scratch,
            classifier.compare,
        )
    say("compared", compared)
    say("written", f"{config.output}, with metrics.json and confusion.svg")
    flags = [*_more_images(runs), "--model", config.output, "--output", "labels/"]
    say("go on", shlex.join(["python", "-m", "pipelines.classify", *flags]))
    return Outcome(facts={**report, "compared": compared, "output": output})


def _beside(output: str) -> tempfile.TemporaryDirectory[str]:
    """Makes a directory for what is needed meanwhile: as large as the vectors."""
    parent = os.path.dirname(output)
    try:
        os.makedirs(parent, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix=".train_classifier.", dir=parent)
    except OSError as error:
        raise OutputError(f"cannot write {output}: {brief(error)}") from error


def _more_images(runs: EmbeddingRuns) -> list[str]:
    """Returns flags that read more images like those of the vectors, which may be crops."""
    if not runs.box_names:
        return ["--input", "photos/"]
    given = runs.record["config"]
    source = ["--manifest", "boxes.csv"] if given["manifest"] else ["--input", "photos/"]
    return [*source, "--boxes", given["boxes"]]


def _on_the_model_as_it_was(
    config: TrainConfig, body: ModelOfRun, labelled: LabelledRuns, linear: MeasuredHead
) -> TrainedClassifier:
    """Returns the head that is there already; it is checked against the stored vectors."""
    head = _head(config, body, linear, linear.trained.kernel, linear.trained.bias)

    def compare(model: ImageModel) -> str:
        return compare_with_vectors(model, labelled.runs, body, head)

    counts = labelled.training_counts
    return TrainedClassifier(None, head, linear.metrics, counts, {}, compare)


def _on_the_tuned_model(
    config: TrainConfig,
    tunable: TunableModel,
    labelled: LabelledRuns,
    linear: MeasuredHead,
    scratch: str,
    console: Console,
) -> TrainedClassifier:
    """Trains model and head on; both are checked against their own answers in training."""
    tuned = tune(
        config, tunable, labelled, linear.trained, linear.standardization, scratch, console
    )
    head = _head(config, tunable.body, linear, tuned.head.kernel, tuned.head.bias)

    def compare(model: ImageModel) -> str:
        logits = tuned.head.logits(tuned.sample).numpy()
        return compare_logits(model(tuned.sample), logits, "the trained model")

    notes = {"fine_tune": tuned.notes}
    return TrainedClassifier(
        tunable.network, head, tuned.head.metrics, tuned.training, notes, compare
    )


def _head(
    config: TrainConfig,
    body: ModelOfRun,
    linear: MeasuredHead,
    kernel: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
) -> Head:
    deviation = linear.standardization.deviation
    return Head(kernel, bias, deviation, config.l2, config.activation, body.normalize)


def _report(classifier: TrainedClassifier, console: Console) -> None:
    """Prints what the classifier is worth."""
    metrics = classifier.metrics
    print_metrics(console, metrics, classifier.training_counts)
    say("accuracy", describe_accuracy(metrics))


def _judge(classifier: TrainedClassifier, least_accuracy: float | None) -> str | None:
    """Says that the classifier is worth too little, if it is."""
    accuracy = classifier.metrics.accuracy
    if least_accuracy is None or accuracy >= least_accuracy:
        return None
    return (
        f"the accuracy is {accuracy:.4f}, --assert_accuracy_at_least is {least_accuracy:g}; "
        "nothing was written"
    )


def describe_training(
    config: TrainConfig,
    runs: EmbeddingRuns,
    linear: MeasuredHead,
    classifier: TrainedClassifier,
) -> dict[str, Any]:
    """Returns the content of metrics.json; the same for the same vectors and flags.

    Args:
        config: The flags.
        runs: The vectors.
        linear: The head that was trained on them.
        classifier: Result of the training.
    """
    measured = classifier.metrics.to_dict()
    counts = classifier.training_counts.tolist()
    for entry, count in zip(measured["classes"], counts, strict=True):
        entry["training_rows"] = count
    record = runs.record
    return {
        **measured,
        "split": {"by": config.split_by, "validation_fraction": config.validation_fraction},
        "labels": config.labels_csv or config.label_from,
        "training": {
            **dataclasses.asdict(linear.settings),
            "best": linear.trained.best.number,
            "passes": [epoch._asdict() for epoch in linear.trained.epochs],
        },
        "embeddings": [
            {"directory": run.directory, "run_id": run.record["run_id"]} for run in runs.runs
        ],
        "model": {name: record["model"][name] for name in ("handle", "fingerprint")},
        "preprocessing": record["preprocessing"],
        **classifier.notes,
    }
