"""Which --input_range the stored moments of a model's first normalization speak for.

In training, batch normalization keeps the mean and the variance of what it is given. So a model
remembers what its first convolution made of the images that it was trained on. Photos through a
MobileNetV2 of keras.applications; the median of its channels' divergences from these moments:

    --input_range    0,1     -1,1     0,255     imagenet    caffe
    divergence       0.88    0.019    19,800    0.73        6,320

It was trained on -1,1. Dark pictures, icons, or scans fit no range, and say nothing.
"""

import threading
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transforms.images.policy import INPUT_RANGES
from transforms.images.range_scaling import scale_and_shift
from transforms.models.any_model import AnyModel, Part, normalization_behind, take_part, trace
from transforms.models.first_layer import FirstLayer

_FEWEST_IMAGES, _MOST_IMAGES = 8, 16
_LARGEST_MEDIAN, _LARGEST_DECILE = 0.1, 0.25
"""Divergences, in nats, of half and of nine tenths of the channels: of a range that fits, all are
less. Photos of the right one have medians of 0.01 to 0.05. By the median alone, white icons, and
coins, fit a wrong one; see docs/models.md."""

_LEAST_MARGIN = 5
"""How many times farther than the best, by the median, a range must be to be doubted."""

_FEWEST_CHANNELS = 12
"""Channels that agree by chance if there are few: a gray model of 6 fits 0,1 for -1,1."""

_SMALLEST_VARIANCE = 1e-30
_DEAD_SHARE = 1e-4
"""Share of the largest variance below which a channel is dead: its kernel is zero."""

_IMAGES_AT_ONCE = 2
"""A layer's output is many times as large as the images, and a model's batch may be small."""

_PLACES = 32
"""Places that are looked at a side of a layer's output: a thousand an image say enough."""


class Divergence(NamedTuple):
    """How far images are from what a model was trained on, in nats.

    Attributes:
        median: Divergence that half of the channels have at most.
        decile: Divergence that nine tenths of the channels have at most.
    """

    median: float
    decile: float

    @property
    def is_fit(self) -> bool:
        """Whether the images are like those of the training, as good as sure."""
        return self.median < _LARGEST_MEDIAN and self.decile < _LARGEST_DECILE


class RangeDoubt:
    """Compares the first images that a model gets with what it remembers of its training.

    Threads may call it at the same time. It sees what it can, and else says nothing.

    Attributes:
        sentence: What the user should know; nothing as long as nothing speaks against the range.
    """

    def __init__(self, loaded: AnyModel, layer: FirstLayer, input_range: str | None) -> None:
        """Looks for moments; finds none in most models without batch normalization.

        Args:
            loaded: The model.
            layer: What its first layer sees of images.
            input_range: Range of the pixels that it gets, one of INPUT_RANGES; None where it is not
                to be doubted.
        """
        self.sentence = ""
        self._range = input_range or ""
        self._moments = _find_moments(loaded, layer) if input_range else None
        self._images: list[npt.NDArray[np.generic]] = []
        self._lock = threading.Lock()

    def look_at(self, pixels: npt.NDArray[np.generic]) -> None:
        """Takes a batch into account, until there are enough images to tell.

        Args:
            pixels: [n, height, width, 3], as the model gets them.
        """
        # Who comes while another thread compares need not wait for it.
        if self._moments is None or not self._lock.acquire(blocking=False):
            return
        try:
            self._images.append(pixels[:_MOST_IMAGES])
            if self._moments is None or sum(map(len, self._images)) < _FEWEST_IMAGES:
                return
            images, moments = np.concatenate(self._images)[:_MOST_IMAGES], self._moments
            self._images, self._moments = [], None
            self.sentence = doubt_range(self._compare(images, moments), self._range)
        except (tf.errors.OpError, ValueError):
            self._images, self._moments = [], None
        finally:
            self._lock.release()

    def _compare(
        self, images: npt.NDArray[np.generic], moments: "StoredMoments"
    ) -> dict[str, Divergence]:
        """Returns how far images are from the moments by range; of one that fits, that alone."""
        used = self._range
        found = {used: moments.divergence(images)}
        if not found[used].is_fit:
            for name in INPUT_RANGES:
                if name != used:
                    found[name] = moments.divergence(_in_range(images, used, name))
        return found


class StoredMoments:
    """Moments of a model's first normalization, and the part of the model before it."""

    def __init__(
        self,
        part: Part,
        mean: npt.NDArray[np.float32],
        variance: npt.NDArray[np.float32],
        channel_axis: int,
        batch_size: int | None,
    ) -> None:
        """Keeps them.

        Args:
            part: From images to what is normalized, the first of its tensors.
            mean: Stored mean of each channel.
            variance: Stored variance of each channel.
            channel_axis: Axis of what is normalized that has the channels.
            batch_size: Images a call, if that is fixed.
        """
        self._part = part
        self._alive = variance > variance.max() * _DEAD_SHARE
        self._mean = mean[self._alive].astype(np.float64)
        self._variance = variance[self._alive].astype(np.float64)
        self._is_channels_first = channel_axis == 1
        self._batch_size = batch_size

    @property
    def are_trained(self) -> bool:
        """Whether they are of enough channels, and not those that a layer begins with."""
        if len(self._mean) < _FEWEST_CHANNELS:
            return False
        return bool(self._mean.any() or np.ptp(self._variance))

    def divergence(self, pixels: npt.NDArray[np.generic]) -> Divergence:
        """Returns how far images are from what the model was trained on.

        Each channel has a Kullback-Leibler divergence of two normal distributions: that of the
        images from that of these moments.

        Args:
            pixels: [n, height, width, 3], as the model gets them.

        Raises:
            tf.errors.OpError: If the part of the model fails on them.
            ValueError: If there are too few for a batch.
        """
        size = self._batch_size or _IMAGES_AT_ONCE
        last = len(pixels) - size if self._batch_size else len(pixels) - 1
        parts = [pixels[start : start + size] for start in range(0, last + 1, size)]
        seen = np.concatenate([self._values(part) for part in parts])
        mean, variance = seen.mean(axis=0), np.maximum(seen.var(axis=0), _SMALLEST_VARIANCE)
        ratios, shifts = variance / self._variance, (mean - self._mean) ** 2 / self._variance
        channels = np.nan_to_num((ratios + shifts - 1 - np.log(ratios)) / 2, nan=np.inf)
        return Divergence(*np.percentile(channels, (50, 90)).tolist())

    def _values(self, images: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
        """Returns what is normalized, in some places: [places, channels]."""
        values = self._part(images)[0]
        if self._is_channels_first:
            values = np.moveaxis(values, 1, -1)
        rows, columns = (max(1, side // _PLACES) for side in values.shape[1:3])
        chosen = values[:, ::rows, ::columns, self._alive]
        return chosen.reshape(-1, chosen.shape[-1]).astype(np.float64)


def doubt_range(divergences: Mapping[str, Divergence], used: str) -> str:
    """Says so if images fit another range, and do not fit the one in use.

    Args:
        divergences: Divergence by range; of a range that fits, that alone will do.
        used: Range in use.
    """
    names = sorted(divergences, key=lambda name: divergences[name].median)
    best = divergences[names[0]]
    far = best.median * _LEAST_MARGIN
    if divergences[used].is_fit or not best.is_fit or divergences[used].median < far:
        return ""
    close = [name for name in names if divergences[name].median < far]
    fits = " or ".join(f"{name} ({divergences[name].median:.2g})" for name in close)
    return (
        f"--input_range {used} looks wrong: by the moments of its first batch normalization, the "
        f"model was trained on pixels as --input_range {fits} makes them of these images, not "
        f"{used} ({divergences[used].median:.2g}; 0 is the same); find out which it wants"
    )


def _in_range(
    pixels: npt.NDArray[np.generic], input_range: str, wanted: str
) -> npt.NDArray[np.generic]:
    """Returns pixels of one range in another, to rounding."""
    scale, shift = np.array(scale_and_shift(input_range), np.float32)
    wanted_scale, wanted_shift = np.array(scale_and_shift(wanted), np.float32)
    if (input_range == "caffe") != (wanted == "caffe"):
        pixels, scale, shift = pixels[..., ::-1], scale[::-1], shift[::-1]
    factor = wanted_scale / scale
    return (pixels * factor + (wanted_shift - shift * factor)).astype(pixels.dtype)


def _find_moments(loaded: AnyModel, layer: FirstLayer) -> StoredMoments | None:
    """Returns a model's moments, if it does nothing to pixels before its first convolution."""
    if layer.obstacle or len(layer.seen) < 2 or not layer.sees_all_as_given:
        return None
    path = trace(loaded)
    found = normalization_behind(loaded, path.layers[0]) if len(path.layers) == 1 else None
    if found is None:
        return None
    try:
        part = take_part(loaded, [found.inputs, found.mean, found.variance])
        inputs, mean, variance = part(np.zeros(loaded.sample_shape, loaded.dtype))
    except (tf.errors.OpError, ValueError):
        return None
    channels = inputs.shape[found.channel_axis]
    if inputs.ndim != 4 or not channels == mean.size == variance.size:
        return None
    stored = StoredMoments(
        part, mean.reshape(-1), variance.reshape(-1), found.channel_axis, loaded.batch_size
    )
    return stored if stored.are_trained else None
