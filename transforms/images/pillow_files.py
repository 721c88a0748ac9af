"""Image files as Pillow opens them: the formats on the allow-list, and what goes wrong."""

import io
import struct
import warnings
from collections.abc import Callable

import PIL.Image

# Every plugin of the allow-list registers here, so that none is imported while threads decode.
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    IcoImagePlugin,  # noqa: F401
    ImageFile,
    Jpeg2KImagePlugin,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,
    PpmImagePlugin,  # noqa: F401
    PsdImagePlugin,  # noqa: F401
    QoiImagePlugin,  # noqa: F401
    TgaImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
    _avif,
)

from transforms.errors import UnsupportedFormatError, brief
from transforms.images.heif_file import HEIF_BRANDS, open_heif
from transforms.images.jxl_header import CODESTREAM, CONTAINER
from transforms.images.signatures import describe
from transforms.images.stripped import strip
from transforms.images.targa import is_targa
from transforms.images.tiff_colours import TiffFile
from transforms.images.tiff_limits import check_tags

# The policy's limits are checked on the header instead. Pillow's would warn at one size and fail
# at another, neither of them ours.
PIL.Image.MAX_IMAGE_PIXELS = None
# What Pillow warns of is damage, and that ends in an image or an ImageError.
warnings.filterwarnings("ignore", module=r"PIL\.")

PILLOW_FORMATS = (
    "JPEG",
    "PNG",
    "GIF",
    "WEBP",
    "BMP",
    "TIFF",
    "AVIF",
    "JPEG2000",
    "ICO",
    "PSD",
    "DIB",
    "PPM",
    "QOI",
    "HEIF",
    "JXL",
    "TGA",
)
"""Formats that are read, under Pillow's names; PPM is PBM and PGM, too."""

_TOLD_BY_PILLOW = PILLOW_FORMATS[: PILLOW_FORMATS.index("PPM")]
"""By their first bytes, in this order."""

_NETPBM = tuple(b"P%d" % kind for kind in range(1, 7))

PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    RuntimeError,
    TypeError,
    LookupError,
    EOFError,
    struct.error,
)
"""What Pillow raises on damaged files: found by reading its plugins and by mutating files."""


def find_format(encoded: bytes) -> str:
    """Returns which of PILLOW_FORMATS a file is, or raises UnsupportedFormatError."""
    found = _format(encoded)
    if found is None:
        raise UnsupportedFormatError(
            f"not an image of a supported format: {describe(encoded)}; "
            "wanted JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF, HEIC, JPEG XL, JPEG 2000, ICO, PSD, "
            "PNM, TGA or QOI"
        )
    return found


def _format(encoded: bytes) -> str | None:
    prefix = encoded[:16]
    # 00 00 00 1c  f t y p  a v i f  00 00 00 00  a v i f  m i f 1  m i a f
    # length                major    version      the list of brands
    if prefix[4:8] == b"ftyp":
        # HEIC has the same container, and may name it first; the list of brands tells.
        brands = encoded[8 : min(int.from_bytes(prefix[:4], "big"), 256)]
        if b"avif" in brands or b"avis" in brands:
            return "AVIF"
        return "HEIF" if any(brand in brands for brand in HEIF_BRANDS) else None
    if prefix.startswith(_NETPBM) and prefix[2:3].isspace():
        return "PPM"
    if prefix.startswith(b"qoif"):
        return "QOI"
    if prefix.startswith((CODESTREAM, CONTAINER)):
        return "JXL"
    found = next((name for name in _TOLD_BY_PILLOW if _accepts(name, prefix)), None)
    return "TGA" if found is None and is_targa(encoded) else found


def _accepts(format: str, prefix: bytes) -> bool:
    accept = PIL.Image.OPEN[format][1]
    assert accept is not None, format
    # Pillow unpacks four bytes for some.
    return len(prefix) >= 4 and accept(prefix) is True


def open_with_pillow(encoded: bytes, format: str) -> ImageFile.ImageFile:
    """Opens an image file as what it is, lazily where Pillow can (it cannot for ICO).

    `PIL.Image.open` would drop the reason of a failure.

    Raises:
        Exception: One of PILLOW_ERRORS.
    """
    if format == "TIFF":
        check_tags(encoded)
    factory = _FACTORIES.get(format) or PIL.Image.OPEN[format][0]
    return factory(io.BytesIO(strip(encoded, format)), "")


class _PngPixels(PngImagePlugin.PngImageFile):
    """A PNG up to its last pixel: what is damaged behind them is no reason to refuse it."""

    def load_end(self) -> None:
        pass


class AvifPixels(AvifImagePlugin.AvifImageFile):
    """An AVIF whose EXIF is not read: how it is turned is said by its own properties.

    Attributes:
        orientation: EXIF orientation that those properties come to, 1 to 8.
    """

    orientation = 1

    def _open(self) -> None:
        assert self.fp is not None
        codec, threads = "auto", AvifImagePlugin._get_default_max_threads()
        self._decoder = _avif.AvifDecoder(self.fp.read(), codec, threads)
        info = self._decoder.get_info()
        self._size, self.n_frames, self._mode, profile, _, self.orientation, _ = info
        if profile:
            self.info["icc_profile"] = profile
        self.is_animated = self.n_frames > 1
        self.seek(0)


_FACTORIES: dict[str, Callable[[io.BytesIO, str], ImageFile.ImageFile]] = {
    "PNG": _PngPixels,
    "AVIF": AvifPixels,
    "TIFF": TiffFile,
    "HEIF": open_heif,
}


def reason(error: Exception) -> str:
    """Returns what one of PILLOW_ERRORS says is wrong, as one line."""
    # Pillow wraps what its readers trip over in SyntaxErrors.
    cause = error.__cause__ or error
    if isinstance(cause, (struct.error, LookupError, EOFError, TypeError)):
        return "it ends early, or holds a value that cannot be"
    text = brief(error)
    return "it describes no image" if text == "not identified by this driver" else text
