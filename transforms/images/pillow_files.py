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
    PsdImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
    _avif,
)

from transforms.errors import UnsupportedFormatError, brief
from transforms.images.signatures import describe
from transforms.images.stripped import strip
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
)
"""Formats that are read, under Pillow's names, in the order in which they are told apart."""

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
    prefix = encoded[:16]
    # 00 00 00 1c  f t y p  a v i f  00 00 00 00  a v i f  m i f 1  m i a f
    # length                major    version      the list of brands
    if prefix[4:8] == b"ftyp":
        # HEIC has the same container, and may name it first; the list of brands tells.
        brands = encoded[8 : min(int.from_bytes(prefix[:4], "big"), 256)]
        found = "AVIF" if b"avif" in brands or b"avis" in brands else None
    else:
        found = next((name for name in PILLOW_FORMATS if _accepts(name, prefix)), None)
    if found is None:
        raise UnsupportedFormatError(
            f"not an image of a supported format: {describe(encoded)}; "
            "wanted JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF, JPEG 2000, ICO or PSD"
        )
    return found


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
    factory = _FACTORIES.get(format, PIL.Image.OPEN[format][0])
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
        self._size, self.n_frames, self._mode, _, _, self.orientation, _ = self._decoder.get_info()
        self.is_animated = self.n_frames > 1
        self.seek(0)


_FACTORIES: dict[str, Callable[[io.BytesIO, str], ImageFile.ImageFile]] = {
    "PNG": _PngPixels,
    "AVIF": AvifPixels,
    "TIFF": TiffFile,
}


def reason(error: Exception) -> str:
    """Returns what one of PILLOW_ERRORS says is wrong, as one line."""
    # Pillow wraps what its readers trip over in SyntaxErrors.
    cause = error.__cause__ or error
    if isinstance(cause, (struct.error, LookupError, EOFError, TypeError)):
        return "it ends early, or holds a value that cannot be"
    text = brief(error)
    return "it describes no image" if text == "not identified by this driver" else text
