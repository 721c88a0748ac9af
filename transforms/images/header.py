"""What an image file's header says, read without decoding a pixel. Imports no TensorFlow."""

import dataclasses
import io
import struct
import warnings
from collections.abc import Callable

import PIL.Image

# Every plugin of the allow-list registers here, so that none is imported while threads decode.
from PIL import (
    AvifImagePlugin,  # noqa: F401
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    IcoImagePlugin,
    ImageFile,
    Jpeg2KImagePlugin,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,
    PsdImagePlugin,  # noqa: F401
    TiffImagePlugin,
    WebPImagePlugin,  # noqa: F401
)

from transforms.errors import CorruptImageError, UnsupportedFormatError, brief
from transforms.images.signatures import describe

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

TENSORFLOW_FORMATS = ("JPEG", "PNG")
"""Formats that TensorFlow decodes right; of the others it knows some, wrongly in part."""

ORIENTATION_TAG = 0x0112
"""EXIF 2.32, table 4."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclasses.dataclass(frozen=True, slots=True)
class ImageHeader:
    """What is known of an image before it is decoded.

    Attributes:
        format: Name of the format, one of PILLOW_FORMATS; multi-picture JPEG (MPO) is JPEG.
        height: Height as stored, in pixels.
        width: Width as stored, in pixels.
        orientation: EXIF orientation, 1 (upright) to 8; from 5 on, height and width change places.
        decoder: Library that decodes it: "tensorflow" or "pillow".
    """

    format: str
    height: int
    width: int
    orientation: int
    decoder: str


def read_header(encoded: bytes) -> ImageHeader:
    """Reads the header of an image file.

    Args:
        encoded: The whole file.

    Raises:
        UnsupportedFormatError: If it is no image of a format on the allow-list.
        CorruptImageError: If it begins like one, and its header makes no sense.
    """
    format = _format(encoded)
    try:
        height, width, orientation = _READERS.get(format, _read_pillow)(encoded, format)
    except PILLOW_ERRORS as error:
        raise CorruptImageError(f"damaged {format} header: {reason(error)}") from error
    if height < 1 or width < 1:
        raise CorruptImageError(f"damaged {format} header: {height} x {width} pixels")
    decoder = "tensorflow" if format in TENSORFLOW_FORMATS else "pillow"
    return ImageHeader(format, height, width, orientation, decoder)


def open_with_pillow(encoded: bytes, format: str) -> ImageFile.ImageFile:
    """Opens an image file as what it is, lazily where Pillow can (it cannot for ICO).

    `PIL.Image.open` would drop the reason of a failure.

    Raises:
        Exception: One of PILLOW_ERRORS.
    """
    factory = _PngPixels if format == "PNG" else PIL.Image.OPEN[format][0]
    return factory(io.BytesIO(encoded), "")


class _PngPixels(PngImagePlugin.PngImageFile):
    """A PNG up to its last pixel: what is damaged behind them is no reason to refuse it."""

    def load_end(self) -> None:
        pass


def reason(error: Exception) -> str:
    """Returns what one of PILLOW_ERRORS says is wrong, as one line."""
    # Pillow wraps what its readers trip over in SyntaxErrors.
    cause = error.__cause__ or error
    if isinstance(cause, (struct.error, LookupError, EOFError, TypeError)):
        return f"it ends early, or holds a value that cannot be ({cause})"
    text = brief(error)
    return "it describes no image" if text == "not identified by this driver" else text


def _format(encoded: bytes) -> str:
    prefix = encoded[:16]
    # 00 00 00 1c  f t y p  a v i f  00 00 00 00  a v i f  m i f 1  m i a f
    # length                major    version      the list of brands
    if prefix[4:8] == b"ftyp":
        # HEIC has the same container, and may name it first; the list of brands tells.
        length = int.from_bytes(prefix[:4], "big")
        brands = encoded[8 : min(length, 256)]
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


def _read_pillow(encoded: bytes, format: str) -> tuple[int, int, int]:
    image = open_with_pillow(encoded, format)
    width, height = image.size
    orientation = _orientation(image.getexif)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        if orientation >= 5:
            # Pillow says the size of a TIFF as it is seen.
            width, height = height, width
        _check_tiles(image)
    return height, width, orientation


def _read_png(encoded: bytes, format: str) -> tuple[int, int, int]:
    # Not by Pillow: it refuses images for their text, and loads the pixels to look for EXIF.
    # Source: PNG specification, third edition, 11.2.1 and 11.3.4.5.
    # A search of all bytes is fast and finds too much; the walk over the chunks decides.
    width, height = _png_size(encoded, 0)
    block = _png_chunk(encoded, b"eXIf") if b"eXIf" in encoded else None
    if block is None:
        return height, width, 1

    def load() -> PIL.Image.Exif:
        exif = PIL.Image.Exif()
        exif.load(block)
        return exif

    return height, width, _orientation(load)


def _png_size(encoded: bytes, start: int) -> tuple[int, int]:
    """Returns (width, height) of a PNG that starts at a place.

    Its first bytes, of an image 300 wide and 200 high:

        89 P N G 0d 0a 1a 0a   00 00 00 0d   I H D R   00 00 01 2c   00 00 00 c8
        signature              length        kind      width         height
    """
    signature, _, kind, width, height = struct.unpack_from(">8sI4sII", encoded, start)
    if signature != _PNG_SIGNATURE or kind != b"IHDR":
        raise SyntaxError("the IHDR chunk is not the first")
    return width, height


def _png_chunk(encoded: bytes, wanted: bytes) -> bytes | None:
    """Returns the content of the first chunk of a kind, or None.

    A chunk is its content's length, its kind, the content and 4 bytes of checksum, which is not
    looked at: 12 bytes more than its content.
    """
    offset = len(_PNG_SIGNATURE)
    while offset + 8 <= len(encoded):
        length, kind = struct.unpack_from(">I4s", encoded, offset)
        if kind == wanted:
            return encoded[offset + 8 : offset + 8 + length]
        offset += 12 + length
    return None


def _read_gif(encoded: bytes, format: str) -> tuple[int, int, int]:
    # Not by Pillow: it makes room for the first frame before it says its size.
    # Source: GIF89a specification, 18 to 24. After the screen and its palette come blocks:
    #   21 f9  04 .. .. .. ..  00      an extension: its parts each after their length, 0 ends it
    #   2c  left top width height ..   a frame, each of these 2 bytes
    #   3b                             the end
    # Between them some programs leave bytes that are none of these; they are passed over.
    width, height, flags = struct.unpack_from("<HHB", encoded, 6)
    offset = 13 + _gif_palette(flags)
    while (kind := encoded[offset]) != 0x2C:
        if kind == 0x3B:
            raise SyntaxError("no frame")
        offset += 1
        if kind == 0x21:
            offset += 1
            while encoded[offset]:
                offset += 1 + encoded[offset]
            offset += 1
    left, top, frame_width, frame_height = struct.unpack_from("<HHHH", encoded, offset + 1)
    # As Pillow and browsers do for frames that do not fit the screen.
    return max(height, top + frame_height), max(width, left + frame_width), 1


def _gif_palette(flags: int) -> int:
    """Returns the bytes of a palette: flags & 7 is 2 for one of 2 ** 3 colours."""
    return 3 << (flags % 8 + 1) if flags & 0x80 else 0


def _read_ico(encoded: bytes, format: str) -> tuple[int, int, int]:
    # The directory may say 16 x 16 of an image of any size, and Pillow decodes when it opens.
    start = IcoImagePlugin.IcoFile(io.BytesIO(encoded)).entry[0].offset
    if encoded.startswith(_PNG_SIGNATURE, start):
        width, height = _png_size(encoded, start)
        return height, width, 1
    # A bitmap of Windows 2 has a header of 12 bytes and sides of 16 bits; later ones have more.
    (header_bytes,) = struct.unpack_from("<I", encoded, start)
    sides = "<HH" if header_bytes == 12 else "<ii"
    width, height = struct.unpack_from(sides, encoded, start + 4)
    # A bitmap in an icon is twice as high: colours, then mask.
    return abs(height) // 2, abs(width), 1


_Reader = Callable[[bytes, str], tuple[int, int, int]]
_READERS: dict[str, _Reader] = {"PNG": _read_png, "GIF": _read_gif, "ICO": _read_ico}


def _orientation(read_exif: Callable[[], PIL.Image.Exif]) -> int:
    try:
        value = read_exif().get(ORIENTATION_TAG, 1)
    except PILLOW_ERRORS:
        # A damaged EXIF block says nothing about the image; it is shown as it is stored.
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _check_tiles(image: TiffImagePlugin.TiffImageFile) -> None:
    # A tile is decoded whole, however little of it the image takes.
    width, height = (image.tag_v2.get(tag, 0) for tag in (322, 323))
    most = max(_MAX_TILE_PIXELS, 4 * image.size[0] * image.size[1])
    if width and height and width * height > most:
        raise ValueError(f"tiles of {height} x {width} pixels")


_MAX_TILE_PIXELS = 4096 * 4096
