"""Random changes to training images that leave their class what it is."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf

SMALLEST_AREA = 0.7
LARGEST_ASPECT = 1.25


def draw_boxes(count: int, kind: str, random: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draws what is cut out of each image: a mild random crop, mirrored or not.

    A crop has 0.7 to all of the area, and the image's aspect ratio times 0.8 to 1.25.

    Args:
        count: Images.
        kind: "flip_and_crop", or "crop".
        random: The source of chance.

    Returns:
        float32 [count, 4]: top, left, bottom and right in [0, 1]. Where left is over right the
        image is mirrored.

    Source: Szegedy et al., "Going deeper with convolutions" (2014), whose crops have 0.08 to all of
    the area, for training from nothing.
    """
    area = random.uniform(SMALLEST_AREA, 1, count)
    aspect = LARGEST_ASPECT ** random.uniform(-1, 1, count)
    height = np.minimum(np.sqrt(area / aspect), 1)
    width = np.minimum(np.sqrt(area * aspect), 1)
    top = random.uniform(0, 1 - height)
    left = random.uniform(0, 1 - width)
    sides = np.stack([left, left + width], axis=1)
    if kind == "flip_and_crop":
        mirrored = random.random(count) < 0.5
        sides[mirrored] = sides[mirrored, ::-1]
    return np.stack([top, sides[:, 0], top + height, sides[:, 1]], axis=1).astype(np.float32)


def cut_out(images: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Cuts a box out of every image and brings it to the image's size, bilinear.

    Args:
        images: float32 [batch, height, width, 3].
        boxes: float32 [batch, 4], of draw_boxes.

    Returns:
        float32 [batch, height, width, 3]; of a box of all of the image exactly that.
    """
    return tf.image.crop_and_resize(images, boxes, tf.range(tf.shape(images)[0]), images.shape[1:3])
