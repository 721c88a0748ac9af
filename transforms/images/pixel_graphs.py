"""TensorFlow's graphs from an image file to pixels: decode, crop, flip, resize, turn, scale."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from transforms.images.pixel_range import from_unit_range, to_unit_range
from transforms.images.placement import RATIOS, Flips, Placement
from transforms.images.policy import Preprocessing
from transforms.machine.cores import usable_cores

_OVERSHOOTING = ("bicubic", "lanczos3")
"""Interpolations whose results can leave 0..255 at an edge; they are cut off there."""

_CASTS_PAY = 2
"""Pixels of an image for each one wanted, up to which to cast them first always pays; up to four it
does where nobody else uses the cache."""


class PlacementRow(NamedTuple):
    """What the graph is told of an image: a Placement in one row of int32, or its scalars.

    A batch is then one tensor, int32 [batch, 11]. A photo of 3024 x 4032 (height x width) with
    orientation 6, for a model of 224 x 224, cropped, decode="fast":

        ratio_index  flips  is_turned  top left height width  resized_*  corner_*
        3            ROWS   1          23  86   332    332    224 224    0 0

    Attributes:
        ratio_index: Place in RATIOS of what both sides are divided by in decoding.
        flips: Value of Flips that turns the image upright.
        is_turned: 1 if rows and columns change places after resizing, else 0.
        top: First row of the region to resize, in decoded pixels.
        left: First column of it.
        height: Rows of it.
        width: Columns of it.
        resized_height: Rows to resize it to, before rows and columns change places.
        resized_width: Columns to resize it to.
        corner_top: Row of the target that the first upright row gets; over 0 for "pad" only.
        corner_left: Column of the target that the first upright column gets; likewise.
    """

    ratio_index: int | tf.Tensor
    flips: int | tf.Tensor
    is_turned: int | tf.Tensor
    top: int | tf.Tensor
    left: int | tf.Tensor
    height: int | tf.Tensor
    width: int | tf.Tensor
    resized_height: int | tf.Tensor
    resized_width: int | tf.Tensor
    corner_top: int | tf.Tensor
    corner_left: int | tf.Tensor

    @classmethod
    def of(cls, placement: Placement) -> "PlacementRow":
        """Packs what `place` says of an image into 11 integers."""
        ratio, flips, is_turned, region, size, corner = placement
        return cls(RATIOS.index(ratio), flips, is_turned, *region, *size, *corner)

    @classmethod
    def unpack(cls, row: tf.Tensor) -> "PlacementRow":
        """Names the scalars of int32 [11], in a graph."""
        return cls(*tf.unstack(row))


class PixelGraphs:
    """The graphs of one policy, traced once. Threads may run them at the same time.

    Attributes:
        decode_together: Graph from string [batch] and int32 [batch, 11], files and PlacementRows,
            to the pixels, [batch, height, width, 3] of the policy's size and dtype, and int32
            [batch, 2], heights and widths as decoded. Fails if one file does.
        decode_alone: The same of one file, without the batch.
        decode_whole: Graph from string [], a file, to uint8 [height, width, 3].
        finish_together: Graph from uint8 [values], pixels decoded by somebody else one image behind
            another, int64 [batch], the first value of each, int32 [batch, 2], their heights and
            widths, and int32 [batch, 11], to the pixels of a batch.
        finish_alone: Graph from uint8 [height, width, 3], decoded by somebody else, and int32 [11],
            to the pixels of one image.
    """

    def __init__(self, policy: Preprocessing) -> None:
        """Traces the graphs; nothing is traced later.

        Args:
            policy: Size, range and dtype of the pixels, and the way there.
        """
        self._policy = policy
        pixels = tf.TensorSpec((*policy.image_size, 3), policy.dtype)
        encoded = tf.TensorSpec([], tf.string)
        row = tf.TensorSpec([len(PlacementRow._fields)], tf.int32)

        def decode_together(encoded: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
            return tf.map_fn(
                # A map over the files themselves would copy them once more, and slowly.
                lambda index: self._decode(encoded[index], rows[index]),
                tf.range(tf.shape(encoded)[0]),
                fn_output_signature=(pixels, tf.TensorSpec([2], tf.int32)),
                # As many threads of TensorFlow as cores hold no more decoded images at a time,
                # however many threads call.
                parallel_iterations=usable_cores(),
            )

        def finish_together(
            values: tf.Tensor, starts: tf.Tensor, sizes: tf.Tensor, rows: tf.Tensor
        ) -> tf.Tensor:
            def finish(index: tf.Tensor) -> tf.Tensor:
                shape = tf.concat([sizes[index], [3]], 0)
                end = starts[index] + tf.reduce_prod(tf.cast(shape, tf.int64))
                return self._finish(tf.reshape(values[starts[index] : end], shape), rows[index])

            return tf.map_fn(
                finish,
                tf.range(tf.shape(starts)[0]),
                fn_output_signature=pixels,
                parallel_iterations=usable_cores(),
            )

        batch = [tf.TensorSpec([None, *spec.shape], spec.dtype) for spec in (encoded, row)]
        self.decode_together = _trace(decode_together, *batch)
        values, starts = tf.TensorSpec([None], tf.uint8), tf.TensorSpec([None], tf.int64)
        sizes = tf.TensorSpec([None, 2], tf.int32)
        self.finish_together = _trace(finish_together, values, starts, sizes, batch[1])
        self.decode_alone = _trace(self._decode, encoded, row)
        self.decode_whole = _trace(_decode_whole, encoded)
        self.finish_alone = _trace(self._finish, tf.TensorSpec([None, None, 3], tf.uint8), row)

    def _decode(self, encoded: tf.Tensor, row: tf.Tensor) -> Any:  # noqa: ANN401
        """Returns the finished pixels, and the height and width as decoded.

        Args:
            encoded: string [], an image file.
            row: int32 [11], a PlacementRow.
        """
        decode_whole = functools.partial(_decode_whole, encoded)
        if self._policy.decode == "exact":
            image = decode_whole()
        else:
            shrinking = [
                functools.partial(tf.io.decode_jpeg, encoded, channels=3, ratio=ratio)
                for ratio in RATIOS[1:]
            ]
            ratio_index = PlacementRow.unpack(row).ratio_index
            image = tf.switch_case(ratio_index, [decode_whole, *shrinking])
        image.set_shape([None, None, 3])
        return self._finish(image, row), tf.shape(image)[:2]

    def _finish(self, image: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
        """Turns a decoded image, uint8 [height, width, 3], into what the model takes.

        Rows become columns after resizing, which is equal to 2e-7: to turn a large photo before
        takes longer than to decode it. Flips come first: after, they would be off by up to 1e-4,
        for the places that resizing reads are rounded.
        """
        policy = self._policy
        to = PlacementRow.unpack(row)
        if policy.resize_mode == "crop" or policy.box_margin is not None:
            image = tf.slice(image, [to.top, to.left, 0], [to.height, to.width, 3])
        image = tf.switch_case(to.flips, [functools.partial(_flip, image, n) for n in Flips])
        size = tf.stack([to.resized_height, to.resized_width])
        image = self._resize(image, size, is_shrunk=to.ratio_index > 0)
        image = tf.cond(to.is_turned > 0, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
        if policy.resize_mode == "pad":
            corner = to.corner_top, to.corner_left
            image = tf.image.pad_to_bounding_box(image, *corner, *policy.image_size)
        image = tf.ensure_shape(image, (*policy.image_size, 3))
        return from_unit_range(to_unit_range(image), policy.input_range, policy.dtype)

    def _resize(self, image: tf.Tensor, size: tf.Tensor, is_shrunk: tf.Tensor) -> tf.Tensor:
        """Returns float32 of the given size, from 0 to 255."""
        policy = self._policy

        def resize(antialias: bool) -> tf.Tensor:
            if policy.interpolation == "bilinear" and not antialias:
                return _resize_bilinear(image, size)
            return tf.image.resize(image, size, policy.interpolation, antialias=antialias)

        if policy.decode == "exact" or policy.antialias:
            resized = tf.cast(resize(policy.antialias), tf.float32)
        else:
            resized = tf.cond(is_shrunk, lambda: resize(True), lambda: resize(False))
        if policy.interpolation in _OVERSHOOTING:
            resized = tf.clip_by_value(resized, 0.0, 255.0)
        return resized


def _decode_whole(encoded: tf.Tensor) -> tf.Tensor:
    return tf.io.decode_image(encoded, channels=3, expand_animations=False)


def _resize_bilinear(image: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Does what `tf.image.resize` does, to the same bits, and casts first what is small enough.

    Its kernel casts four values for each one that it returns, one by one, and takes twice as long
    as on float32. To cast a small image at once takes less; a large one, more.
    """
    pixels = tf.reduce_prod(tf.shape(image, tf.int64)[:2])
    resized_pixels = tf.reduce_prod(tf.cast(size, tf.int64))

    def resize(image: tf.Tensor) -> tf.Tensor:
        return tf.image.resize(image, size)

    return tf.cond(
        pixels <= _CASTS_PAY * resized_pixels,
        lambda: resize(tf.cast(image, tf.float32)),
        lambda: resize(image),
    )


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
