"""Reads headers and decodes in another process: a crash or a hang costs the image.

JPEG and PNG are decoded by other libraries; most images are those, and cost nothing here. That
process imports TensorFlow with the first JPEG XL, before the time of the image begins.
"""

import functools
import pickle
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from transforms.images.color_profile import Profile, pixels_to_srgb, read_profile
from transforms.images.decoder_pool import DecoderPool
from transforms.images.header import ImageHeader, read_header
from transforms.images.jxl_decoder import decode_jxl
from transforms.images.pillow_decoder import decode_with_pillow
from transforms.images.pillow_files import find_format

_NATIVE_HEADERS = ("WEBP", "AVIF", "HEIF")
"""Formats whose headers Pillow leaves to their libraries; others it reads in Python."""

_POOL = DecoderPool()

_Result = TypeVar("_Result")


def read_header_apart(encoded: bytes, seconds: float) -> ImageHeader:
    """Reads the header of an image file, in another process if that takes native code.

    Args:
        encoded: The whole file.
        seconds: Seconds that it may take.

    Raises:
        ImageError: As `read_header`, or if it takes too long, or crashes.
    """
    if find_format(encoded) in _NATIVE_HEADERS:
        return _POOL.call(read_header, pickle.PickleBuffer(encoded), seconds=seconds)
    return read_header(encoded)


def call_apart(function: Callable[..., _Result], *arguments: object, seconds: float) -> _Result:
    """Calls a function in the process that decodes, as DecoderPool does."""
    return _POOL.call(function, *arguments, seconds=seconds)


@functools.lru_cache(16)  # 4 MB each at most.
def read_profile_apart(profile: bytes, seconds: float) -> Profile:
    """Says what an ICC profile is of, asked in another process once for each profile.

    Raises:
        ImageError: If it takes too long, or crashes.
    """
    return _POOL.call(read_profile, profile, seconds=seconds)


def to_srgb_apart(
    pixels: npt.NDArray[np.uint8], profile: bytes, seconds: float
) -> npt.NDArray[np.uint8]:
    """Turns pixels into sRGB in another process.

    Args:
        pixels: uint8 [height, width, 3].
        profile: ICC profile of RGB or gray.
        seconds: Seconds that it may take.

    Raises:
        ImageError: If it takes too long, or crashes.
    """
    return _POOL.call(pixels_to_srgb, pixels, profile, seconds=seconds)


def decode_apart(
    encoded: bytes, header: ImageHeader, seconds: float, color_profile: str = "ignore"
) -> npt.NDArray[np.uint8]:
    """Decodes an image file with Pillow or libjxl in another process.

    Args:
        encoded: The whole file.
        header: Its header, within the policy's limits.
        seconds: Seconds that it may take.
        color_profile: One of policy.COLOR_PROFILES; JPEG XL is what it is.

    Returns:
        uint8 [header.height, header.width, 3].

    Raises:
        ImageError: As `decode_with_pillow`, or if it takes too long, or crashes.
    """
    buffer = pickle.PickleBuffer(encoded)
    if header.decoder == "libjxl":
        return _POOL.call(decode_jxl, buffer, header, seconds=seconds)
    return _POOL.call(decode_with_pillow, buffer, header, color_profile, seconds=seconds)
