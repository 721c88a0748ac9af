"""Where in a file the images of a shard are."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """Consecutive images of a file: one of the shards that a large file is divided into.

    Attributes:
        first_image: Index in the file of the first of them.
        images: Number of them; None of the last span, which goes on to the end of the file.
        start: Place in the file where they start: a byte, or of Parquet a row group.
        stop: Place where the next span starts; None of the last.
    """

    first_image: int
    images: int | None
    start: int
    stop: int | None

    def covers(self, image: int) -> bool:
        """Tells whether the image of an index is one of them."""
        end = None if self.images is None else self.first_image + self.images
        return self.first_image <= image and (end is None or image < end)
