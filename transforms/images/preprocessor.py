"""Turns encoded images into the pixels that a model takes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transforms.errors import CorruptImageError, FileTooLargeError, ImageError, ImageTooLargeError
from transforms.images.color_profile import embedded_profile, fits
from transforms.images.header import ImageHeader
from transforms.images.isolated_decoder import (
    decode_apart,
    read_header_apart,
    read_profile_apart,
)
from transforms.images.jpeg_batches import Finish, JpegBatches, ReadImage
from transforms.images.jpeg_decoder import is_unmarked_cmyk
from transforms.images.pixel_graphs import PixelGraphs, PlacementRow
from transforms.images.placement import Placement, place
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

    def __init__(self, policy: Preprocessing, jpegs: JpegBatches | None = None) -> None:
        """Traces the graphs; nothing is traced later.

        Args:
            policy: Size, range and dtype of the pixels, and the way there.
            jpegs: Decoder of JPEG files, where several Preprocessors have one; None makes it.
        """
        self._policy = policy
        self._graphs = PixelGraphs(policy)
        self._jpegs = jpegs or JpegBatches()

    @property
    def policy(self) -> Preprocessing:
        """The policy by which it makes pixels of images."""
        return self._policy

    def __call__(self, encoded: Sequence[bytes]) -> Preprocessed:
        """Preprocesses a batch; a bad image costs only itself.

        JPEG files are decoded side by side. PNG files are one call to TensorFlow. What is left goes
        one by one. Of a batch of [JPEG, PNG, GIF, a JPEG cut short, HTML, PNG]:

            headers read        images 0, 1, 2, 3, 5; an error for 4
            jpegs               0; an error for 3
            together            1 and 5, in one call; all or nothing, as one failure fails the call
            alone               2 by Pillow
            result              pixels of 0, 1, 2, 5; errors {3: ..., 4: ...}

        Args:
            encoded: Image files, whole, of any mix of formats.
        """
        (pixels,) = preprocess_together([self], encoded)
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
        together = [index for index, image in images.items() if _is_promising(image)]
        pixels = self._run_together([images[index] for index in together])
        if pixels is not None:
            parts.append((together, pixels))
        done = {index for places, _ in parts for index in places}
        for index in sorted(images.keys() - errors.keys() - done):
            try:
                parts.append(([index], self._run_alone(images[index])[np.newaxis]))
            except ImageError as error:
                errors[index] = error
        good = sorted(images.keys() - errors.keys())
        sizes = np.array([_upright_size(images[index]) for index in good], np.int32).reshape(-1, 2)
        heights, widths = sizes[:, 0].copy(), sizes[:, 1].copy()
        return Preprocessed(self._joined(parts, good), heights, widths, errors)

    def _place_again(self, images: Mapping[int, ReadImage]) -> dict[int, ReadImage]:
        """Returns images whose headers another Preprocessor has read, placed by this policy."""
        return {
            index: image._replace(placement=self._place_shrinking(image.header))
            for index, image in images.items()
        }

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

    def _read(self, encoded: bytes) -> ReadImage:
        """Reads the header, checks the limits, and says where the pixels go."""
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
        profile = self._profile(encoded, header) if policy.color_profile == "srgb" else None
        if header.format == "PNG" and profile is None:
            # TensorFlow unpacks all texts.
            encoded = strip(encoded, "PNG")
        return ReadImage(encoded, header, self._place_shrinking(header), profile)

    def _place_shrinking(self, header: ImageHeader) -> Placement:
        return self._place(header, may_shrink=self._policy.decode == "fast")

    def _profile(self, encoded: bytes, header: ImageHeader) -> bytes | None:
        """Returns the profile of a JPEG or PNG, if it changes anything; of others Pillow knows."""
        if header.format not in ("JPEG", "PNG"):
            return None
        profile = embedded_profile(encoded, header.format)
        if profile is None or not fits(profile, encoded, header.format):
            return None
        known = read_profile_apart(profile, self._policy.max_image_seconds)
        return profile if known.changes else None

    def _place(self, header: ImageHeader, *, may_shrink: bool) -> Placement:
        """Says where the pixels go; only JPEG can shrink in decoding."""
        orientation = header.orientation if self._policy.exif == "apply" else 1
        may_shrink = may_shrink and header.format == "JPEG"
        return place(header.height, header.width, orientation, self._policy, may_shrink=may_shrink)

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

    def _run_alone(self, image: ReadImage) -> npt.NDArray[Any]:
        """Runs TensorFlow on one image, or Pillow if TensorFlow cannot."""
        header = image.header
        is_negative = header.format == "JPEG" and is_unmarked_cmyk(image.encoded)
        if header.decoder == "tensorflow" and not is_negative and image.profile is None:
            row = tf.constant(PlacementRow.of(image.placement), tf.int32)
            try:
                pixels, size = self._graphs.decode_alone(tf.constant(image.encoded), row)
            except _TENSORFLOW_ERRORS:
                pass
            else:
                height, width = size.numpy().tolist()
                if (height, width) != _decoded_size(image):
                    ratio = image.placement.ratio
                    raise CorruptImageError(
                        f"the {header.format} header says {header.height} x {header.width} "
                        f"pixels, its data {height * ratio} x {width * ratio}"
                    )
                return view(pixels)
        # Decoded whole even if "fast": JPEG files that only Pillow decodes are rare.
        row = tf.constant(PlacementRow.of(self._place(header, may_shrink=False)), tf.int32)
        seconds, color_profile = self._policy.max_image_seconds, self._policy.color_profile
        decoded = decode_apart(image.encoded, header, seconds, color_profile)
        return view(self._graphs.finish_alone(tf.constant(decoded), row))


def preprocess_together(
    preprocessors: Sequence[Preprocessor], encoded: Sequence[bytes]
) -> list[Preprocessed]:
    """Preprocesses a batch in several ways; headers and JPEG files are decoded once.

    Args:
        preprocessors: Ways; their policies have the same limits, and the same decode.
        encoded: Image files, whole, of any mix of formats.

    Returns:
        What each makes of them alone.
    """
    first, *others = preprocessors
    images: dict[int, ReadImage] = {}
    errors: dict[int, ImageError] = {}
    for index, data in enumerate(encoded):
        try:
            images[index] = first._read(data)
        except ImageError as error:
            errors[index] = error
    placed = [images, *(other._place_again(images) for other in others)]
    jpegs = [index for index, image in images.items() if image.header.format == "JPEG"]
    if not _shrink_alike(placed, jpegs):
        return [preprocess_together([one], encoded)[0] for one in preprocessors]
    finishes = [
        Finish(one._graphs, [own[index].placement for index in jpegs])
        for one, own in zip(preprocessors, placed, strict=True)
    ]
    seconds = first.policy.max_image_seconds
    batch = first._jpegs([images[index] for index in jpegs], finishes, seconds)
    errors |= {jpegs[place]: error for place, error in batch.errors.items()}
    return [
        one._finish(
            own,
            [([jpegs[place] for place in places], pixels) for places, pixels in parts],
            {**errors},
        )
        for one, own, parts in zip(preprocessors, placed, batch.parts, strict=True)
    ]


def _shrink_alike(placed: Sequence[Mapping[int, ReadImage]], jpegs: Sequence[int]) -> bool:
    """Tells whether every JPEG file is decoded at one size, whatever becomes of it then."""
    first, *others = placed
    return all(
        own[index].placement.ratio == first[index].placement.ratio
        for own in others
        for index in jpegs
    )


def _is_promising(image: ReadImage) -> bool:
    """Returns whether it is a PNG and likely whole; one failure would cost its batch a retry."""
    # Most bad files are cut short.
    if image.header.format != "PNG" or image.profile is not None:
        return False
    return _PNG_END in image.encoded[-_TAIL_BYTES:]


def _upright_size(image: ReadImage) -> tuple[int, int]:
    """Returns height and width before anything is done to it."""
    height, width = image.header.height, image.header.width
    return (width, height) if image.placement.is_turned else (height, width)


def _decoded_size(image: ReadImage) -> tuple[int, int]:
    """Returns height and width of what TensorFlow decodes, as stored."""
    return image.placement.decoded_size(image.header.height, image.header.width)
