"""Small pictures of a run's images, read and drawn again."""

import base64
import collections
import contextlib
import hashlib
import io
from collections.abc import Collection, Iterator, Mapping
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
    boxes = boxes_of(rows)
    boxes_of_uri: collections.defaultdict[str, set[ImageBox | None]] = collections.defaultdict(set)
    for uri, box in zip(uris, boxes, strict=True):
        boxes_of_uri[uri].add(box)
    with _forgiving_pillow() if damaged else contextlib.nullcontext():
        drawn = {
            uri: _draw(image, boxes_of_uri[uri], side_pixels, limits)
            for uri, image in read_named_images(uris, columns, limits["max_image_bytes"])
        }
    return [
        drawn[uri][box].of(content) for uri, content, box in zip(uris, hashes, boxes, strict=True)
    ]


def draw_thumbnail(encoded: bytes, side_pixels: int, max_image_pixels: int) -> bytes:
    """Draws an image small and upright, its aspect ratio kept; one that is smaller stays so.

    Args:
        encoded: The whole file.
        side_pixels: Longest side of the picture.
        max_image_pixels: The limit on what is decoded.

    Returns:
        A JPEG file.

    Raises:
        ImageError: If it cannot be decoded, or is too large.
    """
    image, orientation = _decode(encoded, max_image_pixels, enough_pixels=2 * side_pixels)
    image.thumbnail((side_pixels, side_pixels))
    return _to_jpeg(_turned(image, orientation), side_pixels)


def draw_boxes(
    encoded: bytes,
    boxes: Collection[ImageBox | None],
    side_pixels: int,
    policy: Mapping[str, Any],
) -> dict[ImageBox | None, bytes | ImageError]:
    """Draws parts of an image as draw_thumbnail does all of it; it is decoded once.

    Args:
        encoded: The whole file.
        boxes: The parts, as they were given; None is all of it.
        side_pixels: Longest side of each picture.
        policy: Preprocessing of their run, by its _run.json: the limit on pixels, the margin, and
            whether boxes lie in the upright image or in the one that is stored.

    Returns:
        A JPEG file of each part, or why there is none.

    Raises:
        ImageError: If the image cannot be decoded, or is too large.
    """
    image, orientation = _decode(encoded, policy["max_image_pixels"])
    if policy["exif"] == "apply":
        image, orientation = _turned(image, orientation), 1
    drawn: dict[ImageBox | None, bytes | ImageError] = {}
    for box in boxes:
        try:
            part = _turned(_cut(image, box, policy.get("box_margin", 0.0)), orientation)
        except ImageError as error:
            drawn[box] = error
        else:
            part.thumbnail((side_pixels, side_pixels))
            drawn[box] = _to_jpeg(part, side_pixels)
    return drawn


def _decode(
    encoded: bytes, max_image_pixels: int, enough_pixels: int | None = None
) -> tuple[PIL.Image.Image, int]:
    """Decodes an image as it is stored, and returns its EXIF orientation, too.

    Args:
        encoded: The whole file.
        max_image_pixels: The limit on its size.
        enough_pixels: Side that is large enough, where a JPEG file can be decoded smaller; None
            decodes it as large as it is.
    """
    header = read_header(encoded)
    if header.height * header.width > max_image_pixels:
        raise ImageTooLargeError(
            f"{header.height} x {header.width} pixels, the limit is {max_image_pixels}"
        )
    if header.format != "JPEG":
        return PIL.Image.fromarray(_decode_pixels(encoded, header)), header.orientation
    try:
        with open_with_pillow(encoded, header.format) as opened:
            if enough_pixels is not None:
                opened.draft("RGB", (enough_pixels, enough_pixels))
            return opened.convert("RGB"), header.orientation
    except PILLOW_ERRORS as error:
        raise CorruptImageError(f"damaged JPEG data: {reason(error)}") from error


def _decode_pixels(encoded: bytes, header: ImageHeader) -> npt.NDArray[np.uint8]:
    if header.decoder != "libjxl":
        return decode_with_pillow(encoded, header)
    from transforms.images.jxl_decoder import decode_jxl  # It imports TensorFlow.

    return decode_jxl(encoded, header)


def _turned(image: PIL.Image.Image, orientation: int) -> PIL.Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _cut(image: PIL.Image.Image, box: ImageBox | None, margin: float) -> PIL.Image.Image:
    """Returns a copy of a part."""
    if box is None:
        return image.copy()
    top, left, height, width = box.within(image.height, image.width, margin)
    return image.crop((left, top, left + width, top + height))


def _to_jpeg(image: PIL.Image.Image, side_pixels: int) -> bytes:
    for quality in _QUALITIES:
        picture = io.BytesIO()
        image.save(picture, "JPEG", quality=quality, optimize=True)
        if picture.tell() <= _LEAST_BYTES + _BYTES_A_PIXEL * side_pixels**2:
            break
    return picture.getvalue()


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


def _draw(
    image: bytes | str,
    boxes: Collection[ImageBox | None],
    side_pixels: int,
    policy: Mapping[str, Any],
) -> dict[ImageBox | None, _Drawn]:
    """Draws the parts of an image that are wanted, or says what is wrong with it."""
    if isinstance(image, str):
        return dict.fromkeys(boxes, _Drawn(image))
    pictures: Mapping[ImageBox | None, bytes | ImageError]
    try:
        if any(boxes):
            pictures = draw_boxes(image, boxes, side_pixels, policy)
        else:
            pictures = {None: draw_thumbnail(image, side_pixels, policy["max_image_pixels"])}
    except ImageError as error:
        return dict.fromkeys(boxes, _Drawn(str(error)))
    content, image_format = hashlib.sha256(image).hexdigest(), find_format(image)
    return {
        box: _Drawn(str(picture))
        if isinstance(picture, ImageError)
        else _Drawn("", picture, content_of_box(content, box), image_format)
        for box, picture in pictures.items()
    }
