"""What images look like in numbers, and what their files are: for reports, and to sort by."""

import functools
import pickle
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.boxes import same_runs
from transforms.errors import ImageError
from transforms.images.color_profile import UNREADABLE
from transforms.images.file_description import FileDescription, describe_file
from transforms.images.isolated_decoder import call_apart, read_profile_apart
from transforms.images.policy import Preprocessing
from transforms.images.range_scaling import scale_and_shift

LUMA = (0.299, 0.587, 0.114)
"""Of red, green and blue. Source: ITU-R BT.601-7, 2.5.1."""

_NO_PROFILE = "none"

_DESCRIBED_HERE = ("JPEG", "PNG")


class ImageStatistics(NamedTuple):
    """Numbers and names of a batch of images.

    Attributes:
        brightness: float32 [batch], mean luma of the pixels that the model gets, in [0, 1].
        sharpness: float32 [batch], variance of their Laplacian, luma in levels from 0 to 255: of
            photos some hundreds to thousands, of blurred ones less.
        formats: Formats, under Pillow's names.
        modes: Kinds of pixels in the files, under Pillow's names, or "unknown" (JPEG XL).
        color_profiles: Descriptions of the ICC profiles in the files; "none" without one, and
            "unreadable" of a damaged one.
    """

    brightness: npt.NDArray[np.float32]
    sharpness: npt.NDArray[np.float32]
    formats: list[str]
    modes: list[str]
    color_profiles: list[str]


def measure_images(
    encoded: Sequence[bytes], pixels: npt.NDArray[Any], policy: Preprocessing
) -> ImageStatistics:
    """Measures images that could be decoded.

    Args:
        encoded: Their files.
        pixels: [batch, height, width, 3], what the policy made of them.
        policy: The policy.
    """
    light = [measure_light(image, policy) for image in pixels]
    brightness, sharpness = np.array(light, np.float32).reshape(-1, 2).T
    found: list[tuple[FileDescription, str]] = []
    for run in same_runs(encoded):  # Boxes of one image have one file.
        found += [_describe(encoded[run[0]], policy.max_image_seconds)] * len(run)
    return ImageStatistics(
        brightness,
        sharpness,
        [description.format for description, _ in found],
        [description.mode for description, _ in found],
        [name for _, name in found],
    )


def measure_light(pixels: npt.NDArray[Any], policy: Preprocessing) -> tuple[float, float]:
    """Returns brightness and sharpness of an image, as ImageStatistics has them.

    One image at a time, so that the numbers do not depend on the batch.

    Args:
        pixels: [height, width, 3], what the policy made of the image.
        policy: The policy.

    Source:
        Sharpness: J. L. Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR
        2000; with the kernel of four neighbours, without the border.
    """
    weights, offset = _luma_of(policy.input_range, policy.dtype)
    luma = pixels.astype(np.float32, copy=False) @ weights
    luma += offset
    brightness = float(luma.mean(dtype=np.float64))
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1]
    laplacian += luma[1:-1, :-2]
    laplacian += luma[1:-1, 2:]
    laplacian -= 4 * luma[1:-1, 1:-1]
    sharpness = 255**2 * float(laplacian.var()) if laplacian.size else 0.0
    return min(max(brightness, 0.0), 1.0), sharpness


@functools.cache
def _luma_of(input_range: str, dtype: str) -> tuple[npt.NDArray[np.float32], np.float32]:
    """Returns the weights of a pixel's channels, and what is added, to get luma in [0, 1].

    A channel is scale * level + shift, so that level is (channel - shift) / scale.
    """
    scale, shift = scale_and_shift("0,255" if dtype == "uint8" else input_range)
    luma = LUMA[::-1] if input_range == "caffe" else LUMA
    weights = [weight / factor for weight, factor in zip(luma, scale, strict=True)]
    offset = -sum(weight * added for weight, added in zip(weights, shift, strict=True))
    return np.array(weights, np.float32), np.float32(offset)


def _describe(encoded: bytes, seconds: float) -> tuple[FileDescription, str]:
    description = describe_file(encoded, of=_DESCRIBED_HERE)
    try:
        if description.format not in _DESCRIBED_HERE:
            buffer = pickle.PickleBuffer(encoded)
            description = call_apart(describe_file, buffer, seconds=seconds)
        profile = description.profile
        name = read_profile_apart(profile, seconds).name if profile is not None else _NO_PROFILE
    except ImageError:  # It was decoded, which is what counts.
        return description, UNREADABLE
    return description, name
