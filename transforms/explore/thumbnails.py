"""Small pictures of a run's images, read and drawn again."""

import base64
import collections
import contextlib
import hashlib
import io
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageFile
import pyarrow as pa

from transforms.boxes import ImageBox, box_names, boxes_of, content_of_box
from transforms.errors import CorruptImageError, ImageError, ImageTooLargeError
from transforms.explore.named_images import read_named_images
from transforms.images.header import ImageHeader, read_header
from transforms.images.pillow_decoder import decode_with_pillow
from transforms.images.pillow_files import (
    PILLOW_ERRORS,
    find_format,
    open_with_pillow,
    reason,
)
from transforms.inputs.columns import FileColumns
from transforms.schemas import CONTENT_SHA256, URI

COLUMNS = (URI, CONTENT_SHA256)
"""What a thumbnail needs to know of an image."""

_QUALITIES = (80, 60, 40, 20)
_BYTES_A_PIXEL, _LEAST_BYTES = 0.25, 1024
"""What a picture may take, of its longest side's square: noise is drawn worse, pages stay small."""
_TRANSPOSE = PIL.Image.Transpose
_UPRIGHT = {
    2: _TRANSPOSE.FLIP_LEFT_RIGHT,
    3: _TRANSPOSE.ROTATE_180,
    4: _TRANSPOSE.FLIP_TOP_BOTTOM,
    5: _TRANSPOSE.TRANSPOSE,
    6: _TRANSPOSE.ROTATE_270,
    7: _TRANSPOSE.TRANSVERSE,
    8: _TRANSPOSE.ROTATE_90,
}
"""What turns an image upright, by its EXIF orientation (EXIF 2.32, section 4.6.5, tag 274)."""


class Crop(NamedTuple):
    """The part of an image that a run's row is of.

    Attributes:
        box: The box as it was given.
        margin: Share of its size that was added on each side.
        is_upright: Whether it lies in the upright image, else in the image as stored.
    """

    box: ImageBox
    margin: float
    is_upright: bool


class Thumbnail(NamedTuple):
    """A small picture of an image, or why there is none.

    Attributes:
        jpeg: A JPEG file of fresh pixels, nothing of the original in it; empty if there is none.
        note: Words for what is wrong: it is gone, damaged, or has changed since the run; else
            empty.
        format: Format of the image, under Pillow's name; empty if it is not known.
    """

    jpeg: bytes
    note: str
    format: str = ""

    @property
    def data_uri(self) -> str:
        """The picture as a `data:` URI, or empty."""
        if not self.jpeg:
            return ""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode()}"


def thumbnail_columns(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns what a thumbnail needs to know of an image of a run, by its _run.json."""
    return (*COLUMNS, *box_names(record["columns"]["carry_columns"]))


def read_thumbnails(
    record: Mapping[str, Any], rows: pa.Table, side_pixels: int, *, damaged: bool = False
) -> list[Thumbnail]:
    """Reads images of a run again and draws them small.

    Args:
        record: The _run.json of their run: where images are in files, and the limits on them.
        rows: Table with the columns of `thumbnail_columns`; without those of boxes whole images are
            drawn.
        side_pixels: Longest side of a picture.
        damaged: Whether what is left of a damaged image is drawn too.

    Returns:
        One for each row.
    """
    config, limits = record["config"], record["preprocessing"]
    columns = FileColumns(config["image_key"], config["image_id_from"], pa.schema([]))
    uris, hashes = (rows[name].to_pylist() for name in COLUMNS)
    margin, is_upright = limits.get("box_margin", 0.0), limits["exif"] == "apply"
    crops = [box and Crop(box, margin, is_upright) for box in boxes_of(rows)]
    crops_of_uri: collections.defaultdict[str, set[Crop | None]] = collections.defaultdict(set)
    for uri, crop in zip(uris, crops, strict=True):
        crops_of_uri[uri].add(crop)
    with _forgiving_pillow() if damaged else contextlib.nullcontext():
        drawn = {
            (uri, crop): _draw(image, side_pixels, limits["max_image_pixels"], crop)
            for uri, image in read_named_images(uris, columns, limits["max_image_bytes"])
            for crop in crops_of_uri[uri]
        }
    return [
        drawn[uri, crop].of(content) for uri, content, crop in zip(uris, hashes, crops, strict=True)
    ]


def draw_thumbnail(
    encoded: bytes, side_pixels: int, max_image_pixels: int, crop: Crop | None = None
) -> bytes:
    """Draws an image small and upright, its aspect ratio kept; one that is smaller stays so.

    Args:
        encoded: The whole file.
        side_pixels: Longest side of the picture.
        max_image_pixels: The limit on what is decoded.
        crop: The part that is drawn; None draws all.

    Returns:
        A JPEG file.

    Raises:
        ImageError: If it cannot be decoded, or is too large, or the part is not in it.
    """
    header = read_header(encoded)
    if header.height * header.width > max_image_pixels:
        raise ImageTooLargeError(
            f"{header.height} x {header.width} pixels, the limit is {max_image_pixels}"
        )
    if header.format == "JPEG":
        try:
            with open_with_pillow(encoded, header.format) as opened:
                if crop is None:
                    opened.draft("RGB", (2 * side_pixels, 2 * side_pixels))
                image = opened.convert("RGB")
        except PILLOW_ERRORS as error:
            raise CorruptImageError(f"damaged JPEG data: {reason(error)}") from error
    else:
        image = PIL.Image.fromarray(_decode(encoded, header))
    if crop is None:
        image.thumbnail((side_pixels, side_pixels))
    elif not crop.is_upright:
        image = _cut(image, crop)
    if header.orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[header.orientation])
    if crop is not None and crop.is_upright:
        image = _cut(image, crop)
    image.thumbnail((side_pixels, side_pixels))
    for quality in _QUALITIES:
        picture = io.BytesIO()
        image.save(picture, "JPEG", quality=quality, optimize=True)
        if picture.tell() <= _LEAST_BYTES + _BYTES_A_PIXEL * side_pixels**2:
            break
    return picture.getvalue()


def _cut(image: PIL.Image.Image, crop: Crop) -> PIL.Image.Image:
    top, left, height, width = crop.box.within(image.height, image.width, crop.margin)
    return image.crop((left, top, left + width, top + height))


def _decode(encoded: bytes, header: ImageHeader) -> npt.NDArray[np.uint8]:
    if header.decoder != "libjxl":
        return decode_with_pillow(encoded, header)
    from transforms.images.jxl_decoder import decode_jxl  # It imports TensorFlow.

    return decode_jxl(encoded, header)


@contextlib.contextmanager
def _forgiving_pillow() -> Iterator[None]:
    """Lets Pillow draw JPEG files as far as they go; of this process, so it is for one thread."""
    before = PIL.ImageFile.LOAD_TRUNCATED_IMAGES
    PIL.ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        PIL.ImageFile.LOAD_TRUNCATED_IMAGES = before


class _Drawn(NamedTuple):
    """A picture and what it is of, or why there is none."""

    note: str
    jpeg: bytes = b""
    content_sha256: str = ""
    format: str = ""

    def of(self, content_sha256: str) -> Thumbnail:
        """Returns the picture for a run's image of this content."""
        has_changed = self.jpeg and self.content_sha256 != content_sha256
        note = "changed since the run" if has_changed else self.note
        return Thumbnail(self.jpeg, note, self.format)


def _draw(image: bytes | str, side_pixels: int, max_image_pixels: int, crop: Crop | None) -> _Drawn:
    if isinstance(image, str):
        return _Drawn(image)
    try:
        jpeg = draw_thumbnail(image, side_pixels, max_image_pixels, crop)
    except ImageError as error:
        return _Drawn(str(error))
    content = content_of_box(hashlib.sha256(image).hexdigest(), crop and crop.box)
    return _Drawn("", jpeg, content, find_format(image))
