"""Turns encoded images into the pixels that a model takes."""

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transforms.errors import CorruptImageError, FileTooLargeError, ImageError, ImageTooLargeError
from transforms.images.header import ImageHeader, read_header
from transforms.images.pillow_decoder import decode_with_pillow
from transforms.images.pixel_range import from_unit_range, to_unit_range
from transforms.images.placement import RATIOS, Flips, Placement, place
from transforms.images.policy import Preprocessing
from transforms.images.tensor_view import view

_OVERSHOOTING = ("bicubic", "lanczos3")

_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
_TAIL_BYTES = 64
"""Where whole files have their end marker; some programs append a little."""

_TENSORFLOW_ERRORS = (tf.errors.InvalidArgumentError,)

_ROW_VALUES = 11
"""What the graph is told of an image; see `_row`."""


class Preprocessed(NamedTuple):
    """A batch of images, those that could be decoded, in order.

    Attributes:
        pixels: [good, height, width, 3], of the policy's size, dtype and range; read only.
        heights: int32 [good], of the upright images, before resizing.
        widths: int32 [good], likewise.
        errors: What is wrong with the others, by place in the batch.
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
            policy: What to do.
        """
        self._policy = policy
        pixels = tf.TensorSpec((*policy.image_size, 3), policy.dtype)
        encoded = tf.TensorSpec([], tf.string)
        row = tf.TensorSpec([_ROW_VALUES], tf.int32)

        def decode_together(encoded: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            return tf.map_fn(
                # A map over the files themselves would copy them once more, and slowly.
                lambda index: self._decode(encoded[index], rows[index]),
                tf.range(tf.shape(encoded)[0]),
                fn_output_signature=(pixels, tf.TensorSpec([2], tf.int32)),
                # TensorFlow's own threads, one a core, hold no more decoded images at a time,
                # however many threads call.
                parallel_iterations=os.cpu_count() or 1,
            )

        batch = [tf.TensorSpec([None, *spec.shape], spec.dtype) for spec in (encoded, row)]
        self._decode_together = _trace(decode_together, *batch)
        self._decode_alone = _trace(self._decode, encoded, row)
        self._finish_alone = _trace(self._finish, tf.TensorSpec([None, None, 3], tf.uint8), row)

    @property
    def policy(self) -> Preprocessing:
        """What it does."""
        return self._policy

    def __call__(self, encoded: Sequence[bytes]) -> Preprocessed:
        """Preprocesses a batch; a bad image costs only itself.

        Args:
            encoded: Image files, whole, of any mix of formats.
        """
        images: dict[int, _Image] = {}
        errors: dict[int, ImageError] = {}
        for index, data in enumerate(encoded):
            try:
                images[index] = self._read(data)
            except ImageError as error:
                errors[index] = error
        together = [index for index, image in images.items() if image.is_promising]
        batch = self._run_together([images[index] for index in together])
        rows = {} if batch is None else dict(zip(together, batch, strict=True))
        for index in images.keys() - rows.keys():
            try:
                rows[index] = self._run_alone(images[index])
            except ImageError as error:
                errors[index] = error
        good = sorted(rows)
        if batch is None or good != together:
            batch = np.empty((len(good), *self._policy.image_size, 3), self._policy.dtype)
            for row, index in enumerate(good):
                batch[row] = rows[index]
        sizes = np.array([images[index].upright_size for index in good], np.int32).reshape(-1, 2)
        return Preprocessed(batch, sizes[:, 0].copy(), sizes[:, 1].copy(), errors)

    def _read(self, encoded: bytes) -> "_Image":
        """Reads the header, checks the limits, and says where the pixels go."""
        policy = self._policy
        if len(encoded) > policy.max_image_bytes:
            raise FileTooLargeError(
                f"{len(encoded)} bytes, --max_image_bytes is {policy.max_image_bytes}"
            )
        header = read_header(encoded)
        if header.height * header.width > policy.max_image_pixels:
            raise ImageTooLargeError(
                f"{header.height} x {header.width} pixels, --max_image_pixels is "
                f"{policy.max_image_pixels}"
            )
        return _Image(encoded, header, self._place(header, may_shrink=policy.decode == "fast"))

    def _place(self, header: ImageHeader, *, may_shrink: bool) -> Placement:
        """Says where the pixels go; only JPEG can shrink in decoding."""
        orientation = header.orientation if self._policy.exif == "apply" else 1
        may_shrink = may_shrink and header.format == "JPEG"
        return place(header.height, header.width, orientation, self._policy, may_shrink=may_shrink)

    def _run_together(self, images: Sequence["_Image"]) -> npt.NDArray[Any] | None:
        """Runs TensorFlow on a batch, in one call; returns None if one image fails."""
        if not images:
            return None
        encoded = tf.constant([image.encoded for image in images], tf.string)
        rows = tf.constant([_row(image.placement) for image in images], tf.int32)
        try:
            pixels, sizes = self._decode_together(encoded, rows)
        except _TENSORFLOW_ERRORS:
            return None
        decoded_sizes = [list(image.decoded_size) for image in images]
        return view(pixels) if sizes.numpy().tolist() == decoded_sizes else None

    def _run_alone(self, image: "_Image") -> npt.NDArray[Any]:
        """Runs TensorFlow on one image, or Pillow if TensorFlow cannot."""
        header = image.header
        if header.decoder == "tensorflow":
            row = tf.constant(_row(image.placement), tf.int32)
            try:
                pixels, size = self._decode_alone(tf.constant(image.encoded), row)
            except _TENSORFLOW_ERRORS:
                pass
            else:
                height, width = size.numpy().tolist()
                if (height, width) != image.decoded_size:
                    ratio = image.placement.ratio
                    raise CorruptImageError(
                        f"the {header.format} header says {header.height} x {header.width} "
                        f"pixels, its data {height * ratio} x {width * ratio}"
                    )
                return view(pixels)
        # Decoded whole even if "fast": JPEG files that only Pillow decodes are rare.
        row = tf.constant(_row(self._place(header, may_shrink=False)), tf.int32)
        decoded = tf.constant(decode_with_pillow(image.encoded, header))
        return view(self._finish_alone(decoded, row))

    def _decode(self, encoded: tf.Tensor, row: tf.Tensor) -> Any:  # noqa: ANN401
        """Returns the finished pixels, and the height and width as decoded."""

        def decode_whole() -> tf.Tensor:
            return tf.io.decode_image(encoded, channels=3, expand_animations=False)

        if self._policy.decode == "exact":
            image = decode_whole()
        else:
            shrinking = [
                functools.partial(tf.io.decode_jpeg, encoded, channels=3, ratio=ratio)
                for ratio in RATIOS[1:]
            ]
            image = tf.switch_case(row[0], [decode_whole, *shrinking])
        image.set_shape([None, None, 3])
        return self._finish(image, row), tf.shape(image)[:2]

    def _finish(self, image: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
        """Turns a decoded image, uint8 [height, width, 3], into what the model takes.

        Rows become columns after resizing, which is equal to 2e-7: to turn a large photo before
        takes longer than to decode it. Flips come first: after, they would be off by up to 1e-4,
        for the places that resizing reads are rounded.
        """
        policy = self._policy
        ratio_index, flips, is_turned, *_ = tf.unstack(row)
        region, size, corner = row[3:7], row[7:9], row[9:]
        if policy.resize_mode == "crop":
            start, sides = tf.concat([region[:2], [0]], 0), tf.concat([region[2:], [3]], 0)
            image = tf.slice(image, start, sides)
        image = tf.switch_case(flips, [functools.partial(_flip, image, n) for n in Flips])
        image = self._resize(image, size, is_shrunk=ratio_index > 0)
        image = tf.cond(is_turned > 0, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
        if policy.resize_mode == "pad":
            image = tf.image.pad_to_bounding_box(image, corner[0], corner[1], *policy.image_size)
        image = tf.ensure_shape(image, (*policy.image_size, 3))
        return from_unit_range(to_unit_range(image), policy.input_range, policy.dtype)

    def _resize(self, image: tf.Tensor, size: tf.Tensor, is_shrunk: tf.Tensor) -> tf.Tensor:
        """Returns float32 of the given size, from 0 to 255."""
        policy = self._policy

        def resize(antialias: bool) -> tf.Tensor:
            return tf.image.resize(image, size, policy.interpolation, antialias=antialias)

        if policy.decode == "exact" or policy.antialias:
            resized = tf.cast(resize(policy.antialias), tf.float32)
        else:
            resized = tf.cond(is_shrunk, lambda: resize(True), lambda: resize(False))
        if policy.interpolation in _OVERSHOOTING:
            resized = tf.clip_by_value(resized, 0.0, 255.0)
        return resized


class _Image(NamedTuple):
    """An image whose header is read and whose pixels are not."""

    encoded: bytes
    header: ImageHeader
    placement: Placement

    @property
    def is_promising(self) -> bool:
        """Whether TensorFlow is likely to decode it; one failure would cost its batch a retry."""
        if self.header.decoder != "tensorflow":
            return False
        # Most bad files are cut short.
        return _ENDS[self.header.format] in self.encoded[-_TAIL_BYTES:]

    @property
    def upright_size(self) -> tuple[int, int]:
        """Height and width, before anything is done to it."""
        height, width = self.header.height, self.header.width
        return (width, height) if self.placement.is_turned else (height, width)

    @property
    def decoded_size(self) -> tuple[int, int]:
        """Height and width of what TensorFlow decodes, as stored."""
        return self.placement.decoded_size(self.header.height, self.header.width)


def _row(placement: Placement) -> tuple[int, ...]:
    """Returns what the graph takes: _ROW_VALUES integers."""
    ratio, flips, is_turned, region, size, corner = placement
    return (RATIOS.index(ratio), flips, is_turned, *region, *size, *corner)


def _flip(image: tf.Tensor, flips: Flips) -> tf.Tensor:
    """Mirrors an image, in the fastest way of several that TensorFlow has."""
    shape = tf.shape(image)
    match flips:
        case Flips.ROWS:
            return tf.gather(image, tf.range(shape[0] - 1, -1, -1))
        case Flips.COLUMNS:
            return tf.reverse(image, [1])
        case Flips.BOTH:
            return tf.reshape(tf.reverse(tf.reshape(image, [1, -1, 3]), [1]), shape)
    return tf.identity(image)


def _trace(function: Callable[..., Any], *signature: tf.TensorSpec) -> Callable[..., Any]:
    """Returns a graph of fixed signature; it runs on the CPU, where the images are."""

    def run(*arguments: tf.Tensor) -> Any:  # noqa: ANN401
        with tf.device("CPU:0"):
            return function(*arguments)

    traced = tf.function(run, input_signature=signature, autograph=False)
    return traced.get_concrete_function()
