"""Turns encoded images into the pixels that a model takes."""

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transforms.errors import CorruptImageError, FileTooLargeError, ImageError, ImageTooLargeError
from transforms.image_header import ImageHeader, read_header
from transforms.pillow_decoder import decode_with_pillow
from transforms.placement import Box, crop_box, pad_box
from transforms.preprocessing import Preprocessing

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STANDARD_DEVIATION = (0.229, 0.224, 0.225)
"""Of RGB in [0, 1]. Source: torchvision's reference models."""

_OVERSHOOTING = ("bicubic", "lanczos3")

_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
_TAIL_BYTES = 64
"""Where whole files have their end marker; some programs append a little."""

_TENSORFLOW_ERRORS = (tf.errors.InvalidArgumentError,)


class Preprocessed(NamedTuple):
    """A batch of images, those that could be decoded, in order.

    Attributes:
        pixels: [good, height, width, 3], of the policy's size, dtype and range.
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
        orientation = tf.TensorSpec([], tf.int32)
        box = tf.TensorSpec([4], tf.int32)

        def decode_together(*columns: tf.Tensor) -> tf.Tensor:
            return tf.map_fn(
                lambda row: self._decode(*row),
                columns,
                fn_output_signature=(pixels, tf.TensorSpec([2], tf.int32)),
                # As many decoded images are in memory at a time.
                parallel_iterations=os.cpu_count() or 1,
            )

        rows = [
            tf.TensorSpec([None, *spec.shape], spec.dtype) for spec in (encoded, orientation, box)
        ]
        self._decode_together = _trace(decode_together, *rows)
        self._decode_alone = _trace(self._decode, encoded, orientation, box)
        self._finish_alone = _trace(
            self._finish, tf.TensorSpec([None, None, 3], tf.uint8), orientation, box
        )

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
        orientation = header.orientation if policy.exif == "apply" else 1
        size = (header.height, header.width) if orientation < 5 else (header.width, header.height)
        match policy.resize_mode:
            case "crop":
                box = crop_box(*size, policy.image_size, policy.crop_fraction)
            case "pad":
                box = pad_box(*size, policy.image_size)
            case _:
                box = Box(0, 0, *policy.image_size)
        return _Image(encoded, header, orientation, size, box)

    def _run_together(self, images: Sequence["_Image"]) -> npt.NDArray[Any] | None:
        """Runs TensorFlow on a batch, in one call; returns None if one image fails."""
        if not images:
            return None
        try:
            pixels, sizes = self._decode_together(
                tf.constant([image.encoded for image in images], tf.string),
                tf.constant([image.orientation for image in images], tf.int32),
                tf.constant([image.box for image in images], tf.int32),
            )
        except _TENSORFLOW_ERRORS:
            return None
        stored = [[image.header.height, image.header.width] for image in images]
        return _view(pixels) if sizes.numpy().tolist() == stored else None

    def _run_alone(self, image: "_Image") -> npt.NDArray[Any]:
        """Runs TensorFlow on one image, or Pillow if TensorFlow cannot."""
        header, orientation = image.header, tf.constant(image.orientation)
        box = tf.constant(image.box, tf.int32)
        if header.decoder == "tensorflow":
            try:
                pixels, size = self._decode_alone(tf.constant(image.encoded), orientation, box)
            except _TENSORFLOW_ERRORS:
                pass
            else:
                height, width = size.numpy().tolist()
                if (height, width) != (header.height, header.width):
                    raise CorruptImageError(
                        f"the {header.format} header says {header.height} x {header.width} "
                        f"pixels, its data {height} x {width}"
                    )
                return _view(pixels)
        decoded = tf.constant(decode_with_pillow(image.encoded, header))
        return _view(self._finish_alone(decoded, orientation, box))

    def _decode(self, encoded: tf.Tensor, orientation: tf.Tensor, box: tf.Tensor) -> Any:  # noqa: ANN401
        """Returns the finished pixels, and the height and width as stored."""
        image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        image.set_shape([None, None, 3])
        return self._finish(image, orientation, box), tf.shape(image)[:2]

    def _finish(self, image: tf.Tensor, orientation: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
        """Turns a decoded image, uint8 [height, width, 3], into what the model takes."""
        upright = tf.switch_case(
            orientation - 1, [functools.partial(_orient, image, value) for value in range(1, 9)]
        )
        return self._scale(self._resize(upright, box))

    def _resize(self, image: tf.Tensor, box: tf.Tensor) -> tf.Tensor:
        """Returns float32 of the policy's size, from 0 to 255."""
        policy = self._policy
        height, width = policy.image_size
        if policy.resize_mode == "crop":
            image = tf.slice(image, tf.concat([box[:2], [0]], 0), tf.concat([box[2:], [3]], 0))
        size = box[2:] if policy.resize_mode == "pad" else policy.image_size
        resized = tf.image.resize(image, size, policy.interpolation, antialias=policy.antialias)
        resized = tf.cast(resized, tf.float32)
        if policy.interpolation in _OVERSHOOTING:
            resized = tf.clip_by_value(resized, 0.0, 255.0)
        if policy.resize_mode == "pad":
            resized = tf.image.pad_to_bounding_box(resized, box[0], box[1], height, width)
        return tf.ensure_shape(resized, (height, width, 3))

    def _scale(self, image: tf.Tensor) -> tf.Tensor:
        """Returns the policy's range and dtype of float32 from 0 to 255."""
        if self._policy.dtype == "uint8":
            return tf.cast(tf.round(image), tf.uint8)
        match self._policy.input_range:
            case "0,1":
                image = image / 255.0
            case "-1,1":
                image = image / 127.5 - 1.0
            case "imagenet":
                image = (image / 255.0 - IMAGENET_MEAN) / IMAGENET_STANDARD_DEVIATION
        return tf.cast(image, self._policy.dtype)


class _Image(NamedTuple):
    """An image whose header is read and whose pixels are not."""

    encoded: bytes
    header: ImageHeader
    orientation: int
    upright_size: tuple[int, int]
    box: Box

    @property
    def is_promising(self) -> bool:
        """Whether TensorFlow is likely to decode it; one failure would cost its batch a retry."""
        if self.header.decoder != "tensorflow":
            return False
        # Most bad files are cut short.
        return _ENDS[self.header.format] in self.encoded[-_TAIL_BYTES:]


def _orient(image: tf.Tensor, orientation: int) -> tf.Tensor:
    """Turns an image upright. Source: EXIF 2.32, Orientation, in 4.6.4."""
    if orientation in (5, 6, 7, 8):
        image = tf.transpose(image, (1, 0, 2))
    flipped = [
        axis for axis, orientations in ((0, (3, 4, 7, 8)), (1, (2, 3, 6, 7)))
        if orientation in orientations
    ]  # fmt: skip
    return tf.reverse(image, flipped) if flipped else tf.identity(image)


def _trace(function: Callable[..., Any], *signature: tf.TensorSpec) -> Callable[..., Any]:
    """Returns a graph of fixed signature; it runs on the CPU, where the images are."""

    def run(*arguments: tf.Tensor) -> Any:  # noqa: ANN401
        with tf.device("CPU:0"):
            return function(*arguments)

    traced = tf.function(run, input_signature=signature, autograph=False)
    return traced.get_concrete_function()


def _view(tensor: tf.Tensor) -> npt.NDArray[Any]:
    """Returns a tensor's values without copying them; not to be written to."""
    return np.asarray(memoryview(tensor))
