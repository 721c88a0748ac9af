"""train_classifier --fine_tune: the model itself trained together with its head, on the images."""

import dataclasses
import math
import time
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from pipelines.cli.counting_bar import counting_bar
from pipelines.cli.train_flags import TrainConfig
from pipelines.training.labelled_runs import LabelledRuns
from pipelines.training.train_report import say
from pipelines.training.tunable_model import TunableModel
from transforms.images.preprocessor import Preprocessor
from transforms.runs.model_of_run import ModelOfRun, unit_policy
from transforms.training.encoded_file import EncodedFile
from transforms.training.fine_tune import (
    FineTuned,
    FineTuneEpoch,
    FineTuneSettings,
    fine_tune,
)
from transforms.training.hash_split import check_split
from transforms.training.images import TrainingImages, gather_images
from transforms.training.linear_head import TrainedHead
from transforms.vectors.standardization import Standardization

_HEAD_SHARE = 0.1
"""Share of the rate that the head was trained with alone; it is near its best when it goes on."""

_SAMPLE = 32
"""Images on which the written classifier is compared with the trained one."""


class TunedClassifier(NamedTuple):
    """What fine-tuning came to.

    Attributes:
        head: The head, and what the passes reached.
        training: int64 [classes], images trained with.
        sample: float32 [images, height, width, 3] in [0, 1], a few validation images.
        notes: Part of metrics.json; the same for the same images and flags.
    """

    head: FineTuned
    training: npt.NDArray[np.int64]
    sample: npt.NDArray[np.float32]
    notes: dict[str, Any]


def tune(
    config: TrainConfig,
    model: TunableModel,
    labelled: LabelledRuns,
    head: TrainedHead,
    standardization: Standardization,
    scratch: str,
    console: Console,
) -> TunedClassifier:
    """Reads the images, and trains model and head on.

    Raises:
        UserError: If too many images are gone, or the model cannot be trained.
        RunError: If there is not enough memory.
    """
    settings = FineTuneSettings(
        activation=config.activation,
        l2=config.l2,
        label_smoothing=config.label_smoothing,
        class_weights=config.class_weights,
        epochs=config.fine_tune_epochs,
        patience=config.patience,
        batch_size=config.fine_tune_batch_size,
        body_learning_rate=config.body_learning_rate,
        head_learning_rate=_HEAD_SHARE * config.learning_rate,
        augmentation=config.augmentation,
        seed=config.seed,
    )
    with EncodedFile(scratch) as file:
        images = _gather(labelled, model.body, file, console)
        training, validation = (part.labels.count() for part in images[:2])
        check_split(images.training.labels.names, training, validation, config.validation_fraction)
        with _EpochBar(images, settings, console) as bar:
            tuned = fine_tune(
                model.network,
                head,
                images.training,
                images.validation,
                standardization,
                normalize=model.body.normalize,
                settings=settings,
                on_images=bar.advance,
                on_epoch=bar.end_epoch,
            )
        sample = next(images.validation.batches(_SAMPLE)).images.numpy()
    _say_what_it_came_to(tuned)
    notes = {
        **dataclasses.asdict(settings),
        "model_arguments": model.arguments,
        "images": images.training.rows + images.validation.rows,
        "lost_images": len(images.lost),
        "best": tuned.best.number,
        "passes": [_to_dict(epoch) for epoch in tuned.epochs],
    }
    return TunedClassifier(tuned, training, sample, notes)


def _gather(
    labelled: LabelledRuns, body: ModelOfRun, file: EncodedFile, console: Console
) -> TrainingImages:
    started = time.perf_counter()
    with counting_bar("reading", len(labelled.is_validation), "images", console) as advance:
        images = gather_images(
            labelled.runs,
            labelled.labels,
            labelled.is_validation,
            Preprocessor(unit_policy(body)),
            file,
            advance,
        )
    say(
        "images",
        f"{images.training.rows:,} to train, {images.validation.rows:,} to validate; "
        f"{images.size_bytes / 1e6:,.1f} MB read again in {time.perf_counter() - started:.1f} s",
    )
    if images.lost:
        say(
            "left out",
            f"{len(images.lost):,} images that are gone or have changed since they were embedded, "
            f"such as {images.lost[0]}",
        )
    return images


class _EpochBar:
    """A line an epoch, and on a terminal a bar within it."""

    def __init__(
        self, images: TrainingImages, settings: FineTuneSettings, console: Console
    ) -> None:
        self._epochs = settings.epochs
        self._total = images.training.rows + images.validation.rows
        columns = (
            TextColumn("{task.description}: {task.completed:,.0f}/{task.total:,.0f} images"),
            BarColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self._task = self._progress.add_task("start", total=images.validation.rows)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, count: int) -> None:
        self._progress.advance(self._task, count)

    def end_epoch(self, epoch: FineTuneEpoch) -> None:
        told = (
            f"validation loss {epoch.validation_loss:.4f}, accuracy {epoch.validation_accuracy:.4f}"
        )
        if epoch.loss is None:
            say("start", told)
        else:
            say(
                f"epoch {epoch.number}",
                f"loss {epoch.loss:.4f}, {told}; {epoch.seconds:.1f} s, "
                f"{epoch.images / epoch.seconds:,.1f} images/s",
            )
        self._progress.reset(
            self._task,
            total=self._total,
            description=f"epoch {epoch.number + 1} of at most {self._epochs}",
        )


def _say_what_it_came_to(tuned: FineTuned) -> None:
    start, best = tuned.epochs[0], tuned.best
    if best.number:
        told = (
            f"accuracy {start.validation_accuracy:.4f} before, {best.validation_accuracy:.4f} now"
        )
        say("tuned", f"{len(tuned.epochs) - 1} epochs, the best is number {best.number}: {told}\n")
    else:
        say(
            "tuned",
            f"NO BETTER: after none of {len(tuned.epochs) - 1} epochs is the validation loss below "
            "the start's; the model stays as it was\n",
        )


def _to_dict(epoch: FineTuneEpoch) -> dict[str, Any]:
    """Returns what is the same every time, in JSON's types: it has no number that is not finite."""
    values = {name: value for name, value in epoch._asdict().items() if name != "seconds"}
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
