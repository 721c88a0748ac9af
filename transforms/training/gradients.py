"""Whether a model can be trained at all: whether a gradient reaches its variables."""

import tensorflow as tf

from transforms.errors import ModelError, brief
from transforms.models.reusable_model import ReusableModel, images_of


def check_gradients(body: ReusableModel, image_size: tuple[int, int]) -> int:
    """Checks that a model can be trained at all.

    Args:
        body: The model.
        image_size: (height, width) in pixels.

    Returns:
        How many of its trainable variables a gradient reaches.

    Raises:
        ModelError: If it has none, or TensorFlow knows no gradient of what it computes.
    """
    if not body.trainable_variables:
        raise ModelError("the model has no trainable variables")

    @tf.function(input_signature=[images_of(image_size)], autograph=False)
    def gradients(images: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(body.trainable_variables)
            total = tf.reduce_sum(body(images, training=True))
        found = tape.gradient(total, body.trainable_variables)
        return [item for item in found if item is not None]

    try:
        count = len(gradients.get_concrete_function().structured_outputs)
    except (LookupError, ValueError, TypeError) as error:
        raise ModelError(f"the model has no gradient: {brief(error)}") from error
    if not count:
        raise ModelError("no gradient reaches any of the model's trainable variables")
    return count
