"""train_classifier --fine_tune: the model itself trained together with its head, on the images."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from pipelines.cli.bars import counting_bar, live_bar
from pipelines.cli.train_flags import TrainConfig
from pipelines.cli.wording import say
from pipelines.training.labelled_runs import LabelledRuns
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
        with _epoch_bar(images, settings, console) as (count_images, end_epoch):
            tuned = fine_tune(
                model.network,
                head,
                images.training,
                images.validation,
                standardization,
                normalize=model.body.normalize,
                settings=settings,
                on_images=count_images,
                on_epoch=end_epoch,
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


@contextlib.contextmanager
def _epoch_bar(
    images: TrainingImages, settings: FineTuneSettings, console: Console
) -> Iterator[tuple[Callable[[int], None], Callable[[FineTuneEpoch], None]]]:
    """Says a line an epoch, and shows a bar within it; yields what is told of images and epochs."""
    text = TextColumn("{task.description}: {task.completed:,.0f}/{task.total:,.0f} images")
    with live_bar(console, text, BarColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("start", total=images.validation.rows)

        def end_epoch(epoch: FineTuneEpoch) -> None:
            _say_epoch(epoch)
            bar.reset(
                task,
                total=images.training.rows + images.validation.rows,
                description=f"epoch {epoch.number + 1} of at most {settings.epochs}",
            )

        yield lambda count: bar.advance(task, count), end_epoch


def _say_epoch(epoch: FineTuneEpoch) -> None:
    told = f"validation loss {epoch.validation_loss:.4f}, accuracy {epoch.validation_accuracy:.4f}"
    if epoch.loss is None:
        say("start", told)
    else:
        say(
            f"epoch {epoch.number}",
            f"loss {epoch.loss:.4f}, {told}; {epoch.seconds:.1f} s, "
            f"{epoch.images / epoch.seconds:,.1f} images/s",
        )


def _say_what_it_came_to(tuned: FineTuned) -> None:
    start, best = tuned.epochs[0], tuned.best
    if best.number:
        told = (
            f"accuracy {start.validation_accuracy:.4f} before, {best.validation_accuracy:.4f} now"
        )
        say("tuned", f"{len(tuned.epochs) - 1} epochs, the best is number {best.number}: {told}")
    else:
        say(
            "tuned",
            f"NO BETTER: after none of {len(tuned.epochs) - 1} epochs is the validation loss below "
            "the start's; the model stays as it was",
        )
    print()


def _to_dict(epoch: FineTuneEpoch) -> dict[str, Any]:
    """Returns what is the same every time, in JSON's types: it has no number that is not finite."""
    values = {name: value for name, value in epoch._asdict().items() if name != "seconds"}
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
