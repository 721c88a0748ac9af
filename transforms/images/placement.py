"""Where an image's pixels go when it gets the model's size: integers only."""

import enum
from typing import NamedTuple

import numpy as np

from transforms.images.policy import Preprocessing

RATIOS = (1, 2, 4, 8)
"""What libjpeg can divide both sides of a JPEG by as it decodes, for less and less work."""


class Flips(enum.IntEnum):
    """How an image is mirrored."""

    NONE = 0
    ROWS = 1
    COLUMNS = 2
    BOTH = 3


_FLIPS = {
    1: Flips.NONE,
    2: Flips.COLUMNS,
    3: Flips.BOTH,
    4: Flips.ROWS,
    5: Flips.NONE,
    6: Flips.ROWS,
    7: Flips.BOTH,
    8: Flips.COLUMNS,
}
"""What turns a stored image upright, by EXIF orientation; from 5 on, rows then become columns.

Source: EXIF 2.32, Orientation, in 4.6.4.
"""


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


class Placement(NamedTuple):
    """Where an image's pixels go. All but the corner is of the image as it is stored.

    Attributes:
        ratio: What both sides are divided by, rounding up, in decoding; one of RATIOS.
        flips: How it is mirrored to turn it upright.
        is_turned: Whether rows and columns then change places.
        region: The part to resize, in decoded pixels.
        size: Height and width to resize it to.
        corner: Row and column of the target that its first pixel gets, upright.
    """

    ratio: int
    flips: Flips
    is_turned: bool
    region: Box
    size: tuple[int, int]
    corner: tuple[int, int]

    def decoded_size(self, height: int, width: int) -> tuple[int, int]:
        """Returns the height and width that an image stored with these is decoded to."""
        return -(-height // self.ratio), -(-width // self.ratio)


def place(
    height: int, width: int, orientation: int, policy: Preprocessing, *, may_shrink: bool = False
) -> Placement:
    """Returns where an image's pixels go.

    Args:
        height: Of the whole image as stored, in pixels.
        width: Likewise.
        orientation: EXIF orientation to undo, 1 to 8.
        policy: Says the size, and the way there.
        may_shrink: Whether to take the largest of RATIOS that leaves, down and across, no fewer
            pixels than are wanted. The region is then the smallest that holds the exact one: an
            edge is less than one decoded pixel off.
    """
    is_turned, flips = orientation >= 5, _FLIPS[orientation]
    upright = (width, height) if is_turned else (height, width)
    region, target = Box(0, 0, *upright), Box(0, 0, *policy.image_size)
    match policy.resize_mode:
        case "crop":
            region = crop_box(*upright, policy.image_size, policy.crop_fraction)
        case "pad":
            target = pad_box(*upright, policy.image_size)
    size = (target.height, target.width)
    if is_turned:
        region = Box(region.left, region.top, region.width, region.height)
        size = (target.width, target.height)
    if flips in (Flips.ROWS, Flips.BOTH):
        region = region._replace(top=height - region.top - region.height)
    if flips in (Flips.COLUMNS, Flips.BOTH):
        region = region._replace(left=width - region.left - region.width)
    ratio = 1
    if may_shrink:
        regions = {ratio: _divide(region, ratio) for ratio in RATIOS}
        ratio = max((ratio for ratio, box in regions.items() if _covers(box, size)), default=1)
        region = regions[ratio]
    return Placement(ratio, flips, is_turned, region, size, (target.top, target.left))


def _divide(box: Box, ratio: int) -> Box:
    top, left = box.top // ratio, box.left // ratio
    bottom, right = -(-(box.top + box.height) // ratio), -(-(box.left + box.width) // ratio)
    return Box(top, left, bottom - top, right - left)


def _covers(box: Box, size: tuple[int, int]) -> bool:
    return box.height >= size[0] and box.width >= size[1]
