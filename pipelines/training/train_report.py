"""What train_classifier says of its classes and its result."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from transforms.errors import printable
from transforms.training.class_metrics import ClassMetrics

MAX_CLASSES = 25
"""Of more classes those are shown that matter most; metrics.json has all."""


def print_metrics(console: Console, metrics: ClassMetrics, training: npt.NDArray[np.int64]) -> None:
    """Prints a line a class, the worst if there are many, and the accuracy.

    Args:
        console: Terminal to print on.
        metrics: Metrics of the validation images.
        training: int64 [classes], images trained with.
    """
    recall, precision = metrics.recall, metrics.precision
    shown = list(range(len(metrics.names)))
    title = None
    if len(shown) > MAX_CLASSES:
        worst = np.argsort(np.minimum(recall, precision), kind="stable")[:MAX_CLASSES]
        shown = sorted(worst.tolist())
        title = f"the {MAX_CLASSES} worst of {len(metrics.names):,} classes"
    table = Table(box=None, title=title, title_justify="left", pad_edge=False)
    table.add_column("class", overflow="ellipsis", no_wrap=True, max_width=32)
    for name in ("training", "validation", "precision", "recall", "most often taken for"):
        table.add_column(name, justify="left" if " " in name else "right", no_wrap=True)
    for index in shown:
        table.add_row(
            printable(metrics.names[index]),
            f"{training[index]:,}",
            f"{metrics.labelled[index]:,}",
            f"{precision[index]:.4f}",
            f"{recall[index]:.4f}",
            printable(_taken_for(metrics, index)),
        )
    console.print(table, markup=False)


def describe_accuracy(metrics: ClassMetrics) -> str:
    """Says how many validation images were predicted right."""
    return f"{metrics.accuracy:.4f}, {metrics.right:,} of {metrics.rows:,} validation images right"


def describe_classes(names: Sequence[str], counts: npt.NDArray[np.int64]) -> str:
    """Says how many classes there are, and how large the smallest and the largest."""
    least, most = int(np.argmin(counts)), int(np.argmax(counts))
    return (
        f"{len(names):,}, of {counts[least]:,} images ({names[least]}) to {counts[most]:,} "
        f"({names[most]})"
    )


def _taken_for(metrics: ClassMetrics, index: int) -> str:
    others = metrics.confusion[index].copy()
    others[index] = 0
    other = int(np.argmax(others))
    return f"{metrics.names[other]} ({others[other]:,})" if others[other] else ""
