"""A feature-vector model and a linear head on it, trained together on images."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transforms.errors import ModelError, RunError, brief
from transforms.models.reusable_model import ReusableModel, images_of
from transforms.training.class_metrics import ClassMetrics, measure
from transforms.training.early_stopping import EarlyStopping
from transforms.training.image_classifier import scale_to_unit_length
from transforms.training.images import LabelledImages
from transforms.training.linear_head import (
    LOSSES,
    SMALLER_STEPS,
    TrainedHead,
    weigh_classes,
    weigh_rows,
)
from transforms.vectors.standardization import Standardization


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuneSettings:
    """How a model and its head are trained.

    Attributes:
        activation: "softmax" or "sigmoid", as in HeadSettings.
        l2: Weight of the head's squared weights in the loss; the model brings its own losses.
        label_smoothing: Share of every target that is spread over all classes, in [0, 1).
        class_weights: "none" or "balanced".
        epochs: Most passes over the training images.
        patience: Passes without a smaller validation loss after which training ends.
        batch_size: Images a step.
        body_learning_rate: Rate of Adam for the model, at first. After a pass that does not make
            the validation loss smaller training goes on from the best weights, with smaller steps.
        head_learning_rate: Rate of Adam for the head on standardised vectors, at first.
        augmentation: Change of training images: "flip_and_crop", "crop" or "none".
        seed: Seed of the order of the images, and of how they are changed.
    """

    activation: str
    l2: float
    label_smoothing: float
    class_weights: str
    epochs: int
    patience: int
    batch_size: int
    body_learning_rate: float
    head_learning_rate: float
    augmentation: str
    seed: int


class FineTuneEpoch(NamedTuple):
    """One pass over the training images.

    Attributes:
        number: Number of the pass, from 1; 0 is before any.
        loss: Mean loss over the training images while the weights still moved, with all
            regularization; None before any.
        validation_loss: Loss of the validation images after it, without regularization.
        validation_accuracy: Share of them predicted right, in [0, 1].
        images: Number of images that were trained with.
        seconds: Wall time of the training, without validation, in seconds.
    """

    number: int
    loss: float | None
    validation_loss: float
    validation_accuracy: float
    images: int
    seconds: float


class FineTuned(NamedTuple):
    """What came out; the model's own variables were changed in place.

    Attributes:
        kernel: float32 [dim, classes], of the head, for vectors as the model gives them.
        bias: float32 [classes].
        epochs: Passes with what they reached, number 0 first.
        best: The pass after which the weights were these.
        metrics: Metrics of these weights on the validation images.
        logits: Images to logits with these; float32, [batch, height, width, 3] in [0, 1] and
            [batch, classes].
    """

    kernel: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    epochs: tuple[FineTuneEpoch, ...]
    best: FineTuneEpoch
    metrics: ClassMetrics
    logits: Callable[[tf.Tensor], tf.Tensor]


def fine_tune(
    body: ReusableModel,
    head: TrainedHead,
    training: LabelledImages,
    validation: LabelledImages,
    standardization: Standardization,
    *,
    normalize: str,
    settings: FineTuneSettings,
    on_images: Callable[[int], None],
    on_epoch: Callable[[FineTuneEpoch], None],
) -> FineTuned:
    """Trains on from a head that was trained on the model's vectors.

    The same images and settings give the same weights on the same machine, but for random numbers
    that a model draws itself. On a GPU all of TensorFlow's operations are deterministic from here
    on.

    Args:
        body: The model.
        head: Head to start from.
        training: Images to fit, in [0, 1].
        validation: Images that say when to stop.
        standardization: Mean and deviation of the vectors that the head was trained on.
        normalize: "l2" if it was trained on vectors of length 1, else "none".
        settings: Rates, limits and augmentation of the training.
        on_images: Callback, told how many images more were trained with or have validated.
        on_epoch: Callback, told of every pass as it ends, and first of how training starts.

    Raises:
        ModelError: If the model cannot be trained.
        InputError: If an image cannot be decoded any more.
        RunError: If there is not enough memory.
    """
    random = np.random.default_rng(settings.seed)
    tf.random.set_seed(settings.seed)
    weights = weigh_classes(training.labels, settings.class_weights)
    network = _Network(body, head, standardization, training.image_size, normalize, settings)
    batch_size = min(settings.batch_size, training.rows)

    def train() -> tuple[float, int]:
        total, count = 0.0, 0
        for images, targets in training.shuffled(batch_size, settings.augmentation, random):
            row_weights = weigh_rows(targets.numpy(), weights)
            with _as_training_errors(settings):
                total += batch_size * float(network.step(images, targets, row_weights))
            count += batch_size
            on_images(batch_size)
        return total / count, count

    def validate() -> tuple[float, ClassMetrics]:
        total = 0.0

        def answers() -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
            nonlocal total
            for images, targets in validation.batches(batch_size):
                with _as_training_errors(settings):
                    logits = network.logits(images)
                row_weights = weigh_rows(targets.numpy(), weights)
                total += len(row_weights) * float(network.fit_loss(logits, targets, row_weights))
                yield logits.numpy(), targets.numpy()
                on_images(len(row_weights))

        metrics = measure(validation.labels.names, answers(), settings.activation)
        return total / validation.rows, metrics

    stopping = EarlyStopping(settings.patience)
    validation_loss, best_metrics = validate()
    best = FineTuneEpoch(0, None, validation_loss, best_metrics.accuracy, 0, 0.0)
    stopping.is_progress(validation_loss)
    best_state = network.state()
    epochs = [best]
    on_epoch(best)
    for number in range(1, settings.epochs + 1):
        started = time.perf_counter()
        loss, count = train()
        seconds = time.perf_counter() - started
        validation_loss, metrics = validate()
        reached = FineTuneEpoch(number, loss, validation_loss, metrics.accuracy, count, seconds)
        epochs.append(reached)
        on_epoch(reached)
        if stopping.is_progress(validation_loss):
            best, best_metrics, best_state = reached, metrics, network.state()
        elif stopping.is_over:
            break
        else:
            network.restore(best_state)
            network.take_smaller_steps()
    network.restore(best_state)
    kernel, bias = network.head()
    return FineTuned(kernel, bias, tuple(epochs), best, best_metrics, network.logits)


class _Network:
    """A model with a head for its standardised vectors, in the making."""

    def __init__(
        self,
        body: ReusableModel,
        head: TrainedHead,
        standardization: Standardization,
        image_size: tuple[int, int],
        normalize: str,
        settings: FineTuneSettings,
    ) -> None:
        self._body = body
        self._standardization = standardization
        self._mean = tf.constant(standardization.mean, tf.float32)
        self._scale = tf.constant(1 / standardization.deviation, tf.float32)
        self._normalize = normalize
        self._l2 = settings.l2
        # As in training the head alone: a step of any size means the same for every feature.
        kernel, bias = standardization.unfold(head.kernel, head.bias)
        self._head = [tf.Variable(kernel), tf.Variable(bias)]
        self._loss = LOSSES[settings.activation](
            from_logits=True, label_smoothing=settings.label_smoothing
        )
        rates = (settings.body_learning_rate, settings.head_learning_rate)
        self._parts = [body.trainable_variables, self._head]
        self._optimizers = [keras.optimizers.Adam(rate) for rate in rates]
        for optimizer, variables in zip(self._optimizers, self._parts, strict=True):
            optimizer.build(variables)
        images = images_of(image_size)
        targets = tf.TensorSpec([None, len(bias)], tf.float32)
        weights = tf.TensorSpec([None], tf.float32)
        self.logits = tf.function(self._answer, input_signature=[images], autograph=False)
        self.step = tf.function(
            self._step, input_signature=[images, targets, weights], autograph=False
        )

    def fit_loss(self, logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Returns the mean loss of a batch, without regularization."""
        return self._loss(targets, logits, weights)

    def state(self) -> list[tf.Tensor]:
        """Returns a copy of all that training moves."""
        return [tf.identity(variable) for variable in self._variables()]

    def restore(self, state: Sequence[tf.Tensor]) -> None:
        """Sets all that training moves to what an earlier state() returned."""
        for variable, value in zip(self._variables(), state, strict=True):
            variable.assign(value)

    def take_smaller_steps(self) -> None:
        """Multiplies both learning rates by SMALLER_STEPS."""
        for optimizer in self._optimizers:
            optimizer.learning_rate = float(optimizer.learning_rate) * SMALLER_STEPS

    def head(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Returns kernel and bias for vectors as the model gives them."""
        kernel, bias = (variable.numpy() for variable in self._head)
        return self._standardization.fold(kernel, bias)

    def _variables(self) -> list[tf.Variable]:
        return [*self._body.variables, *self._head]

    def _answer(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        vectors = self._body(images, training=training)
        if self._normalize == "l2":
            vectors = scale_to_unit_length(vectors)
        kernel, bias = self._head
        return tf.matmul((vectors - self._mean) * self._scale, kernel) + bias

    def _step(self, images: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            for variables in self._parts:
                tape.watch(variables)
            logits = self._answer(images, training=True)
            decay = [self._l2 * tf.reduce_sum(tf.square(self._head[0]))]
            decay += [loss() for loss in self._body.regularization_losses]
            loss = self.fit_loss(logits, targets, weights) + tf.add_n(decay)
        gradients = tape.gradient(loss, self._parts)
        for optimizer, variables, found in zip(
            self._optimizers, self._parts, gradients, strict=True
        ):
            # Adam leaves a variable alone that no gradient reaches, but wants to be given one.
            optimizer.apply(
                [
                    tf.zeros_like(variable) if gradient is None else gradient
                    for gradient, variable in zip(found, variables, strict=True)
                ],
                variables,
            )
        return loss


@contextlib.contextmanager
def _as_training_errors(settings: FineTuneSettings) -> Iterator[None]:
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise RunError(
            f"no memory for {settings.batch_size} images a step; try a smaller "
            f"--fine_tune_batch_size: {brief(error)}"
        ) from error
    except tf.errors.OpError as error:
        raise ModelError(f"the model fails in training: {brief(error)}") from error
