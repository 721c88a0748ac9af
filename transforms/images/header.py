"""What an image file's header says, read without decoding a pixel. Imports no TensorFlow."""

import dataclasses
import struct
from collections.abc import Callable

from transforms.errors import CorruptImageError, ImageTooLargeError, UnsupportedFormatError
from transforms.images import heif_file
from transforms.images.item_limits import check_items
from transforms.images.jpeg2000_limits import check_jpeg2000
from transforms.images.jpeg_limits import check_layers, check_scans
from transforms.images.jxl_header import read_jxl_size
from transforms.images.netpbm import read_netpbm_size
from transforms.images.orientation import read_orientation
from transforms.images.pillow_files import (
    PILLOW_ERRORS,
    AvifPixels,
    find_format,
    open_with_pillow,
    reason,
)
from transforms.images.run_lengths import check_run_lengths
from transforms.images.stripped import (
    JPEG_FRAMES,
    PNG_SIGNATURE,
    gif_first_frame,
    ico_image,
    jpeg_segments,
    png_chunks,
)
from transforms.images.targa import read_targa_size
from transforms.images.tiff_colours import TiffFile
from transforms.images.tiff_limits import check_tiles

TENSORFLOW_FORMATS = ("JPEG", "PNG")
"""Formats that TensorFlow decodes right; of the others it knows some, wrongly in part."""

_MAX_PIXELS = {
    "WEBP": 64_000_000,
    "AVIF": 50_000_000,
    "HEIF": heif_file.MAX_PIXELS,
    "QOI": 10_000_000,
}
"""Of formats whose decoders keep several copies: libwebp's of animations takes 17 bytes a pixel.

Pillow's of QOI is Python, and takes 1 us a pixel.
"""

_SEQUENTIAL = (b"\xc0", b"\xc1")
_START_OF_SCAN, _APP1 = b"\xda", b"\xe1"
_EXIF = b"Exif\0\0"


@dataclasses.dataclass(frozen=True, slots=True)
class ImageHeader:
    """What is known of an image before it is decoded.

    Attributes:
        format: Name of the format, one of PILLOW_FORMATS; multi-picture JPEG (MPO) is JPEG.
        height: Height as stored, in pixels.
        width: Width as stored, in pixels.
        orientation: EXIF orientation, 1 (upright) to 8; from 5 on, height and width change places.
        decoder: Library that decodes it: "tensorflow", "pillow", or "libjxl", which is a part of
            TensorFlow.
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
    format = find_format(encoded)
    try:
        height, width, orientation = _READERS.get(format, _read_pillow)(encoded, format)
    except PILLOW_ERRORS as error:
        raise CorruptImageError(f"damaged {format} header: {reason(error)}") from error
    except MemoryError as error:
        raise ImageTooLargeError(
            f"the {format} header asks for more memory than there is"
        ) from error
    if height < 1 or width < 1:
        raise CorruptImageError(f"damaged {format} header: {height} x {width} pixels")
    most = _MAX_PIXELS.get(format, height * width)
    if height * width > most:
        raise ImageTooLargeError(
            f"{height} x {width} pixels, wanted at most {most} of {format}: more do not decode in "
            "1 GB of memory and 10 s; convert it to JPEG or PNG"
        )
    return ImageHeader(format, height, width, orientation, _decoder(format))


def _decoder(format: str) -> str:
    if format == "JXL":
        return "libjxl"
    return "tensorflow" if format in TENSORFLOW_FORMATS else "pillow"


_CHECKS: dict[str, Callable[[bytes], None]] = {
    "AVIF": lambda encoded: check_items(encoded, _MAX_PIXELS["AVIF"]),
    "HEIF": lambda encoded: check_items(encoded, _MAX_PIXELS["HEIF"]),
    "JPEG2000": check_jpeg2000,
    "BMP": check_run_lengths,
    "DIB": check_run_lengths,
}
"""What is checked of a format before Pillow opens it."""


def _read_pillow(encoded: bytes, format: str) -> tuple[int, int, int]:
    if format in _CHECKS:
        _CHECKS[format](encoded)
    image = open_with_pillow(encoded, format)
    width, height = image.size
    orientation = 1
    if format == "WEBP":
        orientation = read_orientation(image.info.get("exif", b""))
    elif isinstance(image, AvifPixels):
        orientation = image.orientation
    elif isinstance(image, TiffFile):
        orientation = read_orientation(encoded)
        if orientation >= 5:
            # Pillow says the size of a TIFF as it is seen.
            width, height = height, width
        check_tiles(image)
    return height, width, orientation


def _read_jpeg(encoded: bytes, format: str) -> tuple[int, int, int]:
    # Not by Pillow: it gathers all EXIF there is, and reads more of it than we want.
    size = orientation = None
    layers, is_sequential = 0, False
    for kind, start, end in jpeg_segments(encoded):
        if kind in JPEG_FRAMES:
            is_sequential = kind in _SEQUENTIAL
            bits, height, width, layers = struct.unpack_from(">BHHB", encoded, start)
            if bits != 8 or layers not in (1, 3, 4):
                raise SyntaxError(f"cannot handle {layers} layers of {bits} bits")
            check_layers(height, width, layers)
            size = height, width
        elif kind == _START_OF_SCAN:
            # A sequential image whose first scan has all layers has no other: libjpeg stops there.
            if not is_sequential or encoded[start] != layers:
                check_scans(encoded, start)
        elif kind == _APP1 and orientation is None and encoded.startswith(_EXIF, start):
            orientation = read_orientation(encoded[start:end])
    if size is None:
        raise SyntaxError("no frame before the first scan")
    return *size, orientation or 1


def _read_png(encoded: bytes, format: str) -> tuple[int, int, int]:
    # Not by Pillow: it refuses images for their text, and loads the pixels to look for EXIF.
    # Source: PNG specification, third edition, 11.2.1 and 11.3.4.5.
    width, height = _png_size(encoded, 0)
    orientation = None
    for kind, start, end in png_chunks(encoded):
        if kind == b"eXIf" and orientation is None:
            orientation = read_orientation(encoded[start:end])
    return height, width, orientation or 1


def _png_size(encoded: bytes, start: int) -> tuple[int, int]:
    """Returns (width, height) of a PNG that starts at a place.

    Its first bytes, of an image 300 wide and 200 high:

        89 P N G 0d 0a 1a 0a   00 00 00 0d   I H D R   00 00 01 2c   00 00 00 c8
        signature              length        kind      width         height
    """
    signature, _, kind, width, height = struct.unpack_from(">8sI4sII", encoded, start)
    if signature != PNG_SIGNATURE or kind != b"IHDR":
        raise SyntaxError("the IHDR chunk is not the first")
    return width, height


def _read_gif(encoded: bytes, format: str) -> tuple[int, int, int]:
    # Not by Pillow: it makes room for the first frame before it says its size.
    width, height = struct.unpack_from("<HH", encoded, 6)
    start, _ = gif_first_frame(encoded)
    left, top, frame_width, frame_height = struct.unpack_from("<HHHH", encoded, start + 1)
    # As Pillow and browsers do for frames that do not fit the screen.
    return max(height, top + frame_height), max(width, left + frame_width), 1


def _read_psd(encoded: bytes, format: str) -> tuple[int, int, int]:
    # Not by Pillow: it reads the sizes of all rows to find out where the layers of colour start.
    version, height, width, bits = struct.unpack_from(">4xH8xIIH", encoded)
    if version == 2 or bits in (16, 32):
        kind = "a PSB file" if version == 2 else f"a PSD file of {bits} bits a channel"
        raise UnsupportedFormatError(f"{kind}; convert it to a PSD of 8 bits, or to PNG")
    return height, width, 1


def _read_ico(encoded: bytes, format: str) -> tuple[int, int, int]:
    # The directory may say 16 x 16 of an image of any size, and Pillow decodes when it opens.
    start = ico_image(encoded)
    if encoded.startswith(PNG_SIGNATURE, start):
        width, height = _png_size(encoded, start)
        return height, width, 1
    # A bitmap of Windows 2 has a header of 12 bytes and sides of 16 bits; later ones have more.
    (header_bytes,) = struct.unpack_from("<I", encoded, start)
    sides = "<HH" if header_bytes == 12 else "<ii"
    width, height = struct.unpack_from(sides, encoded, start + 4)
    if header_bytes >= 40 and struct.unpack_from("<I", encoded, start + 16)[0] in (1, 2):
        raise ValueError("a run-length coded icon")
    # A bitmap in an icon is twice as high: colours, then mask.
    return abs(height) // 2, abs(width), 1


def _read_qoi(encoded: bytes, format: str) -> tuple[int, int, int]:
    # Source: The Quite OK Image Format, specification 1.0.
    width, height = struct.unpack_from(">II", encoded, 4)
    return height, width, 1


def _read_netpbm(encoded: bytes, format: str) -> tuple[int, int, int]:
    return *read_netpbm_size(encoded), 1


def _read_targa(encoded: bytes, format: str) -> tuple[int, int, int]:
    return *read_targa_size(encoded), 1


def _read_jxl(encoded: bytes, format: str) -> tuple[int, int, int]:
    return *read_jxl_size(encoded), 1


_Reader = Callable[[bytes, str], tuple[int, int, int]]
_READERS: dict[str, _Reader] = {
    "JPEG": _read_jpeg,
    "PNG": _read_png,
    "GIF": _read_gif,
    "ICO": _read_ico,
    "PSD": _read_psd,
    "QOI": _read_qoi,
    "PPM": _read_netpbm,
    "TGA": _read_targa,
    "JXL": _read_jxl,
}
