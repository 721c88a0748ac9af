"""Small feature-vector models with everything that fine-tuning touches."""

import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

SIDE = 24
LOSS_WEIGHT = 1e-3

# Semi-public, and the only base whose `variables` can be a plain list (tf.Module's is a property).
_Trackable = tf.__internal__.tracking.AutoTrackable


class _GrayVision(_Trackable):  # type: ignore[misc, valid-type]
    """Sees at first how bright an image is and hardly its colour; a batch normalisation after."""

    def __init__(self) -> None:
        kernel = np.ones((3, 4)) + 0.01 * np.random.default_rng(0).normal(size=(3, 4))
        self.kernel = tf.Variable(kernel, dtype=tf.float32, name="body/kernel")
        self.offset = tf.Variable(tf.ones(4), name="body/offset")
        self.mean = tf.Variable(tf.fill([4], 1.05), trainable=False, name="body/mean")
        self.variance = tf.Variable(tf.fill([4], 0.01), trainable=False, name="body/variance")
        self.trainable_variables = [self.kernel, self.offset]
        self.variables = [*self.trainable_variables, self.mean, self.variance]
        self.regularization_losses = [
            tf.function(
                lambda: LOSS_WEIGHT * tf.reduce_sum(tf.square(self.kernel)), input_signature=[]
            )
        ]

    @tf.function(autograph=False)
    def __call__(
        self,
        images: tf.Tensor,
        training: bool = False,
        batch_norm_momentum: float = 0.9,
        inverted: bool = False,
    ) -> tf.Tensor:
        seen = tf.matmul(tf.reduce_mean(images, axis=[1, 2]), self.kernel)
        mean, variance = self.mean, self.variance
        if training:
            mean, variance = tf.nn.moments(seen, axes=[0])
            for moving, now in ((self.mean, mean), (self.variance, variance)):
                moving.assign(moving * batch_norm_momentum + now * (1 - batch_norm_momentum))
        normal = (seen - mean) / tf.sqrt(variance + 1e-3) + self.offset
        return -normal if inverted else normal


def save_gray_vision(directory: str | os.PathLike[str], *, trains: bool = True) -> str:
    """Writes a model that cannot tell colours well until it is trained itself.

    Args:
        directory: Where to.
        trains: Whether it is saved for training=True, too.
    """
    model = _GrayVision()
    images = tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32, "images")
    momentum = tf.TensorSpec([], tf.float32)
    for training in (False, True)[: 1 + trains]:
        for inverted in (False, True):
            model.__call__.get_concrete_function(images, training, momentum, inverted)
    tf.saved_model.save(model, os.fspath(directory))
    return os.fspath(directory)


def save_without_gradient(
    directory: str | os.PathLike[str], variables: Sequence[float] = (1.0,)
) -> str:
    """Writes a model of trainable variables that no gradient reaches."""
    model = _Trackable()
    model.trainable_variables = [tf.Variable(value) for value in variables]
    model.variables = list(model.trainable_variables)
    model.__call__ = tf.function(
        lambda images: tf.stop_gradient(
            tf.reduce_mean(images, axis=[1, 2]) * tf.add_n([*model.trainable_variables, 0.0])
        ),
        input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.float32, "images")],
    )
    tf.saved_model.save(model, os.fspath(directory))
    return os.fspath(directory)
