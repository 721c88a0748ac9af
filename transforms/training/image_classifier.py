"""A linear head on a feature-vector model, as one classifier by TF Hub's API for images.

Source: https://www.tensorflow.org/hub/common_saved_model_apis/images.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transforms.models.reusable_model import ReusableModel, images_of

_PROBABILITIES = {"softmax": tf.nn.softmax, "sigmoid": tf.math.sigmoid}


class Head(NamedTuple):
    """What is put on a feature-vector model.

    Attributes:
        kernel: float32 [dim, classes].
        bias: float32 [classes].
        deviation: float64 [dim], of the features that it was trained with.
        l2: Weight of the kernel's squares in the loss, for features of deviation 1.
        activation: "softmax" or "sigmoid", for the signature's probabilities.
        normalize: "l2" if it takes vectors of length 1, else "none".
    """

    kernel: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float64]
    l2: float
    activation: str
    normalize: str


class ImageClassifier(tf.Module):  # type: ignore[misc]
    """Images in, logits out; all of it can be trained on.

    Attributes:
        labels: The file of the class names, saved with the model.
        variables: Variables of the feature-vector model, then the head's.
        trainable_variables: Variables among these to train on, in the same order.
        regularization_losses: Losses of the model, then the head's: functions of no arguments, each
            returns a scalar.
    """

    # Plain attributes, which are saved; tf.Module's own are properties, which are not.
    variables: Sequence[tf.Variable] = ()
    trainable_variables: Sequence[tf.Variable] = ()

    def __init__(
        self, body: ReusableModel, head: Head, image_size: tuple[int, int], labels_path: str
    ) -> None:
        """Traces the call for inference and for training.

        Args:
            body: Model that gives the feature vectors.
            head: Head that makes logits of them.
            image_size: (height, width) in pixels.
            labels_path: A file named labels.txt.
        """
        super().__init__()
        self._body = body
        self._kernel = tf.Variable(head.kernel, name="head/kernel")
        self._bias = tf.Variable(head.bias, name="head/bias")
        self._activation = head.activation
        self._normalize = head.normalize
        self.labels = tf.saved_model.Asset(labels_path)
        own = [self._kernel, self._bias]
        self.variables = [*body.variables, *own]
        self.trainable_variables = [*body.trainable_variables, *own]
        deviation = tf.constant(head.deviation[:, None], tf.float32)

        @tf.function(input_signature=[])
        def weight_decay() -> tf.Tensor:
            return head.l2 * tf.reduce_sum(tf.square(self._kernel * deviation))

        self.regularization_losses: list[Any] = [*body.regularization_losses, weight_decay]
        images = images_of(image_size)
        for training in (False, True):
            self.__call__.get_concrete_function(images, training=training)
        self.signature = self.serve.get_concrete_function(images)

    @tf.function(autograph=False)
    def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Gives the logits of images.

        Args:
            images: float32 [batch, height, width, 3] in [0, 1].
            training: Whether to act as in training; a Python bool.

        Returns:
            Logits, float32 [batch, classes].
        """
        vectors = self._body(images, training=training)
        if self._normalize == "l2":
            vectors = scale_to_unit_length(vectors)
        return tf.matmul(vectors, self._kernel) + self._bias

    @tf.function(autograph=False)
    def serve(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns logits and probabilities, both float32 [batch, classes]."""
        logits = self(images, training=False)
        return {"logits": logits, "probabilities": _PROBABILITIES[self._activation](logits)}


def scale_to_unit_length(vectors: tf.Tensor) -> tf.Tensor:
    """Scales every vector to length 1, as `--normalize l2` does; one of zeros stays.

    The gradient of tf.norm at zero is not a number, of this it is.

    Args:
        vectors: float32 [batch, dim].
    """
    squares = tf.reduce_sum(tf.square(vectors), axis=1, keepdims=True)
    return vectors / tf.sqrt(tf.where(squares > 0, squares, 1))
