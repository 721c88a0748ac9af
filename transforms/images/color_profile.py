"""ICC profiles inside of image files, and pixels turned into sRGB by them.

LittleCMS reads what anybody may have written: it is asked in the process that decodes, apart.
"""

import functools
import io
import zlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL import ImageCms

from transforms.images.stripped import jpeg_layers, jpeg_segments, png_chunks

MAX_PROFILE_BYTES = 4_000_000
"""Profiles of printers, the largest, have up to 3 MB."""

UNREADABLE = "unreadable"
"""Name of a profile that LittleCMS cannot read, or that is of other colours than the image's."""

_APP2, _ICC = b"\xe2", b"ICC_PROFILE\0"
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Pillow's mode by the colour space that a profile is of (ICC.1:2022, 7.2.6)."""

_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
_UNSEEN_LEVELS = 2
"""sRGB profiles of different makers differ by so much."""

_LEVELS_OF_GRAY = 1
"""Channels of gray pixels differ by so much, at most: libwebp rounds each by itself."""

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_ERRORS = (ImageCms.PyCMSError, OSError, ValueError)


class Profile(NamedTuple):
    """What is known of a profile.

    Attributes:
        name: Its description, as "Display P3", or UNREADABLE.
        changes: Whether colours differ from those of sRGB.
        space: Colour space as ICC has it: "RGB", "GRAY" or "CMYK"; empty if unreadable.
    """

    name: str
    changes: bool
    space: str


def embedded_profile(encoded: bytes, format: str) -> bytes | None:
    """Returns the ICC profile in a JPEG or PNG file; None if there is none, or no whole one.

    A JPEG has it in pieces of 64 kB, each with its number and how many there are, a PNG packed:

        ff e2  length  "ICC_PROFILE" 00  01  02  ..    ff e2  length  "ICC_PROFILE" 00  02  02  ..
        length  "iCCP"  "Display P3" 00  00  packed by zlib

    Source: ICC.1:2022, annex B.4; PNG specification, third edition, 11.3.2.3.
    """
    if format == "JPEG":
        pieces = [
            (encoded[start + 12], encoded[start + 14 : end])
            for kind, start, end in jpeg_segments(encoded)
            if kind == _APP2 and encoded.startswith(_ICC, start) and end >= start + 14
        ]
        return b"".join(data for _, data in sorted(pieces))[:MAX_PROFILE_BYTES] or None
    for kind, start, end in png_chunks(encoded):
        if kind == b"iCCP":
            _, _, packed = encoded[start:end].partition(b"\0")
            try:
                return zlib.decompressobj().decompress(packed[1:], MAX_PROFILE_BYTES) or None
            except zlib.error:
                return b"damaged"
    return None


def is_of_inks(profile: bytes) -> bool:
    """Returns whether a profile is of cyan, magenta, yellow and black (ICC.1:2022, 7.2.6)."""
    return profile[16:20] == b"CMYK"


def fits(profile: bytes, encoded: bytes, format: str) -> bool:
    """Returns whether a JPEG or PNG file has the colours that a profile is of: inks or others."""
    if format == "PNG":
        return not is_of_inks(profile)
    return is_of_inks(profile) == (4 in jpeg_layers(encoded))


@functools.lru_cache(16)
def read_profile(profile: bytes) -> Profile:
    """Says what an ICC profile is of, and whether it changes anything."""
    try:
        opened = _open(profile)
        name = " ".join(ImageCms.getProfileDescription(opened).split()) or "unnamed"
        space = opened.profile.xcolor_space.strip()
        mode = _MODES[space]
        # All colours in steps of 32 levels.
        steps = np.minimum(np.arange(9) * 32, 255).astype(np.uint8)
        grid = np.stack(np.meshgrid(*[steps] * len(PIL.Image.new(mode, (1, 1)).getbands())), -1)
        flat = grid.reshape(1, -1, grid.shape[-1])
        colours = PIL.Image.fromarray(flat[..., 0] if mode == "L" else flat, mode)
        shown = np.asarray(_to_srgb(colours, profile)).astype(np.int16)
    except (*_ERRORS, KeyError):
        return Profile(UNREADABLE, False, "")
    plain = np.asarray(colours.convert("RGB"))
    return Profile(name[:100], bool(np.abs(shown - plain).max() > _UNSEEN_LEVELS), space)


def to_srgb(image: PIL.Image.Image, profile: bytes | None) -> PIL.Image.Image:
    """Turns an image into RGB of sRGB, without alpha, by its profile.

    Args:
        image: Image of 8 bits.
        profile: ICC profile; one that cannot be read, or is of other colours, is ignored.
    """
    known = read_profile(profile) if profile else None
    if profile is None or known is None or not known.changes:
        return image.convert("RGB")
    mode = _MODES[known.space]
    if not _has_colours_of(image, mode):
        return image.convert("RGB")
    return _to_srgb(image.convert(mode), profile)


def _has_colours_of(image: PIL.Image.Image, mode: str) -> bool:
    """Whether an image may be turned into a profile's mode, which changes no colour then.

    Gray of a JPEG, WebP or AVIF comes in three channels, so that all of its pixels are asked.
    """
    if "CMYK" in (mode, image.mode):
        return image.mode == mode
    if mode != "L" or image.mode in ("1", "L", "LA"):
        return True
    channels = np.stack([np.asarray(channel) for channel in image.convert("RGB").split()])
    return int((channels.max(0) - channels.min(0)).max()) <= _LEVELS_OF_GRAY


def pixels_to_srgb(pixels: npt.NDArray[np.uint8], profile: bytes) -> npt.NDArray[np.uint8]:
    """Does the same with decoded pixels.

    Args:
        pixels: uint8 [height, width, 3].
        profile: ICC profile of RGB or gray.

    Returns:
        uint8 [height, width, 3].
    """
    return np.asarray(to_srgb(PIL.Image.fromarray(pixels), profile))


def _to_srgb(image: PIL.Image.Image, profile: bytes) -> PIL.Image.Image:
    shown = ImageCms.applyTransform(image, _transform(profile, image.mode))
    assert shown is not None, "it is not in place"
    return shown


@functools.lru_cache(16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(_open(profile), _SRGB, mode, "RGB", _INTENT, _FLAGS)


def _open(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))
