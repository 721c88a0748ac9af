"""Files of the formats that phones and newer programs write."""

import io
import warnings
from typing import Any

import numpy.typing as npt
import PIL.Image
from pillow_heif import as_plugin
from pillow_jxl import JpegXLImagePlugin

from tests.support.images import Pixels, exif, save


def heic(pixels: Pixels, orientation: int = 1, tile_pixels: int = 0, profile: bytes = b"") -> bytes:
    """Encodes a photo as an iPhone does, without a loss: EXIF and irot say how it is turned.

    Args:
        pixels: uint8 [height, width, 3] or [height, width, 4], as stored.
        orientation: EXIF orientation.
        tile_pixels: Side of the tiles that it is put together of; 0 for one picture.
        profile: ICC profile.
    """
    image = PIL.Image.fromarray(pixels)
    # from_pillow would turn the pixels, and say irot too.
    image.encoderinfo = {
        "exif": exif(orientation).tobytes(),
        "icc_profile": profile or None,
        "quality": -1,
        "chroma": 444,
        "matrix_coefficients": 0,
        "tile_size": tile_pixels,
    }
    file = io.BytesIO()
    as_plugin._save_heif(image, file, "")
    return file.getvalue()


def jxl(
    pixels: npt.NDArray[Any],
    **options: Any,  # noqa: ANN401
) -> bytes:
    """Encodes pixels as JPEG XL, without a loss unless told otherwise."""
    return save(PIL.Image.fromarray(pixels), "JXL", **{"lossless": True, **options})


def jxl_of_jpeg(path: str) -> bytes:
    """Packs a JPEG file as JPEG XL, bit by bit; its EXIF orientation goes into the codestream."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with PIL.Image.open(path) as image:
            return save(image, JpegXLImagePlugin.JXLImageFile.format)
