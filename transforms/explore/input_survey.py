"""The images that a run was given: how large they are, and of which formats."""

import collections
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.schemas import HEIGHT, URI, WIDTH

COLUMNS = (URI, HEIGHT, WIDTH)
"""What a survey needs to know of an image."""

_ENDING = r"\.(?P<ending>[A-Za-z0-9]{2,4})$"
_FORMATS = {
    "jpg": "JPEG", "jpeg": "JPEG", "jpe": "JPEG", "jfif": "JPEG", "png": "PNG", "apng": "PNG",
    "gif": "GIF",
    "webp": "WebP", "bmp": "BMP", "dib": "BMP", "tif": "TIFF", "tiff": "TIFF", "avif": "AVIF",
    "jp2": "JPEG 2000", "j2k": "JPEG 2000", "jpx": "JPEG 2000", "ico": "ICO", "psd": "PSD",
    "heic": "HEIF", "heif": "HEIF", "hif": "HEIF", "jxl": "JPEG XL", "ppm": "PNM", "pgm": "PNM",
    "pbm": "PNM", "pnm": "PNM", "tga": "TGA", "qoi": "QOI",
}  # fmt: skip


class Size(NamedTuple):
    """A size that images have, as stored.

    Attributes:
        height: Height in pixels.
        width: Width in pixels.
        images: Number of images of this size.
    """

    height: int
    width: int
    images: int


class InputSurvey:
    """Sizes and formats of the images of a run, gathered while its rows are read."""

    def __init__(self) -> None:
        self._sizes: list[npt.NDArray[np.int32]] = []
        self._endings: collections.Counter[str | None] = collections.Counter()

    def add(self, rows: pa.RecordBatch) -> None:
        """Takes in some rows, with the columns COLUMNS."""
        sides = (rows.column(name).to_numpy(zero_copy_only=False) for name in (HEIGHT, WIDTH))
        self._sizes.append(np.stack([side.astype(np.int32) for side in sides], axis=1))
        found = pc.struct_field(pc.extract_regex(rows.column(URI), _ENDING), "ending")
        for counted in pc.value_counts(pc.utf8_lower(found)).to_pylist():
            self._endings[counted["values"]] += counted["counts"]

    def sizes(self) -> npt.NDArray[np.int32]:
        """Returns height and width of every image in pixels, int32 [rows, 2]."""
        return np.concatenate(self._sizes)

    def frequent_sizes(self, count: int) -> list[Size]:
        """Returns the sizes that most images have, the most frequent first."""
        sizes, images = np.unique(self.sizes(), axis=0, return_counts=True)
        order = np.argsort(-images, kind="stable")[:count]
        return [
            Size(height, width, count)
            for (height, width), count in zip(
                sizes[order].tolist(), images[order].tolist(), strict=True
            )
        ]

    def formats(self) -> dict[str, int]:
        """Returns the formats by the endings of names, and how many images each has.

        What has no ending that is known is left out, as are images inside of other files.
        """
        counts: collections.Counter[str] = collections.Counter()
        for ending, images in self._endings.items():
            if ending in _FORMATS:
                counts[_FORMATS[ending]] += images
        return dict(counts.most_common())
