"""Where an image's pixels go when it gets the model's size: integers only."""

from typing import NamedTuple

import numpy as np


class Box(NamedTuple):
    """A rectangle of pixels: its first row and column, its height and width."""

    top: int
    left: int
    height: int
    width: int


def crop_box(height: int, width: int, image_size: tuple[int, int], fraction: float) -> Box:
    """Returns the centred part of an image that "crop" keeps.

    It is the largest box of the target's aspect ratio, times the fraction, rounded to whole pixels
    (half to even, at least one); an odd rest is cut at the bottom and right. With a fraction of
    224/256 it is what "resize the short side to 256, then crop 224" keeps.

    Source: the evaluation preprocessing of TF-Slim (`central_fraction=0.875`) and of the TPU
    ResNet reference model (`CROP_PADDING = 32` of 224).
    """
    target_height, target_width = image_size
    if height * target_width > width * target_height:
        box_height, box_width = width * target_height / target_width, float(width)
    else:
        box_height, box_width = float(height), height * target_width / target_height
    kept_height = max(1, round(box_height * fraction))
    kept_width = max(1, round(box_width * fraction))
    return Box((height - kept_height) // 2, (width - kept_width) // 2, kept_height, kept_width)


def pad_box(height: int, width: int, image_size: tuple[int, int]) -> Box:
    """Returns the part of the target that "pad" fills with the whole image.

    Source: `tf.image.resize_with_pad`, whose float32 arithmetic can leave the longer side a pixel
    short of the target's; but a side never vanishes.
    """
    target_height, target_width = np.float32(image_size[0]), np.float32(image_size[1])
    ratio = max(np.float32(width) / target_width, np.float32(height) / target_height)
    exact_height, exact_width = np.float32(height) / ratio, np.float32(width) / ratio
    return Box(
        max(0, int((target_height - exact_height) // 2)),
        max(0, int((target_width - exact_width) // 2)),
        max(1, int(exact_height)),
        max(1, int(exact_width)),
    )
