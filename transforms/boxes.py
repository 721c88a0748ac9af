"""Boxes, parts of an image that are each a row: their columns, ids, pixels and content.

A row of a list, and a record of detection data, whose boxes become one form each:

    --boxes x,y,width,height           x 10, y 20, width 50, height 40      pixels
    --boxes yxyx=image/object/bbox     ymin [0.1, 0.5], xmin [0.2, 0.0],    shares of the image
                                       ymax [0.3, 0.9], xmax [0.6, 0.5]

    a.jpg#box-0    box_x 10, box_y 20, box_width 50, box_height 40
    b.jpg#box-0    box_ymin 0.1, box_xmin 0.2, box_ymax 0.3, box_xmax 0.6
    b.jpg#box-1    box_ymin 0.5, box_xmin 0.0, box_ymax 0.9, box_xmax 0.5

Boxes lie in the image as it is shown: upright, unless --exif ignore shows it as it is stored.
"""

import hashlib
import itertools
import json
import math
import re
import reprlib
import struct
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from transforms.errors import BoxOutsideError, EmptyBoxError, FlagError

if TYPE_CHECKING:  # Not for --help.
    import pyarrow as pa

LAYOUTS = {
    "xywh": ("x", "y", "width", "height"),
    "xyxy": ("xmin", "ymin", "xmax", "ymax"),
    "yxyx": ("ymin", "xmin", "ymax", "xmax"),
}
"""What a box's four numbers are: pixels in the first two, shares of the image in the third.

Source: xywh are COCO's, xyxy Pascal VOC's, yxyx those of TensorFlow's Object Detection API.
"""

_LARGEST = 3e38
"""What a float32 holds."""

_SIDES = len(LAYOUTS["yxyx"])

PIXEL_NAMES = ("box_x", "box_y", "box_width", "box_height")
SHARE_NAMES = ("box_ymin", "box_xmin", "box_ymax", "box_xmax")
"""Columns of the output that say a row's box, in pixels or in shares of the image."""

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
            EmptyBoxError: If it has no area, or a side that is no number.
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


class BoxColumns(NamedTuple):
    """Where inputs have their boxes: what --boxes says.

    Attributes:
        layout: One of LAYOUTS.
        names: Four columns; or one, of lists of four numbers, or in TFRecord what the names of four
            features begin with.
    """

    layout: str
    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "BoxColumns":
        """Reads "x,y,width,height" or "xywh=bbox".

        Raises:
            FlagError: If it names neither one column nor four different ones, or says no layout.
        """
        layout, _, named = text.partition("=")
        if layout not in LAYOUTS:
            layout, named = "", text
        names = tuple(named.split(","))
        if not layout:
            ends = tuple(re.split(r"[/._-]", name)[-1].lower() for name in names)
            layout = next((layout for layout, own in LAYOUTS.items() if own == ends), "")
        different = len(set(names))
        if not layout or different != len(names) or different not in (1, _SIDES) or not all(names):
            raise FlagError(
                f"--boxes {text}: wanted four columns x,y,width,height or xmin,ymin,xmax,ymax "
                "(pixels), or ymin,xmin,ymax,xmax (shares of the image); or, of other names, "
                "xywh=NAMES, xyxy=NAMES or yxyx=NAMES, where one name is a column of lists"
            )
        return cls(layout, names)

    @property
    def in_pixels(self) -> bool:
        """Whether boxes are given in pixels."""
        return self.layout != "yxyx"

    @property
    def in_output(self) -> tuple[str, ...]:
        """Columns of the output that say a row's box."""
        return PIXEL_NAMES if self.in_pixels else SHARE_NAMES

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the four features in TFRecord: image/object/bbox/ymin of image/object/bbox."""
        if len(self.names) == _SIDES:
            return self.names
        return tuple(f"{self.names[0]}/{side}" for side in LAYOUTS[self.layout])

    def read(self, values: Sequence[object]) -> list[tuple[float, ...]]:
        """Reads the boxes of a row, or of a record, as values of `in_output`.

            four names    10, 20, 50, 40              one box
                          [10, 0], [20, 0], ...       a box for each place of the lists
            one name      [10, 20, 50, 40]            one box; "[10, 20, 50, 40]" as text, too
                          [[10, 20, 50, 40], ...]     a box a list
            either        nothing, an empty list      no box

        Args:
            values: A value for each of the names.

        Raises:
            ValueError: If they are something else.
        """
        if all(value is None or value in ("", []) for value in values):
            return []
        if len(values) == 1:
            found = _parsed(values[0]) if isinstance(values[0], str) else values[0]
            rows = found if _are_boxes(found) else [found]
        elif _are_lists(values):
            rows = list(zip(*values, strict=True))
        else:
            rows = [values]
        return [self._as_output(row, number) for number, row in enumerate(rows)]

    def _as_output(self, values: object, number: int) -> tuple[float, ...]:
        """Turns four numbers of the layout into those of the output's columns."""
        if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != _SIDES:
            raise _no_box(values, number)
        try:
            first, second, third, fourth = map(float, values)
        except (TypeError, ValueError, OverflowError):
            raise _no_box(values, number) from None
        if self.layout == "xyxy":
            return first, second, third - first, fourth - second
        return first, second, third, fourth


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("brackets in brackets") from None


def _no_box(values: object, number: int) -> ValueError:
    return ValueError(f"box {number} is {reprlib.repr(values)}, not four numbers")


def _are_boxes(values: object) -> TypeGuard[Sequence[object]]:
    """Whether values are a box each, of which some may be none, and not the sides of one."""
    if not isinstance(values, Sequence):
        return False
    are_lists = [isinstance(value, list | tuple) for value in values]
    return any(are_lists) or all(value is None for value in values)


def _are_lists(values: object) -> TypeGuard[Sequence[Sequence[object]]]:
    return isinstance(values, Sequence) and all(isinstance(value, list | tuple) for value in values)


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
