"""Places in a file of images where it may be cut."""

from typing import NamedTuple


class Place(NamedTuple):
    """A place right before an image.

    Attributes:
        image: Index of the image in the file.
        start: Byte where the image starts, or of Parquet the row group that starts with it.
        offset: Stored bytes of the file that are before it, about.
    """

    image: int
    start: int
    offset: int
