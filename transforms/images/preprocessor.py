"""Turns encoded images into the pixels that a model takes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transforms.boxes import ImageBox, same_runs
from transforms.errors import CorruptImageError, FileTooLargeError, ImageError, ImageTooLargeError
from transforms.images.header import ImageHeader
from transforms.images.isolated_decoder import decode_apart, read_header_apart
from transforms.images.jpeg_batches import JpegBatches, ReadImage
from transforms.images.jpeg_decoder import is_unmarked_cmyk
from transforms.images.pixel_graphs import PixelGraphs, PlacementRow
from transforms.images.placement import RATIOS, Box, Placement, place
from transforms.images.policy import Preprocessing
from transforms.images.stripped import strip
from transforms.images.tensor_view import view

_PNG_END = b"IEND"
"""The kind of a PNG's last chunk."""
_TAIL_BYTES = 64
"""Where whole files have it; some programs append a little."""

_MAX_SIDE = 1_000_000
"""Of an image as it is stored, in pixels."""

_TENSORFLOW_ERRORS = (tf.errors.InvalidArgumentError,)

_Part = tuple[list[int], npt.NDArray[Any]]
"""Places of images in the batch, and their pixels [places, height, width, 3]."""


class Preprocessed(NamedTuple):
    """A batch of images, those that could be decoded, in order.

    Attributes:
        pixels: Array [good, height, width, 3], of the policy's size, dtype and range; read only.
        heights: int32 [good], heights of the upright images before resizing, in pixels.
        widths: int32 [good], widths of the same, in pixels.
        errors: Errors of the images that could not be decoded, by place in the batch.
    """

    pixels: npt.NDArray[Any]
    heights: npt.NDArray[np.int32]
    widths: npt.NDArray[np.int32]
    errors: dict[int, ImageError]


class Preprocessor:
    """Decodes, orients, resizes and scales images as a policy says.

    The reference is `tf.io.decode_image(encoded, channels=3, expand_animations=False)`, then
    `tf.image.convert_image_dtype(image, tf.float32)`, then `tf.image.resize`; equal to 1e-6 for
    everything that TensorFlow decodes right. It scales after resizing, which is equal and faster.
    An image's pixels do not depend on the batch that it comes in.

    With `decode="fast"`, JPEG photos of at least twice the wanted size are decoded smaller and then
    filtered; whatever is not, is bit for bit what "exact" makes of it.

    Made once a process; threads may call it at the same time.
    """

    def __init__(self, policy: Preprocessing) -> None:
        """Traces the graphs; nothing is traced later.

        Args:
            policy: Size, range and dtype of the pixels, and the way there.
        """
        self._policy = policy
        self._graphs = PixelGraphs(policy)
        self._jpegs = JpegBatches(self._graphs)

    @property
    def policy(self) -> Preprocessing:
        """The policy by which it makes pixels of images."""
        return self._policy

    def __call__(
        self, encoded: Sequence[bytes], boxes: Sequence[ImageBox | None] | None = None
    ) -> Preprocessed:
        """Preprocesses a batch; a bad image costs only itself.

        JPEG files are decoded side by side. PNG files are one call to TensorFlow. What is left goes
        one by one. Of a batch of [JPEG, PNG, GIF, a JPEG cut short, HTML, PNG]:

            headers read        images 0, 1, 2, 3, 5; an error for 4
            jpegs               0; an error for 3
            together            1 and 5, in one call; all or nothing, as one failure fails the call
            alone               2 by Pillow
            result              pixels of 0, 1, 2, 5; errors {3: ..., 4: ...}

        An image that comes several times in a row, as one object, with a box each, is decoded once.
        Each box is placed as an image of its pixels alone would be.

        Args:
            encoded: Image files, whole, of any mix of formats.
            boxes: The box of each that is wanted; None, of one or all, stands for the whole image.
        """
        images: dict[int, ReadImage] = {}
        errors: dict[int, ImageError] = {}
        for run in same_runs(encoded):
            own = [boxes[index] if boxes else None for index in run]
            for index, found in zip(run, self._read(encoded[run[0]], own), strict=True):
                if isinstance(found, ImageError):
                    errors[index] = found
                else:
                    images[index] = found
        jpegs = [index for index, image in images.items() if image.header.format == "JPEG"]
        batch = self._jpegs([images[index] for index in jpegs])
        errors |= {jpegs[place]: error for place, error in batch.errors.items()}
        parts = [([jpegs[place] for place in places], pixels) for places, pixels in batch.parts]
        files = [
            [index for index in run if index in images and index not in errors]
            for run in same_runs(encoded)
        ]
        together = [places[0] for places in files if _are_promising([images[i] for i in places])]
        pixels = self._run_together([images[index] for index in together])
        if pixels is not None:
            parts.append((together, pixels))
        done = {index for places, _ in parts for index in places}
        for places in files:
            if not places or places[0] in done:
                continue
            try:
                parts.append((places, self._run_file([images[index] for index in places])))
            except ImageError as error:
                errors |= dict.fromkeys(places, error)
        good = sorted(images.keys() - errors.keys())
        sizes = np.array([_upright_size(images[index]) for index in good], np.int32).reshape(-1, 2)
        heights, widths = sizes[:, 0].copy(), sizes[:, 1].copy()
        return Preprocessed(self._joined(parts, good), heights, widths, errors)

    def _joined(self, parts: list[_Part], good: list[int]) -> npt.NDArray[Any]:
        """Returns the pixels of all parts in order: if it is one part, its own memory."""
        if len(parts) == 1 and parts[0][0] == good:
            return parts[0][1]
        joined = np.empty((len(good), *self._policy.image_size, 3), self._policy.dtype)
        rows = {index: row for row, index in enumerate(good)}
        for places, pixels in parts:
            for index, image in zip(places, pixels, strict=True):
                joined[rows[index]] = image
        return joined

    def _read(
        self, encoded: bytes, boxes: Sequence[ImageBox | None]
    ) -> list[ReadImage | ImageError]:
        """Reads the header, checks the limits, and says where the pixels of each part go."""
        try:
            encoded, header = self._open(encoded)
        except ImageError as error:
            return [error] * len(boxes)
        found: list[ReadImage | ImageError] = []
        may_shrink = self._policy.decode == "fast"
        for box in boxes:
            try:
                part = self._part(header, box)
            except ImageError as error:
                found.append(error)
            else:
                placement = self._place(header, part, may_shrink=may_shrink)
                found.append(ReadImage(encoded, header, placement, part))
        images = [image for image in found if isinstance(image, ReadImage)]
        ratio = min((image.placement.ratio for image in images), default=1)
        # All parts are cut from one decoded image.
        return [
            image._replace(
                placement=self._place(
                    header, image.part, may_shrink=may_shrink, largest_ratio=ratio
                )
            )
            if isinstance(image, ReadImage) and image.placement.ratio > ratio
            else image
            for image in found
        ]

    def _open(self, encoded: bytes) -> tuple[bytes, ImageHeader]:
        """Returns the image as decoders are to see it, and its header, within the limits."""
        policy = self._policy
        if len(encoded) > policy.max_image_bytes:
            raise FileTooLargeError(
                f"{len(encoded)} bytes, --max_image_bytes is {policy.max_image_bytes}"
            )
        header = read_header_apart(encoded, policy.max_image_seconds)
        if header.height * header.width > policy.max_image_pixels:
            raise ImageTooLargeError(
                f"{header.height} x {header.width} pixels, --max_image_pixels is "
                f"{policy.max_image_pixels}"
            )
        if max(header.height, header.width) > _MAX_SIDE:
            raise ImageTooLargeError(
                f"{header.height} x {header.width} pixels, wanted at most {_MAX_SIDE} a side: "
                "decoders make room for each row"
            )
        # TensorFlow unpacks all texts of a PNG.
        return (strip(encoded, "PNG") if header.format == "PNG" else encoded), header

    def _part(self, header: ImageHeader, box: ImageBox | None) -> Box | None:
        """Returns the pixels of a box, with its margin, in the upright image."""
        if box is None:
            return None
        height, width = header.height, header.width
        upright = (width, height) if self._orientation(header) >= 5 else (height, width)
        return Box(*box.within(*upright, self._policy.box_margin or 0.0))

    def _orientation(self, header: ImageHeader) -> int:
        return header.orientation if self._policy.exif == "apply" else 1

    def _place(
        self,
        header: ImageHeader,
        part: Box | None,
        *,
        may_shrink: bool,
        largest_ratio: int = RATIOS[-1],
    ) -> Placement:
        """Says where the pixels go; only JPEG can shrink in decoding."""
        return place(
            header.height,
            header.width,
            self._orientation(header),
            self._policy,
            part=part,
            may_shrink=may_shrink and header.format == "JPEG",
            largest_ratio=largest_ratio,
        )

    def _run_together(self, images: Sequence[ReadImage]) -> npt.NDArray[Any] | None:
        """Runs TensorFlow on a batch, in one call; returns None if one image fails."""
        if not images:
            return None
        encoded = tf.constant([image.encoded for image in images], tf.string)
        rows = tf.constant([PlacementRow.of(image.placement) for image in images], tf.int32)
        try:
            pixels, sizes = self._graphs.decode_together(encoded, rows)
        except _TENSORFLOW_ERRORS:
            return None
        decoded_sizes = [[image.header.height, image.header.width] for image in images]
        # Data of another size than its header says would be put in the wrong place.
        return view(pixels) if sizes.numpy().tolist() == decoded_sizes else None

    def _run_file(self, images: Sequence[ReadImage]) -> npt.NDArray[Any]:
        """Runs TensorFlow on the parts of one image, or Pillow if TensorFlow cannot decode it."""
        encoded, header = images[0].encoded, images[0].header
        is_negative = header.format == "JPEG" and is_unmarked_cmyk(encoded)
        if header.decoder == "tensorflow" and not is_negative:
            try:
                return self._run_tensorflow(images)
            except _TENSORFLOW_ERRORS:
                pass
        # Decoded whole even if "fast": JPEG files that only Pillow decodes are rare.
        decoded = decode_apart(encoded, header, self._policy.max_image_seconds)
        return self._finish_parts(tf.constant(decoded), images)

    def _run_tensorflow(self, images: Sequence[ReadImage]) -> npt.NDArray[Any]:
        image = images[0]
        encoded = tf.constant(image.encoded)
        if len(images) == 1:
            row = tf.constant(PlacementRow.of(image.placement), tf.int32)
            pixels, size = self._graphs.decode_alone(encoded, row)
            _check_size(image, size, image.placement.ratio)
            return view(pixels)[np.newaxis]
        decoded = self._graphs.decode_whole(encoded)
        _check_size(image, tf.shape(decoded)[:2], ratio=1)
        return self._finish_parts(decoded, images)

    def _finish_parts(self, decoded: tf.Tensor, images: Sequence[ReadImage]) -> npt.NDArray[Any]:
        """Finishes the parts of an image that is decoded whole."""
        placements = [self._place(i.header, i.part, may_shrink=False) for i in images]
        rows = [tf.constant(PlacementRow.of(placement), tf.int32) for placement in placements]
        return np.stack([view(self._graphs.finish_alone(decoded, row)) for row in rows])


def _check_size(image: ReadImage, size: tf.Tensor, ratio: int) -> None:
    """Checks that an image was decoded to the size that its header says."""
    header = image.header
    decoded = tuple(size.numpy().tolist())
    if decoded != (-(-header.height // ratio), -(-header.width // ratio)):
        raise CorruptImageError(
            f"the {header.format} header says {header.height} x {header.width} "
            f"pixels, its data {decoded[0] * ratio} x {decoded[1] * ratio}"
        )


def _are_promising(images: Sequence[ReadImage]) -> bool:
    """Returns whether it is one PNG and likely whole; one failure would cost its batch a retry."""
    if len(images) != 1:
        return False
    # Most bad files are cut short.
    return images[0].header.format == "PNG" and _PNG_END in images[0].encoded[-_TAIL_BYTES:]


def _upright_size(image: ReadImage) -> tuple[int, int]:
    """Returns height and width before anything is done to it."""
    height, width = image.header.height, image.header.width
    return (width, height) if image.placement.is_turned else (height, width)
