"""A linear classifier on vectors: logistic regression, a batch at a time, with early stopping."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transforms.errors import RunError
from transforms.training.class_labels import ClassLabels
from transforms.training.early_stopping import EarlyStopping
from transforms.training.vector_file import Batch, LabelledVectors
from transforms.vectors.standardization import Standardization

VALIDATION_BATCH = 4096

LOSSES = {
    "softmax": keras.losses.CategoricalCrossentropy,
    "sigmoid": keras.losses.BinaryCrossentropy,
}
SMALLER_STEPS = 0.5
"""What a learning rate is multiplied by after a pass without progress."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """How a head is trained.

    Attributes:
        activation: "softmax", classes exclude each other; "sigmoid", each is decided by itself.
        l2: Weight of the sum of the squared weights, for standardised vectors, in the loss.
        label_smoothing: Share of every target that is spread over all classes, in [0, 1).
        class_weights: "none", or "balanced": rows count by the inverse of their class's number.
        epochs: Most passes over the training rows.
        patience: Passes without a smaller validation loss after which training ends.
        batch_size: Rows a step.
        learning_rate: Rate of Adam, at first. After a pass that does not make the validation loss
            smaller training goes on from the best weights, with smaller steps.
        seed: Seed of the order of the rows.
    """

    activation: str
    l2: float
    label_smoothing: float
    class_weights: str
    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    seed: int


class Epoch(NamedTuple):
    """One pass over the training rows.

    Attributes:
        number: Number of the pass, from 1.
        loss: Mean loss over the training rows while the weights still moved, with the L2 term.
        validation_loss: Mean loss over the validation rows after it, likewise.
    """

    number: int
    loss: float
    validation_loss: float


class TrainedHead(NamedTuple):
    """A linear head for vectors as they are stored.

    Attributes:
        kernel: float32 [dim, classes].
        bias: float32 [classes].
        epochs: Passes with what they reached, in order.
        best: The pass after which the weights were these.
    """

    kernel: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    epochs: tuple[Epoch, ...]
    best: Epoch

    def logits(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Returns float32 [rows, classes] of float32 [rows, dim]."""
        return vectors @ self.kernel + self.bias


def train_head(
    training: LabelledVectors,
    validation: LabelledVectors,
    standardization: Standardization,
    settings: HeadSettings,
    on_epoch: Callable[[Epoch], None],
) -> TrainedHead:
    """Trains a head; the same rows and settings give the same weights on the same machine.

    On a GPU all of TensorFlow's operations are deterministic from here on.

    Args:
        training: Rows to fit.
        validation: Rows that say when to stop.
        standardization: Mean and deviation of the training rows; folded into the weights.
        settings: Rates, limits and weights of the training.
        on_epoch: Callback, told of every pass as it ends.

    Raises:
        RunError: If training diverges.
    """
    if tf.config.list_logical_devices("GPU"):  # On CPUs these operations are, as they are.
        tf.config.experimental.enable_op_determinism()
    random = np.random.default_rng(settings.seed)
    weights = weigh_classes(training.labels, settings.class_weights)
    head = _Head(training.dim, len(training.labels.names), settings)

    def mean_loss(batches: Iterator[Batch], loss_of: Callable[..., tf.Tensor]) -> float:
        total = 0.0
        for batch in batches:
            vectors = standardization.apply(batch.vectors)
            row_weights = weigh_rows(batch.targets, weights)
            total += len(vectors) * float(loss_of(vectors, batch.targets, row_weights))
        return total

    epochs: list[Epoch] = []
    best: Epoch | None = None
    best_weights = head.weights()
    stopping = EarlyStopping(settings.patience)
    for number in range(1, settings.epochs + 1):
        shuffled = training.shuffled(settings.batch_size, random)
        loss = mean_loss(shuffled, head.step) / training.rows
        in_order = validation.batches(VALIDATION_BATCH)
        validation_loss = mean_loss(in_order, head.loss) / validation.rows
        epochs.append(Epoch(number, loss, validation_loss))
        on_epoch(epochs[-1])
        if stopping.is_progress(validation_loss):
            best, best_weights = epochs[-1], head.weights()
        elif stopping.is_over:
            break
        else:
            head.go_back(best_weights)
    if best is None:
        raise RunError(
            f"after none of {len(epochs)} passes is the validation loss finite; try a smaller "
            f"--learning_rate than {settings.learning_rate:g}"
        )
    kernel, bias = standardization.fold(*best_weights)
    return TrainedHead(kernel, bias, tuple(epochs), best)


class _Head:
    """The weights in the making, for standardised vectors; all zero at first."""

    def __init__(self, dim: int, classes: int, settings: HeadSettings) -> None:
        self._dense = keras.layers.Dense(
            classes,
            kernel_initializer="zeros",
            kernel_regularizer=keras.regularizers.L2(settings.l2),
        )
        self._dense.build((None, dim))
        self._loss = LOSSES[settings.activation](
            from_logits=True, label_smoothing=settings.label_smoothing
        )
        self._optimizer = keras.optimizers.Adam(settings.learning_rate)
        self._optimizer.build(self._dense.trainable_variables)
        shapes = ([None, dim], [None, classes], [None])
        signature = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
        self.loss = tf.function(self._mean_loss, input_signature=signature, autograph=False)
        self.step = tf.function(self._step, input_signature=signature, autograph=False)

    def weights(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Returns a copy of kernel and bias."""
        kernel, bias = self._dense.get_weights()
        return kernel.copy(), bias.copy()

    def go_back(self, weights: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]) -> None:
        """Takes earlier weights, and smaller steps from there."""
        self._dense.set_weights(weights)
        self._optimizer.learning_rate = float(self._optimizer.learning_rate) * SMALLER_STEPS

    def _mean_loss(self, vectors: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        fit = self._loss(targets, self._dense(vectors), weights)
        return fit + tf.add_n(self._dense.losses)

    def _step(self, vectors: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        variables = self._dense.trainable_variables
        with tf.GradientTape() as tape:
            loss = self._mean_loss(vectors, targets, weights)
        self._optimizer.apply(tape.gradient(loss, [item.value for item in variables]))
        return loss


def weigh_classes(labels: ClassLabels, kind: str) -> npt.NDArray[np.float32] | None:
    """Returns float32 [classes], of mean 1 over the labels; None if all count alike.

    Args:
        labels: Classes of the training rows.
        kind: "none" or "balanced"; see HeadSettings.
    """
    if kind == "none":
        return None
    counts = labels.count()
    return (counts.sum() / (len(counts) * counts)).astype(np.float32)


def weigh_rows(
    targets: npt.NDArray[np.float32], weights: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32]:
    """Returns float32 [rows]: the mean weight of a row's classes, 1 if it has none.

    Args:
        targets: float32 [rows, classes], 1 where the row is of the class.
        weights: float32 [classes] of weigh_classes, or None if all count alike.
    """
    if weights is None:
        return np.ones(len(targets), np.float32)
    counts = targets.sum(axis=1)
    return np.where(counts > 0, targets @ weights / np.maximum(counts, 1), 1).astype(np.float32)
