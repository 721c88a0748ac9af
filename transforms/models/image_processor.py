"""What Hugging Face's files beside a model say of images, as flags of this pipeline.

    preprocessor_config.json                            is
    "size": {"shortest_edge": 256}, "resample": 3       --interpolation bicubic --antialias
    "do_center_crop": true, "crop_size": {224, 224}     --resize_mode crop --crop_fraction 0.875
    "rescale_factor": 0.0039, "image_mean": [0.5, ...]  --input_range -1,1
    "image_mean": [0.481, 0.458, 0.408], CLIP's         --input_range 0,1, and the rest in the model

timm's files say the same in other words. Where a file says what no flag does, such as
to squash first and to crop then, `unsaid` has it in words.

Source: the image processors of transformers 5.24, timm 1.0.31's data/transforms_factory.py.
"""

import dataclasses
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from transforms.images.policy import INPUT_RANGES
from transforms.images.range_scaling import scale_and_shift
from transforms.models.onnx_files import CONFIG_FILE, is_onnx
from transforms.models.onnx_proto import read_metadata, takes_uint8
from transforms.models.processor_files import find_processor_file
from transforms.models.said_fields import Fields, SaidFields

_INTERPOLATIONS = {0: "nearest", 1: "lanczos3", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of resampling filters that --interpolation has."""

_NO_CROP_FROM = 384
"""Side from which ConvNeXT's processor squashes and does not crop."""

_TOLERANCE = 1e-4
"""Of scale and shift, below which a mean and deviation are those of an --input_range."""

_SCALING = ("do_rescale", "rescale_factor", "do_normalize", "image_mean")
"""Fields that say in which range pixels are wanted. Without one, nobody has said it."""

_UNIT = "0,1"
_NOMINAL_RANGES = {
    "NominalRange_0_255": "0,255",
    "Normalized_0_1": "0,1",
    "Normalized_1_1": "-1,1",
}
"""Ranges of pixels by ONNX' words for them, but for that of video, from 16 to 235."""

_SQUASH: Mapping[str, Any] = {"resize_mode": "squash"}
_SQUASHING = ("Beit", "DeiT", "ViT")
"""Processors that make one number as size a square, whatever they cut out of it."""

_LEVIT_ENLARGES = 256 / 224


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageProcessor:
    """What a model wants of images.

    Attributes:
        source: Name of the file that says so; nothing if there is none.
        flags: Values of flags of embed and classify, by the flag's name.
        image_size: Height and width in pixels, or None.
        scale: Factors of red, green and blue in [0, 1] that no --input_range has; nothing if there
            are none.
        shift: What is added to each then.
        is_bgr: Whether blue is to come first.
        unsaid: Sentence on what no flag does; nothing if there is nothing.
    """

    source: str = ""
    flags: Fields = dataclasses.field(default_factory=dict)
    image_size: tuple[int, int] | None = None
    scale: tuple[float, ...] = ()
    shift: tuple[float, ...] = ()
    is_bgr: bool = False
    unsaid: str = ""


def read_image_processor(model_dir: str) -> ImageProcessor:
    """Reads what the files beside a model say of images; of none, nothing.

    Args:
        model_dir: A directory that holds saved_model.pb, or an ONNX file.

    Raises:
        ModelError: If they cannot be read, or make no sense.
    """
    found = find_processor_file(model_dir)
    if found is None:
        return _of_metadata(model_dir) if is_onnx(model_dir) else ImageProcessor()
    said = SaidFields(found.fields, found.path)
    if found.is_timm or (found.name == CONFIG_FILE and "image_size" not in found.fields):
        processor = _of_timm(said, found.name)
    elif found.name == CONFIG_FILE:
        return ImageProcessor(source=found.name, image_size=said.size("image_size"))
    else:
        processor = _of_transformers(said, found.name)
    if not is_onnx(model_dir):
        return _of_flags_alone(processor)
    return _without_range(processor) if takes_uint8(model_dir) else processor


def _without_range(processor: ImageProcessor) -> ImageProcessor:
    """Leaves out what becomes of pixels after the resizing: the graph itself scales levels."""
    flags = {name: value for name, value in processor.flags.items() if name != "input_range"}
    return dataclasses.replace(processor, flags=flags, scale=(), shift=())


def _of_flags_alone(processor: ImageProcessor) -> ImageProcessor:
    """Returns what flags do of it, and the rest in words: nothing is put before a SavedModel."""
    if not processor.scale:
        return processor
    own = "it standardizes pixels by a mean and deviation of its own"
    if processor.is_bgr:
        known = _range_of(processor.scale, processor.shift)
        own = f"it takes blue first, {f'of {known}' if known else 'by a mean of its own'}"
    unsaid = processor.unsaid or own
    return dataclasses.replace(_without_range(processor), is_bgr=False, unsaid=unsaid)


def _of_transformers(said: SaidFields, source: str) -> ImageProcessor:
    kind = str(said.get("image_processor_type") or said.get("feature_extractor_type") or "")
    form = _Form()
    if said.get("do_resize", True) and said.get("size") is not None:
        form = _form_of_transformers(said, kind)
    elif said.get("do_center_crop") and said.get("crop_size") is not None:
        cut = said.size("crop_size")
        form = _Form(cut, unsaid=f"it cuts {_by(cut)} out of the middle and resizes nothing")
    if said.get("do_pad"):
        form = form._replace(unsaid="it pads images")
    factor = 255 * said.number("rescale_factor", 1 / 255) if said.get("do_rescale", True) else 255.0
    offset = -1.0 if said.get("rescale_offset") else 0.0
    mean: tuple[float, ...] = (0.0,) * 3
    deviation: tuple[float, ...] = (1.0,) * 3
    if said.get("do_normalize", said.get("image_mean") is not None):
        mean = said.colour("image_mean")
        deviation = said.colour("image_std", is_positive=True)
    scale = tuple(factor / width for width in deviation)
    shift = tuple((offset - middle) / width for middle, width in zip(mean, deviation, strict=True))
    if kind.startswith("EfficientNet") and said.get("include_top"):
        # It divides by the deviation once more.
        scale = tuple(value / width for value, width in zip(scale, deviation, strict=True))
        shift = tuple(value / width for value, width in zip(shift, deviation, strict=True))
    resample = said.get("resample", 2)
    filters = next((it for code, it in _INTERPOLATIONS.items() if code == resample), None)
    is_bgr = bool(said.get("do_flip_channel_order"))
    found = _processor(source, form, filters, scale, shift, is_bgr=is_bgr)
    is_said = any(said.get(name) is not None for name in _SCALING)
    return found if is_said else _without_range(found)


def _of_timm(said: SaidFields, source: str) -> ImageProcessor:
    side = said.size("input_size")
    fraction = said.number("crop_pct", 0.875)
    mode = said.get("crop_mode", "center")
    form = _Form(side, _crop(fraction))
    if mode == "squash" and fraction == 1:
        form = _Form(side, _SQUASH)
    elif mode != "center" or fraction > 1 or side[0] != side[1]:
        form = _Form(side, unsaid=f"crop_mode {mode} with crop_pct {fraction:g}")
    mean = said.colour("mean", (0.485, 0.456, 0.406))
    deviation = said.colour("std", (0.229, 0.224, 0.225), is_positive=True)
    scale = tuple(1 / width for width in deviation)
    shift = tuple(-middle / width for middle, width in zip(mean, deviation, strict=True))
    name = said.get("interpolation", "bilinear")
    filters = name if name in _INTERPOLATIONS.values() else "bilinear" if name == "random" else None
    return _processor(source, form, filters, scale, shift)


def _of_metadata(path: str) -> ImageProcessor:
    """Returns what an ONNX file says of pixels itself, as those of Custom Vision do.

    Source: ONNX' MetadataProps.md. Where it says an order and no range, Custom Vision's own
    programs give it [0, 1].
    """
    said = read_metadata(path)
    name = _NOMINAL_RANGES.get(said.get("Image.NominalPixelRange", ""))
    if said.get("Image.BitmapPixelFormat") in ("Bgr8", "Bgra8"):
        scale, shift = scale_and_shift(name or _UNIT)
        processor = ImageProcessor(flags={"input_range": _UNIT}, scale=scale, shift=shift)
        return dataclasses.replace(processor, source=os.path.basename(path), is_bgr=True)
    if name is None:
        return ImageProcessor()
    return ImageProcessor(source=os.path.basename(path), flags={"input_range": name})


class _Form(NamedTuple):
    """How images come to their size.

    Attributes:
        image_size: Height and width in pixels, or None.
        flags: Flags that say how.
        unsaid: Words for what no flag does.
    """

    image_size: tuple[int, int] | None = None
    flags: Fields = MappingProxyType({})
    unsaid: str = ""


def _form_of_transformers(said: SaidFields, kind: str) -> _Form:
    crops, size = bool(said.get("do_center_crop")), said.get("size")
    keeps_aspect = isinstance(size, dict) and "shortest_edge" in size
    if isinstance(size, dict) and not size.keys() & {"shortest_edge", "height"}:
        return _Form(unsaid=f"it resizes to {str(size)[:80]}")
    if isinstance(size, int):  # Of files written before 2023.
        keeps_aspect = crops and not kind.startswith(_SQUASHING)
    if kind.startswith("ConvNext"):
        edge = said.edge("size")
        if edge >= _NO_CROP_FROM:
            return _Form((edge, edge), _SQUASH)
        return _Form((edge, edge), _crop(said.number("crop_pct", 0.875)))
    if not crops:
        if keeps_aspect:
            return _Form(unsaid=f"it makes the shorter side {said.edge('size')} and cuts nothing")
        return _Form(said.size("size"), _SQUASH)
    cut = said.size("crop_size")
    if keeps_aspect:
        enlarged = _LEVIT_ENLARGES if kind.startswith("Levit") else 1.0
        side = said.edge("size") / said.number("crop_pct", 1) * enlarged
        if cut[0] == cut[1] <= side:
            return _Form(cut, _crop(cut[0] / side))
        return _Form(cut, unsaid=f"it makes the shorter side {side:g} and cuts {_by(cut)} out")
    whole = said.size("size")
    if kind.startswith("Perceiver") and whole[0] == whole[1] <= cut[0] == cut[1]:
        return _Form(whole, _crop(whole[0] / cut[0]))  # It crops before it resizes.
    if whole == cut:
        return _Form(cut, _SQUASH)
    return _Form(cut, unsaid=f"it squashes to {_by(whole)} and cuts {_by(cut)} out of the middle")


def _crop(fraction: float) -> Fields:
    return {"resize_mode": "crop", "crop_fraction": round(fraction, 6)}


def _by(size: tuple[int, int]) -> str:
    return "{}x{}".format(*size)


def _processor(
    source: str,
    form: _Form,
    interpolation: str | None,
    scale: tuple[float, ...],
    shift: tuple[float, ...],
    *,
    is_bgr: bool = False,
) -> ImageProcessor:
    """Says it in flags, and the rest as it is."""
    flags, unsaid = dict(form.flags), form.unsaid
    if flags and interpolation is None:
        unsaid = "it resizes by another filter"
    elif flags:
        flags |= {"interpolation": interpolation, "antialias": interpolation != "nearest"}
    known = None if is_bgr else _range_of(scale, shift)
    return ImageProcessor(
        source=source,
        flags={**flags, "input_range": known or _UNIT},
        image_size=form.image_size,
        scale=() if known else scale,
        shift=() if known else shift,
        is_bgr=is_bgr,
        unsaid=unsaid,
    )


def _range_of(scale: tuple[float, ...], shift: tuple[float, ...]) -> str | None:
    """Returns the --input_range that scales and shifts so, but for rounding; None if there is none.

    "caffe" also turns the channels round, which no mean and deviation does.
    """
    for name in INPUT_RANGES:
        if name != "caffe":
            wanted = zip((*scale, *shift), sum(scale_and_shift(name), ()), strict=True)
            if all(abs(mine - its) <= _TOLERANCE * max(1, abs(its)) for mine, its in wanted):
                return name
    return None
