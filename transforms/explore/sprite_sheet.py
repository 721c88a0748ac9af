"""Many small pictures as one image, row by row from the top left."""

import io
import math

import PIL.Image

from transforms.explore.thumbnails import Thumbnail

_LARGEST_SIDE_PIXELS = 64
_SHEET_PIXELS = 4096
"""Longest side of a sheet: what any graphics card takes as a texture; TensorBoard refuses 8192."""

_GRAY = (128, 128, 128)


class SpriteSheet:
    """Takes pictures one by one and draws each in a square of its own.

    Attributes:
        side_pixels: Of a square.
        absent: Pictures so far that are none: gray squares.
    """

    def __init__(self, count: int) -> None:
        """Makes an empty sheet.

        Args:
            count: Pictures, at least one.
        """
        self._columns = math.ceil(math.sqrt(count))
        self.side_pixels = min(_LARGEST_SIDE_PIXELS, _SHEET_PIXELS // self._columns)
        side = self._columns * self.side_pixels
        # A square: TensorBoard counts the squares of a row by the width alone.
        self._sheet = PIL.Image.new("RGB", (side, side), _GRAY)
        self._added = self.absent = 0

    def add(self, thumbnail: Thumbnail) -> None:
        """Draws the next picture, in the middle of its square."""
        row, column = divmod(self._added, self._columns)
        self._added += 1
        if not thumbnail.jpeg:
            self.absent += 1
            return
        with PIL.Image.open(io.BytesIO(thumbnail.jpeg), formats=("JPEG",)) as picture:
            left = column * self.side_pixels + (self.side_pixels - picture.width) // 2
            top = row * self.side_pixels + (self.side_pixels - picture.height) // 2
            self._sheet.paste(picture, (left, top))

    def save(self, path: str) -> None:
        """Writes a PNG file.

        Raises:
            OSError: If it cannot.
        """
        self._sheet.save(path, "PNG")
