"""Boxes, parts of an image that are each a row: their ids, pixels and content.

Boxes lie in the image as it is shown: upright, unless --exif ignore shows it as it is stored.
"""

import hashlib
import itertools
import math
import re
import struct
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from transforms.errors import BoxOutsideError, EmptyBoxError

if TYPE_CHECKING:  # Not for --help.
    import pyarrow as pa

_LARGEST = 3e38
"""What a float32 holds."""

PIXEL_NAMES = ("box_x", "box_y", "box_width", "box_height")
SHARE_NAMES = ("box_ymin", "box_xmin", "box_ymax", "box_xmax")
"""Columns of the output that say a row's box, in pixels or in shares of the image."""

_SIDES = len(PIXEL_NAMES)

WITHOUT_BOXES = "without boxes"
"""Why an image is passed over that has none."""

_ID_PART = "#box-"
_NUMBERED = re.compile(rf"{_ID_PART}\d+$")


class ImageBox(NamedTuple):
    """A box as it was given, in the image as it is shown.

    Attributes:
        top: Upper edge.
        left: Left edge.
        bottom: Lower edge.
        right: Right edge.
        in_pixels: Whether these are pixels, else shares of the height and the width.
    """

    top: float
    left: float
    bottom: float
    right: float
    in_pixels: bool

    @classmethod
    def of(cls, values: Sequence[float | None], *, in_pixels: bool) -> "ImageBox | None":
        """Makes it of the values of PIXEL_NAMES or SHARE_NAMES; None if there is none."""
        first, second, third, fourth = values
        if first is None or second is None or third is None or fourth is None:
            return None
        if in_pixels:
            return cls(second, first, second + fourth, first + third, in_pixels=True)
        return cls(first, second, third, fourth, in_pixels=False)

    def within(self, height: int, width: int, margin: float) -> tuple[int, int, int, int]:
        """Returns the whole pixels of it that an image has: first row and column, height and width.

        Edges are rounded to the nearest pixel, half to even. Of an image of 100 x 200 pixels
        (height x width), with a margin of 0.1:

            xywh 10, 20, 50, 40    rows 20 to 60, columns 10 to 60; with the margin rows 16 to 64,
                                   columns 5 to 65: (16, 5, 48, 60)

        Args:
            height: Height of the image as it is shown, in pixels.
            width: Width of the same.
            margin: Share of the box's height and width that is added on each side.

        Raises:
            EmptyBoxError: If it has no area, a side that is no number, or a part of the first pixel
                alone, as shares have that are said to be pixels.
            BoxOutsideError: If it has none in the image.
        """
        scale_y, scale_x = (1, 1) if self.in_pixels else (height, width)
        top, bottom = self.top * scale_y, self.bottom * scale_y
        left, right = self.left * scale_x, self.right * scale_x
        if (
            not all(map(math.isfinite, (top, left, bottom, right)))
            or bottom <= top
            or right <= left
        ):
            raise EmptyBoxError(f"its box {self} has no area")
        if self.in_pixels and max(bottom, right) <= 1 and (bottom - top < 1 or right - left < 1):
            raise EmptyBoxError(
                f"its box {self} is a part of the first pixel; of shares of the image say --boxes "
                "yxyx=NAMES"
            )
        if bottom <= 0 or right <= 0 or top >= height or left >= width:
            raise BoxOutsideError(
                f"its box {self} is outside of the image, {height} x {width} pixels as it is shown"
            )
        down, across = (bottom - top) * margin, (right - left) * margin
        first_row, end_row = _whole(top - down, bottom + down, height)
        first_column, end_column = _whole(left - across, right + across, width)
        return first_row, first_column, end_row - first_row, end_column - first_column

    def __str__(self) -> str:
        """The numbers, as people read them."""
        unit = "pixels" if self.in_pixels else "of the image"
        rows, columns = f"{self.top:g} to {self.bottom:g}", f"{self.left:g} to {self.right:g}"
        return f"(rows {rows}, columns {columns} {unit})"


def _whole(start: float, end: float, side: int) -> tuple[int, int]:
    """Rounds what lies partly in 0 to side to whole pixels of it, at least one."""
    first = min(round(max(start, 0.0)), side - 1)
    return first, max(round(min(end, side)), first + 1)


def box_names(names: Collection[str]) -> tuple[str, ...]:
    """Returns the columns that say the box of a row, among those of a run; none if none do."""
    own = (PIXEL_NAMES, SHARE_NAMES)
    return next((sides for sides in own if set(sides).issubset(names)), ())


def boxes_of(rows: "pa.RecordBatch | pa.Table") -> list[ImageBox | None]:
    """Returns the box of each row; None stands for the whole image."""
    names = box_names(rows.schema.names)
    if not names:
        return [None] * rows.num_rows
    columns = (map(_scalar, rows.column(name).to_pylist()) for name in names)
    in_pixels = names == PIXEL_NAMES
    return [ImageBox.of(values, in_pixels=in_pixels) for values in zip(*columns, strict=True)]


def _scalar(value: float | Sequence[float] | None) -> float | None:
    """Returns a number that a TFRecord holds as a list of one."""
    if isinstance(value, Sequence):
        return value[0] if value else None
    return value


def name_box(image_id: str, number: int) -> str:
    """Returns the image_id of an image's box, numbered from 0."""
    return f"{image_id}{_ID_PART}{number}"


def image_of_box(image_id: str) -> str:
    """Returns the image_id without the box's number, if it has one."""
    return _NUMBERED.sub("", image_id)


def number_of_box(image_id: str) -> int:
    """Returns the box's number, or 0 of an image that is none."""
    numbered = _NUMBERED.search(image_id)
    return int(numbered[0].removeprefix(_ID_PART)) if numbered else 0


def content_of_box(content_sha256: str, box: ImageBox | None) -> str:
    """Returns what stands for the content of a crop: a sha256 of its image's, and of its box.

    Args:
        content_sha256: sha256 of the image's bytes, hexadecimal.
        box: The box; None of the whole image.
    """
    if box is None:
        return content_sha256
    unit = "pixels" if box.in_pixels else "shares"
    given = box[:_SIDES]
    if box.in_pixels:
        given = (box.left, box.top, box.right - box.left, box.bottom - box.top)
    # Rounded as a TFRecord holds them: sums of rounded numbers would be others.
    sides = struct.pack("<4f", *(min(max(side, -_LARGEST), _LARGEST) for side in given))
    return hashlib.sha256(f"{content_sha256} {unit} ".encode() + sides).hexdigest()


def same_runs(items: Sequence[object]) -> list[range]:
    """Finds the runs of one and the same object: of [a, a, b, a], 0 to 2, 2 to 3 and 3 to 4."""
    starts = [
        place for place, item in enumerate(items) if not place or item is not items[place - 1]
    ]
    return [range(*pair) for pair in itertools.pairwise([*starts, len(items)])]


def distinct_sizes(encoded: Sequence[bytes]) -> list[int]:
    """Returns each image's size in bytes; 0 of one that shares its bytes with the one before."""
    return [
        0 if place and data is encoded[place - 1] else len(data)
        for place, data in enumerate(encoded)
    ]
