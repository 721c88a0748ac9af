"""Where an image's pixels go when it gets the model's size: integers only.

Work is done on the image as it is stored, for to turn a large photo first takes longer than to
decode it. So what is wanted of the upright image is said of the stored one. A photo of 4 x 6 pixels
(height x width) with EXIF orientation 6, which is to be turned a quarter clockwise; a model of
2 x 2; "crop" with a fraction of 1:

    stored         upright     kept upright    region of the stored   flipped (ROWS)   turned
    a b c d e f    s m g a
    g h i j k l    t n h b     t n h b         . b c d e .            t u v w          t n h b
    m n o p q r    u o i c     u o i c         . h i j k .            n o p q          u o i c
    s t u v w x    v p j d     v p j d         . n o p q .            h i j k          v p j d
                   w q k e     w q k e         . t u v w .            b c d e          w q k e
                   x r l f
                               crop_box(6, 4)  Placement.region                        then 2 x 2
                               Box(1, 0, 4, 4) Box(0, 1, 4, 4)

"pad" keeps all of the image and leaves a border in the target. An upright one of 4 x 6 for a model
of 6 x 6:

    . . . . . .
    a b c d e f
    g h i j k l    pad_box(4, 6, (6, 6)) is Box(1, 0, 4, 6): the image gets its top left pixel at
    m n o p q r    row 1, column 0 of the target (Placement.corner), and 4 x 6 pixels
    s t u v w x    (Placement.size).
    . . . . . .
"""

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
        ratio: Divisor of both sides in decoding, rounding up; one of RATIOS.
        flips: Mirroring that turns the image upright.
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
    height: int,
    width: int,
    orientation: int,
    policy: Preprocessing,
    *,
    part: Box | None = None,
    may_shrink: bool = False,
) -> Placement:
    """Returns where an image's pixels go.

    Args:
        height: Height of the whole image as stored, in pixels.
        width: Width of the whole image as stored, in pixels.
        orientation: EXIF orientation to undo, 1 to 8.
        policy: The size, and the way there.
        part: Part of the upright image that is placed as if it were all of it; None places all.
        may_shrink: Whether to take the largest of RATIOS that leaves, down and across, no fewer
            pixels than are wanted. The region is then the smallest that holds the exact one: an
            edge is less than one decoded pixel off.
    """
    is_turned, flips = orientation >= 5, _FLIPS[orientation]
    upright = (width, height) if is_turned else (height, width)
    part = part or Box(0, 0, *upright)
    region, target = part, Box(0, 0, *policy.image_size)
    match policy.resize_mode:
        case "crop":
            kept = crop_box(part.height, part.width, policy.image_size, policy.crop_fraction)
            region = kept._replace(top=part.top + kept.top, left=part.left + kept.left)
        case "pad":
            target = pad_box(part.height, part.width, policy.image_size)
    size = (target.height, target.width)
    # From the upright image back to the stored one: turned first, then mirrored.
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
    """Returns the smallest box of decoded pixels that holds a box of stored ones.

    Rows 189 to 2835 at a ratio of 8 are rows 23.6 to 354.4: from 23 to 355.
    """
    top, left = box.top // ratio, box.left // ratio
    bottom, right = -(-(box.top + box.height) // ratio), -(-(box.left + box.width) // ratio)
    return Box(top, left, bottom - top, right - left)


def _covers(box: Box, size: tuple[int, int]) -> bool:
    return box.height >= size[0] and box.width >= size[1]
