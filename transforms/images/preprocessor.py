"""Turns encoded images into the pixels that a model takes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transforms.errors import CorruptImageError, ImageError
from transforms.images.isolated_decoder import decode_apart
from transforms.images.jpeg_batches import Finish, JpegBatches
from transforms.images.jpeg_decoder import is_unmarked_cmyk
from transforms.images.pixel_graphs import PixelGraphs, PlacementRow
from transforms.images.policy import Preprocessing
from transforms.images.read_image import Boxes, ImageReader, ReadImage, by_file
from transforms.images.tensor_view import view

_PNG_END = b"IEND"
"""The kind of a PNG's last chunk."""
_TAIL_BYTES = 64
"""Where whole files have it; some programs append a little."""

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

    def __init__(self, policy: Preprocessing, jpegs: JpegBatches | None = None) -> None:
        """Traces the graphs; nothing is traced later.

        Args:
            policy: Size, range and dtype of the pixels, and the way there.
            jpegs: Decoder of JPEG files, where several Preprocessors have one; None makes it.
        """
        self._policy = policy
        self._reader = ImageReader(policy)
        self._graphs = PixelGraphs(policy)
        self._jpegs = jpegs or JpegBatches()

    @property
    def policy(self) -> Preprocessing:
        """The policy by which it makes pixels of images."""
        return self._policy

    def __call__(self, encoded: Sequence[bytes], boxes: Boxes | None = None) -> Preprocessed:
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
        (pixels,) = preprocess_together([self], encoded, boxes)
        return pixels

    def _finish(
        self,
        images: Mapping[int, ReadImage],
        parts: list[_Part],
        errors: dict[int, ImageError],
    ) -> Preprocessed:
        """Does all but JPEG, and puts the batch together.

        Args:
            images: Images by place in the batch.
            parts: Pixels of the JPEG files.
            errors: Errors so far, by place in the batch.
        """
        files = [places for places in by_file(images) if places[0] not in errors]
        together = [places[0] for places in files if _are_promising([images[i] for i in places])]
        pixels = self._run_together([images[index] for index in together])
        if pixels is not None:
            parts.append((together, pixels))
        done = {index for places, _ in parts for index in places}
        for places in files:
            if places[0] in done:
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
        decoded_sizes = [list(_decoded_size(image)) for image in images]
        # Data of another size than its header says would be put in the wrong place.
        return view(pixels) if sizes.numpy().tolist() == decoded_sizes else None

    def _run_file(self, images: Sequence[ReadImage]) -> npt.NDArray[Any]:
        """Runs TensorFlow on the parts of one image, or Pillow if TensorFlow cannot decode it."""
        encoded, header = images[0].encoded, images[0].header
        is_negative = header.format == "JPEG" and is_unmarked_cmyk(encoded)
        if header.decoder == "tensorflow" and not is_negative and images[0].profile is None:
            try:
                return self._run_tensorflow(images)
            except _TENSORFLOW_ERRORS:
                pass
        # Decoded whole even if "fast": JPEG files that only Pillow decodes are rare.
        seconds, color_profile = self._policy.max_image_seconds, self._policy.color_profile
        decoded = decode_apart(encoded, header, seconds, color_profile)
        return self._finish_parts(tf.constant(decoded), images)

    def _run_tensorflow(self, images: Sequence[ReadImage]) -> npt.NDArray[Any]:
        image = images[0]
        encoded = tf.constant(image.encoded)
        if len(images) == 1 or image.placement.ratio > 1:
            # What is decoded smaller is filtered, too; such files come seldom.
            return np.stack([self._run_alone(encoded, image) for image in images])
        decoded = self._graphs.decode_whole(encoded)
        _check_size(image, tf.shape(decoded)[:2], ratio=1)
        return self._finish_parts(decoded, images)

    def _run_alone(self, encoded: tf.Tensor, image: ReadImage) -> npt.NDArray[Any]:
        row = tf.constant(PlacementRow.of(image.placement), tf.int32)
        pixels, size = self._graphs.decode_alone(encoded, row)
        _check_size(image, size, image.placement.ratio)
        return view(pixels)

    def _finish_parts(self, decoded: tf.Tensor, images: Sequence[ReadImage]) -> npt.NDArray[Any]:
        """Finishes the parts of an image that is decoded whole."""
        placements = map(self._reader.place_whole, images)
        rows = [tf.constant(PlacementRow.of(placement), tf.int32) for placement in placements]
        return np.stack([view(self._graphs.finish_alone(decoded, row)) for row in rows])


def preprocess_together(
    preprocessors: Sequence[Preprocessor],
    encoded: Sequence[bytes],
    boxes: Boxes | None = None,
) -> list[Preprocessed]:
    """Preprocesses a batch in several ways; headers are read once, JPEG files decoded once a size.

    Of "fast" ways to 20 x 20, 24 x 24 and 80 x 80 pixels, and photos of 200 x 200, the first two
    have them decoded at 1/8 of their size, and the third at 1/2.

    Args:
        preprocessors: Ways; their policies have the same limits; and, of boxes, the same exif.
        encoded: Image files, whole, of any mix of formats.
        boxes: The box of each that is wanted; None, of one or all, stands for the whole image.

    Returns:
        What each makes of them alone.
    """
    first, *others = preprocessors
    images, errors = first._reader.read(encoded, boxes)
    placed = [images, *(other._reader.place_again(images, boxes) for other in others)]
    jpegs = [index for index, image in images.items() if image.header.format == "JPEG"]
    seconds = first.policy.max_image_seconds
    made: dict[int, Preprocessed] = {}
    for ways in _shrinking_alike(placed, jpegs):
        finishes = [
            Finish(preprocessors[way]._graphs, [placed[way][index].placement for index in jpegs])
            for way in ways
        ]
        batch = first._jpegs([placed[ways[0]][index] for index in jpegs], finishes, seconds)
        failed = errors | {jpegs[place]: error for place, error in batch.errors.items()}
        for way, parts in zip(ways, batch.parts, strict=True):
            made[way] = preprocessors[way]._finish(
                placed[way],
                [([jpegs[place] for place in places], pixels) for places, pixels in parts],
                {**failed},
            )
    return [made[way] for way in range(len(preprocessors))]


def _shrinking_alike(
    placed: Sequence[Mapping[int, ReadImage]], jpegs: Sequence[int]
) -> Iterable[list[int]]:
    """Returns the ways, by number, that want every JPEG file decoded at one size."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for way, images in enumerate(placed):
        ratios = tuple(images[index].placement.ratio for index in jpegs)
        alike.setdefault(ratios, []).append(way)
    return alike.values()


def _check_size(image: ReadImage, size: tf.Tensor, ratio: int) -> None:
    """Checks that an image was decoded to the size that its header says."""
    header = image.header
    height, width = size.numpy().tolist()
    if (height, width) != (-(-header.height // ratio), -(-header.width // ratio)):
        raise CorruptImageError(
            f"the {header.format} header says {header.height} x {header.width} pixels, its data "
            f"{height * ratio} x {width * ratio}"
        )


def _are_promising(images: Sequence[ReadImage]) -> bool:
    """Returns whether it is one PNG and likely whole; one failure would cost its batch a retry."""
    image = images[0]
    if len(images) != 1 or image.header.format != "PNG" or image.profile is not None:
        return False
    # Most bad files are cut short.
    return _PNG_END in image.encoded[-_TAIL_BYTES:]


def _upright_size(image: ReadImage) -> tuple[int, int]:
    """Returns height and width before anything is done to it."""
    height, width = image.header.height, image.header.width
    return (width, height) if image.placement.is_turned else (height, width)


def _decoded_size(image: ReadImage) -> tuple[int, int]:
    """Returns height and width of what TensorFlow decodes, as stored."""
    return image.placement.decoded_size(image.header.height, image.header.width)
