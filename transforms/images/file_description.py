"""What an image file is: its format, the kind of its pixels, and its ICC profile."""

from typing import NamedTuple

from transforms.images.color_profile import MAX_PROFILE_BYTES, embedded_profile
from transforms.images.pillow_files import (
    PILLOW_ERRORS,
    PILLOW_FORMATS,
    find_format,
    open_with_pillow,
)
from transforms.images.stripped import jpeg_layers

UNKNOWN = "unknown"

_JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
"""By the number of layers."""
_PNG_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}
"""By the type of colours. Source: PNG specification, third edition, 11.2.1."""


class FileDescription(NamedTuple):
    """What an image file is.

    Attributes:
        format: Format, under Pillow's name; PPM is PBM and PGM, too.
        mode: Kind of its pixels, under Pillow's name, or UNKNOWN.
        profile: ICC profile, or None.
    """

    format: str
    mode: str = UNKNOWN
    profile: bytes | None = None


def describe_file(encoded: bytes, of: tuple[str, ...] = PILLOW_FORMATS) -> FileDescription:
    """Describes an image file that could be decoded.

    Args:
        encoded: The whole file.
        of: Formats of which more is to be said than the name.
    """
    format = find_format(encoded)
    if format not in of or format == "JXL":  # Pillow cannot open that.
        return FileDescription(format)
    try:
        if format == "JPEG":
            return FileDescription(format, _jpeg_mode(encoded), embedded_profile(encoded, format))
        if format == "PNG":
            return FileDescription(format, _png_mode(encoded), embedded_profile(encoded, format))
        with open_with_pillow(encoded, format) as image:
            profile = image.info.get("icc_profile") or b""
            return FileDescription(format, image.mode, profile[:MAX_PROFILE_BYTES] or None)
    except PILLOW_ERRORS:
        return FileDescription(format)


def _jpeg_mode(encoded: bytes) -> str:
    layers = jpeg_layers(encoded)
    return _JPEG_MODES.get(layers[-1] if layers else 0, UNKNOWN)


def _png_mode(encoded: bytes) -> str:
    bits, colours = encoded[24], encoded[25]
    if colours == 0 and bits in (1, 16):
        return "1" if bits == 1 else "I;16"
    return _PNG_MODES.get(colours, UNKNOWN)
