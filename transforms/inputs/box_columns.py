"""The columns that say boxes, as the user names them, and what they hold.

A row of a list, and a record of detection data, whose boxes become one form each:

    --boxes x,y,width,height           x 10, y 20, width 50, height 40      pixels
    --boxes yxyx=image/object/bbox     ymin [0.1, 0.5], xmin [0.2, 0.0],    shares of the image
                                       ymax [0.3, 0.9], xmax [0.6, 0.5]

    a.jpg#box-0    box_x 10, box_y 20, box_width 50, box_height 40
    b.jpg#box-0    box_ymin 0.1, box_xmin 0.2, box_ymax 0.3, box_xmax 0.6
    b.jpg#box-1    box_ymin 0.5, box_xmin 0.0, box_ymax 0.9, box_xmax 0.5
"""

import json
import re
import reprlib
from collections.abc import Sequence
from typing import NamedTuple, TypeGuard

from transforms.boxes import PIXEL_NAMES, SHARE_NAMES
from transforms.errors import FlagError

LAYOUTS = {
    "xywh": ("x", "y", "width", "height"),
    "xyxy": ("xmin", "ymin", "xmax", "ymax"),
    "yxyx": ("ymin", "xmin", "ymax", "xmax"),
}
"""What a box's four numbers are: pixels in the first two, shares of the image in the third.

Source: xywh are COCO's, xyxy Pascal VOC's, yxyx those of TensorFlow's Object Detection API.
"""

_SIDES = len(PIXEL_NAMES)


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
            counts = list(map(len, values))
            if len(set(counts)) > 1:
                raise ValueError(f"their lists have {counts} numbers, wanted one a box in each")
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
    except ValueError as error:
        wanted = "wanted four numbers, [10, 20, 50, 40], or a list of such lists"
        raise ValueError(f"{reprlib.repr(text)} is not JSON, {wanted}: {error}") from None


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
