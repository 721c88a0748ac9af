"""Finds out what a model's first layer sees, by images of one colour run up to it."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transforms.errors import brief
from transforms.images.pixel_range import from_unit_range, to_unit_range
from transforms.images.policy import INPUT_RANGES
from transforms.models.any_model import AnyModel, Part, load_model, take_part, trace
from transforms.models.clear_way import LayerInput
from transforms.models.first_layer import FirstLayer, View
from transforms.models.spec import ModelSpec

_LEVELS = (0, 128, 255)
"""Black, a gray, and white."""

_UNIT_RANGE = INPUT_RANGES[0]
_LEVELS_RANGE = "0,255"

_SAMPLED = 3000
"""Values that are looked at of those that a layer is given, a few hundred thousand."""

_TOLERANCE = 0.02
_SMALLEST_SPREAD = 1e-6
_ORDERS = {"RGB": [{0}, {1}, {2}], "BGR": [{2}, {1}, {0}]}


class _UnclearError(Exception):
    """What a layer is given does not say what becomes of a pixel; says why."""


def look_at_first_layer(loaded: AnyModel) -> FirstLayer:
    """Finds out what a model's first layer sees of images, for each range.

    Runs images of one colour through the part of the graph that is before it, which costs little.
    """
    path = trace(loaded)
    if path.blocked_by:
        return FirstLayer(obstacle=f"{' and '.join(path.blocked_by)} comes before its first layer")
    if not path.layers:
        return FirstLayer(obstacle="it has no convolution and no matrix product")
    kind = " and ".join(dict.fromkeys(layer.kind for layer in path.layers))
    try:
        part = take_part(loaded, [layer.tensor for layer in path.layers])
        run_to = functools.partial(_run_to, part, loaded.sample_shape)
        found = [
            _see(layer, tf.as_dtype(loaded.dtype), functools.partial(run_to, place))
            for place, layer in enumerate(path.layers)
        ]
        return _agree(found, kind)
    except (tf.errors.OpError, ValueError) as error:
        return FirstLayer(obstacle=f"what comes before its first layer fails: {brief(error)}")
    except _UnclearError as error:
        return FirstLayer(obstacle=str(error))


def look_past_scaling(
    layer: FirstLayer, model_dir: str, spec: ModelSpec, image_size: tuple[int, int]
) -> FirstLayer:
    """Returns what the layer sees of each range as runs give it.

    What files say of pixels in [0, 1] is put before an ONNX graph for these alone. Only where next
    to nothing comes through is the graph looked at once more, without that.

    Args:
        layer: What the first layer sees, whatever is put before the graph.
        model_dir: A directory that holds saved_model.pb, or an ONNX file.
        spec: Contract of the call.
        image_size: (height, width) in pixels.

    Raises:
        ModelError: If it cannot be loaded.
    """
    unit = layer.seen.get(_UNIT_RANGE)
    if not spec.pixel_scale or unit is None or not unit.is_degenerate:
        return layer
    bare = look_at_first_layer(load_model(model_dir, spec.for_range(_LEVELS_RANGE), image_size))
    return dataclasses.replace(bare, seen={**bare.seen, _UNIT_RANGE: unit})


def _run_to(
    part: Part, shape: Sequence[int], place: int, pixel: tf.Tensor
) -> npt.NDArray[np.float32]:
    """Returns what one of the layers is given of images of a colour."""
    return part(np.broadcast_to(pixel.numpy(), shape))[place]


def _agree(found: Sequence[FirstLayer], kind: str) -> FirstLayer:
    """Returns what several first layers see, if it is the same."""
    first = found[0]
    for other in found[1:]:
        if not all(view.is_close_to(first.seen[name]) for name, view in other.seen.items()):
            raise _UnclearError("it has several first layers, which see images differently")
    orders = {layer.order for layer in found}
    return dataclasses.replace(first, kind=kind, order=first.order if len(orders) == 1 else "")


def _see(
    layer: LayerInput, dtype: tf.DType, run: Callable[[tf.Tensor], npt.NDArray[np.float32]]
) -> FirstLayer:
    """Reads off what one layer sees.

    Of an image that is padded, in black and with one channel at 255, the layer is given

        black    0 0 0 0 0 0 0
        red      0 1 0 0 1 0 0      the second and fifth value come from the first channel
        green    0 0 1 0 0 1 0
        blue     0 0 0 1 0 0 1      the first value does not change: padding

    Args:
        layer: Place in the graph.
        dtype: Type of the images.
        run: Callback from a colour, [3] of that type, to what the layer is given of such an image.

    Raises:
        _UnclearError: If pixels are not treated alike, or it sees nothing of them.
    """
    black = run(_pixel((0, 0, 0), "0,255", dtype))
    alone = [run(_pixel(levels, "0,255", dtype)) for levels in np.diag([255] * 3).tolist()]
    responses = np.stack([values.reshape(-1) - black.reshape(-1) for values in alone])
    changing = np.flatnonzero(responses.any(axis=0))
    if not len(changing):
        raise _UnclearError("its first layer gets the same whatever the image")
    chosen = np.random.default_rng(0).choice(changing, min(_SAMPLED, len(changing)), replace=False)
    sources = np.abs(responses[:, chosen]).argmax(axis=0)
    groups = [group for source in range(3) if len(group := np.flatnonzero(sources == source))]
    if len(groups) == 2:
        raise _UnclearError("its first layer does not see every channel")
    # A layer of one channel is given that: red alone, or the luma of all.
    shares = np.abs(responses[:, chosen]).sum(axis=1)
    shares /= shares.sum()
    given, seen = {}, {}
    for name in ("0,255",) if dtype == tf.uint8 else INPUT_RANGES:
        pixels = [_pixel([level] * 3, name, dtype) for level in _LEVELS]
        # Views are of red, green and blue; groups, of channels as they go in.
        rgb = slice(None, None, -1 if name == "caffe" else 1)
        levels = [pixel.numpy().astype(float) for pixel in pixels]
        if len(groups) == 1:
            levels = [np.repeat(shares @ level, 3) for level in levels]
        black_pixel, _, white_pixel = (tuple(level.tolist()[rgb]) for level in levels)
        given[name] = View(black_pixel, white_pixel)
        seen[name] = _view([run(pixel).reshape(-1)[chosen] for pixel in pixels], groups[rgb])
    return FirstLayer(given=given, seen=seen, order=_order(layer, black.shape, chosen, sources))


def _pixel(levels: Sequence[int], input_range: str, dtype: tf.DType) -> tf.Tensor:
    """Returns a pixel of levels from 0 to 255 as the model gets it: [3]."""
    return from_unit_range(to_unit_range(tf.constant(levels, tf.float32)), input_range, dtype.name)


def _view(
    levels: Sequence[npt.NDArray[np.float32]], groups: Sequence[npt.NDArray[np.intp]]
) -> View:
    """Returns what becomes of black, gray and white.

    Args:
        levels: float32 [values], what the layer is given of images of _LEVELS.
        groups: Places of the values that come from red, from green and from blue; or of all.

    Raises:
        _UnclearError: If it depends on the place of a pixel.
    """
    if not np.isfinite(levels).all():
        raise _UnclearError("its first layer gets values that are not finite")
    black, gray, white = np.array(
        [[np.median(values[group]) for group in groups] for values in levels]
    )
    spans = white - black
    for group, span in zip(groups, spans, strict=True):
        quarters = np.percentile(levels[-1][group] - levels[0][group], (25, 75))
        if np.ptp(quarters) > max(_TOLERANCE * abs(span), _SMALLEST_SPREAD):
            raise _UnclearError("its first layer sees pixels differently, by their place")
    bent = np.abs(black + spans * (_LEVELS[1] / _LEVELS[-1]) - gray)
    is_straight = bool((bent <= _TOLERANCE * np.abs(spans) + _SMALLEST_SPREAD).all())
    channels = 3 // len(groups)
    return View(tuple(black.tolist()) * channels, tuple(white.tolist()) * channels, is_straight)


def _order(
    layer: LayerInput,
    shape: tuple[int, ...],
    chosen: npt.NDArray[np.intp],
    sources: npt.NDArray[np.intp],
) -> str:
    """Returns the order of the channels; "" where it cannot be told."""
    axis = layer.channel_axis % len(shape)
    if shape[axis] % 3 or (layer.channel_axis == 1 and shape[axis] != 3):
        return ""
    places = np.unravel_index(chosen, shape)[axis] % 3
    found = [set(sources[places == place].tolist()) for place in range(3)]
    return next((name for name, order in _ORDERS.items() if found == order), "")
