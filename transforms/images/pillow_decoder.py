"""Decodes what TensorFlow cannot, or gets wrong, with Pillow."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, SAMPLEFORMAT

from transforms.errors import CorruptImageError, ImageTooLargeError, UnsupportedFormatError
from transforms.images.color_profile import MAX_PROFILE_BYTES, embedded_profile, to_srgb
from transforms.images.fax_strips import check_fax_strips
from transforms.images.header import ImageHeader
from transforms.images.pillow_files import PILLOW_ERRORS, open_with_pillow, reason
from transforms.images.png_data import check_icon, check_png_data
from transforms.images.run_lengths import unpack_run_lengths
from transforms.images.tiff_strips import check_strips

_UNSIGNED = 1
"""TIFF 6.0, section 19: 2 is signed, 3 floating point."""

_WHITE_IS_ZERO = 0
"""TIFF 6.0, section 8."""


def decode_with_pillow(
    encoded: bytes, header: ImageHeader, color_profile: str = "ignore"
) -> npt.NDArray[np.uint8]:
    """Decodes an image file, the first frame of it, as it is stored.

    Alpha is dropped, not composited; palettes are expanded; gray becomes three equal channels;
    16- and 32-bit samples keep their upper 8 bits; CMYK is converted without colour profiles. That
    is what TensorFlow does with the formats that it reads.

    Args:
        encoded: The whole file.
        header: Header as `read_header` gives it, within the policy's limits.
        color_profile: "srgb" turns colours of 8 bits into sRGB by the file's profile; "ignore" does
            not.

    Returns:
        uint8 [header.height, header.width, 3].

    Raises:
        CorruptImageError: If it cannot be decoded whole.
        ImageTooLargeError: If there is not the memory, or a row is too long for Pillow.
        UnsupportedFormatError: If its samples are no colours: floating point, signed, L*a*b*.
    """
    try:
        if header.format == "TIFF":
            check_strips(encoded)
        elif header.format == "PNG":
            check_png_data(encoded)
        elif header.format == "ICO":
            check_icon(encoded)
        elif header.format in ("BMP", "DIB"):
            encoded = unpack_run_lengths(encoded)
        with open_with_pillow(encoded, header.format) as image:
            tags = getattr(image, "tag_v2", {})
            image.load()
            if image.size != (header.width, header.height):
                raise CorruptImageError(
                    f"the {header.format} header says {header.height} x {header.width} pixels, "
                    f"its data {image.height} x {image.width}"
                )
            check_fax_strips(encoded, tags)
            if image.mode == "F" or tags.get(SAMPLEFORMAT, (_UNSIGNED,))[0] != _UNSIGNED:
                raise UnsupportedFormatError(
                    f"the {header.format} file holds floating-point or signed samples, which are "
                    "measurements; convert them to 8-bit colours"
                )
            if image.mode.startswith("I"):
                return _rgb_of_gray(image, tags)
            rgb = _rgb(image, _profile(encoded, image) if color_profile == "srgb" else None)
            # Pillow shows the negative of what Photoshop calls a bitmap: there 1 is black.
            return 255 - rgb if header.format == "PSD" and image.mode == "1" else rgb
    except MemoryError as error:  # Pillow's, also for rows that are too long for it.
        raise ImageTooLargeError(
            f"{header.height} x {header.width} pixels are more than can be held in memory as "
            f"{header.format}"
        ) from error
    except PILLOW_ERRORS as error:
        raise CorruptImageError(f"damaged {header.format} data: {reason(error)}") from error


def _rgb_of_gray(image: PIL.Image.Image, tags: Mapping[int, Any]) -> npt.NDArray[np.uint8]:
    """Takes the upper 8 bits of gray samples of 12, 16 or 32 bits.

    Pillow leaves those as they are in the file, also where 0 stands for white.
    """
    gray = np.asarray(image)
    if image.mode == "I":
        gray = gray.view(np.uint32)
    bits = 12 if tags.get(BITSPERSAMPLE, ()) == (12,) else 8 * gray.itemsize
    if image.format == "PPM":
        bits = 16  # Whatever white is in the file, Pillow makes 65,535 of it.
    levels = (gray >> (bits - 8)).astype(np.uint8)
    if tags.get(PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO:
        levels = 255 - levels
    return np.repeat(levels[..., np.newaxis], 3, axis=-1)


def _profile(encoded: bytes, image: PIL.Image.Image) -> bytes | None:
    # Pillow got JPEG and PNG stripped of it.
    if image.format in ("JPEG", "MPO", "PNG"):
        return embedded_profile(encoded, "PNG" if image.format == "PNG" else "JPEG")
    profile: bytes | None = image.info.get("icc_profile")
    return profile and profile[:MAX_PROFILE_BYTES]


def _rgb(image: PIL.Image.Image, profile: bytes | None) -> npt.NDArray[np.uint8]:
    if image.mode == "LAB":
        raise UnsupportedFormatError("L*a*b* colours; convert them to RGB")
    # Else Pillow looks for one colour to stand for what is transparent.
    image.info.pop("transparency", None)
    if image.mode == "RGBa":
        image = image.convert("RGBA")
    if profile:
        return np.asarray(to_srgb(image, profile))
    # Converting what is RGB would copy it.
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
