"""HEIF and HEIC photos, as phones take them, by the extra [heif].

pillow-heif is not registered with Pillow: it would be asked for every file that nobody knows.
"""

import io

from PIL import ImageFile

from transforms.errors import MissingExtraError

HEIF_BRANDS = (
    b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1",
)  # fmt: skip
"""Kinds of files in which pictures are coded by HEVC. Source: ISO/IEC 23008-12, annex B."""

MAX_PIXELS = 120_000_000
"""7 s of decoding, at 60 ns a pixel; 0.9 GB, at 7.5 bytes a pixel."""


def open_heif(file: io.BytesIO, name: str) -> ImageFile.ImageFile:
    """Opens a HEIF file lazily, its primary picture, as it is to be seen.

    The decoder turns and crops it by the file's own properties (irot, imir, clap). EXIF says the
    same once more, and is not read.

    Args:
        file: The whole file.
        name: As Pillow's factories take it.

    Raises:
        MissingExtraError: If the extra is not installed.
        SyntaxError: If it is damaged.
    """
    try:
        from pillow_heif import options
        from pillow_heif.as_plugin import HeifImageFile
    except ModuleNotFoundError as error:
        raise MissingExtraError("a HEIC photo; to decode it: pip install '.[heif]'") from error

    # Of each, libheif would look for a picture of its own.
    options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False
    return HeifImageFile(file, name)
