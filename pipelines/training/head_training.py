"""The linear head: trained on the stored vectors, and measured on those held back."""

import time
from typing import NamedTuple

from rich.console import Console

from pipelines.cli.train_flags import TrainConfig
from pipelines.cli.wording import say
from pipelines.training.labelled_runs import LabelledRuns, gather
from transforms.training.class_metrics import ClassMetrics, measure
from transforms.training.linear_head import Epoch, HeadSettings, TrainedHead, train_head
from transforms.training.rows import TrainingRows
from transforms.vectors.standardization import Standardization

_SMALLEST_BATCH, _LARGEST_BATCH, _BATCHES_AN_EPOCH = 64, 2048, 50
_MEASURED_ROWS = 4096


class MeasuredHead(NamedTuple):
    """A head, and what it is worth.

    Attributes:
        settings: Settings that it was trained with.
        trained: Kernel and bias for vectors as they are, and what the passes reached.
        standardization: Mean and deviation of the training vectors.
        metrics: Metrics on the validation rows.
    """

    settings: HeadSettings
    trained: TrainedHead
    standardization: Standardization
    metrics: ClassMetrics


def fit_head(
    config: TrainConfig, labelled: LabelledRuns, scratch: str, console: Console
) -> MeasuredHead:
    """Reads the vectors once, trains a head on them and measures it.

    Args:
        config: The flags.
        labelled: The runs, their labels and who validates.
        scratch: Directory on a disk with room for all vectors.
        console: Terminal to show progress on.

    Raises:
        UserError: If a vector cannot be read, or the disk has no room.
    """
    rows = gather(labelled, scratch, console)
    settings = choose_settings(config, rows.training.rows)
    trained = _train(rows, settings, console)
    metrics = _measure(rows, trained, config.activation)
    return MeasuredHead(settings, trained, rows.standardization, metrics)


def choose_settings(config: TrainConfig, training_rows: int) -> HeadSettings:
    """Returns the flags as the training takes them, the batch size chosen where it was left open.

    Args:
        config: The flags.
        training_rows: Rows to train on. A fiftieth of them is a step, within limits: 10,000 rows
            make batches of 200, 1,000 make batches of 64.
    """
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


def _train(rows: TrainingRows, settings: HeadSettings, console: Console) -> TrainedHead:
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


def _measure(rows: TrainingRows, head: TrainedHead, activation: str) -> ClassMetrics:
    batches = rows.validation.batches(_MEASURED_ROWS)
    answers = ((head.logits(batch.vectors), batch.targets) for batch in batches)
    return measure(rows.validation.labels.names, answers, activation)
