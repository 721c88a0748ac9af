"""Small files that would cost gigabytes, minutes or the run: each costs itself, soon."""

import io
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import PIL.Image
import pytest

from tests.support.images import STORE, encode, exif, photo
from transforms.errors import CorruptImageError, ImageError, ImageTooLargeError
from transforms.images.header import ImageHeader, read_header
from transforms.images.pillow_decoder import decode_with_pillow
from transforms.images.pillow_files import open_with_pillow
from transforms.images.stripped import MAX_PARTS

SCENE = photo(48, 64)
MAX_BYTES, MAX_SECONDS = 60_000_000, 4


def exif_of_many_tags(tags: int = 3000, size: int = 2_000_000) -> bytes:
    """Makes EXIF whose tags all claim the same bytes."""
    entries = b"".join(struct.pack("<HHLL", 1000 + n, 7, size, 8) for n in range(tags))
    body = struct.pack("<H", tags) + entries + bytes(4)
    return b"II*\0" + struct.pack("<L", 8) + body + b"A" * (size - len(body))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def jpeg(*segments: tuple[int, bytes]) -> bytes:
    plain = encode(SCENE, "JPEG")
    made = (bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) for marker, data in segments)
    parts = (head + data for head, (_, data) in zip(made, segments, strict=True))
    return plain[:2] + b"".join(parts) + plain[2:]


def jpeg_with_exif(size: int) -> bytes:
    block = exif_of_many_tags(size=size)
    pieces = range(0, len(block), 65_000)
    return jpeg(*((0xE1, b"Exif\0\0" + block[at : at + 65_000]) for at in pieces))


def gif(before_frame: bytes) -> bytes:
    plain = encode(SCENE, "GIF")
    start = 13 + (3 << ((plain[10] & 7) + 1))
    return plain[:start] + before_frame + plain[start:]


def png(before_pixels: bytes) -> bytes:
    plain = encode(SCENE, "PNG")
    return plain[:33] + before_pixels + plain[33:]


WHOLE: dict[str, Callable[[], bytes]] = {
    "EXIF of 6 GB in JPEG": lambda: jpeg_with_exif(2_000_000),
    "1,500 segments of EXIF": lambda: jpeg(*[(0xE1, b"Exif\0\0" + bytes(60_000))] * 1_500),
    "150,000 comments in JPEG": lambda: jpeg(*[(0xFE, b"")] * 150_000),
    "EXIF of 6 GB in PNG": lambda: png(chunk(b"eXIf", exif_of_many_tags())),
    "150,000 texts in PNG": lambda: png(chunk(b"tEXt", b"a\0b") * 150_000),
    "a text bomb in PNG": lambda: png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80_000_000)))),
    "a comment of 20 MB in GIF": lambda: gif(b"\x21\xfe" + (b"\xff" + bytes(255)) * 80_000 + b"\0"),
    "junk in GIF": lambda: gif(bytes(150_000)),
    "EXIF of 6 GB in WebP": lambda: encode(SCENE, "WEBP", lossless=True, exif=exif_of_many_tags()),
    "EXIF of 120 MB in AVIF": lambda: encode(SCENE, "AVIF", exif=exif_of_many_tags(300, 400_000)),
}


def cost_of(work: Callable[[], object]) -> tuple[int, float]:
    """Returns the peak in bytes that Python allocates meanwhile, and the seconds."""
    started = time.monotonic()
    work()
    seconds = time.monotonic() - started
    tracemalloc.start()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak, seconds


@pytest.mark.parametrize("name", WHOLE)
def test_metadata_costs_no_more_than_its_bytes(name: str) -> None:
    file = WHOLE[name]()

    def work() -> None:
        header = read_header(file)
        assert (header.height, header.width, header.orientation) == (48, 64, 1)
        with open_with_pillow(file, header.format) as image:
            assert np.asarray(image.convert("RGB")).shape == SCENE.shape

    peak, seconds = cost_of(work)
    assert peak < MAX_BYTES + 2 * len(file)
    assert seconds < MAX_SECONDS


def bmp(width: int, height: int, bits: int, data: bytes) -> bytes:
    """Makes a run-length coded BMP."""
    palette = bytes(range(256)) * 4 if bits == 8 else bytes(64)
    offset, kind = 54 + len(palette), 1 if bits == 8 else 2
    head = b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, kind, len(data), 0, 0, 0, 0)
    return head + info + palette + data


def tiff(*tags: tuple[int, int, int, int]) -> bytes:
    """Makes a gray TIFF of 4 x 4 pixels with further tags."""
    own = [(256, 3, 1, 4), (257, 3, 1, 4), (258, 3, 1, 8), (262, 3, 1, 1)]
    entries = sorted([*own, (273, 4, 1, 8), (277, 3, 1, 1), (279, 4, 1, 16), *tags])
    directory = b"".join(struct.pack("<HHLL", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<L", 24) + bytes(range(16))
    return head + struct.pack("<H", len(entries)) + directory + bytes(4)


REFUSED: dict[str, tuple[Callable[[], bytes], type[ImageError]]] = {
    "a jump of 255 rows": (lambda: bmp(100_000_000, 1, 8, b"\0\2\0\xff"), CorruptImageError),
    "a jump in 4 bits": (lambda: bmp(100_000_000, 1, 4, b"\0\2\0\x02"), CorruptImageError),
    "tags of 6 GB": (
        lambda: tiff(*((40_000 + n, 7, 2_000_000, 8) for n in range(3000))) + bytes(2_000_000),
        CorruptImageError,
    ),
    "strips without end": (
        lambda: tiff((324, 4, 5_000_000, 8)) + bytes(20_000_000),
        CorruptImageError,
    ),
    "segments without end": (
        lambda: b"\xff\xd8" + b"\xff\xfe\0\2" * (MAX_PARTS + 1),
        CorruptImageError,
    ),
    "chunks without end": (
        lambda: png((bytes(4) + b"tEXt" + bytes(4)) * (MAX_PARTS + 1)),
        CorruptImageError,
    ),
    "blocks without end": (lambda: gif(bytes(MAX_PARTS + 1)), CorruptImageError),
    "parts without end": (
        lambda: gif(b"\x21\xfe" + b"\1a" * (MAX_PARTS + 1) + b"\0"),
        CorruptImageError,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_end_or_fits_no_image_is_refused_by_its_header(name: str) -> None:
    make, kind = REFUSED[name]
    file = make()

    def work() -> None:
        with pytest.raises(kind):
            read_header(file)

    peak, seconds = cost_of(work)
    assert peak < MAX_BYTES + 2 * len(file)
    assert seconds < MAX_SECONDS


def test_a_row_that_is_too_long_for_pillow_is_an_image_that_is_too_large() -> None:
    packed = zlib.compress(bytes(1000))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 119_000_000, 1, 8, 2, 0, 0, 0))
    file = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    assert read_header(file) == ImageHeader("PNG", 1, 119_000_000, 1, "tensorflow")
    with pytest.raises(ImageTooLargeError, match="1 x 119000000 pixels"):
        decode_with_pillow(file, read_header(file))


def test_runs_and_jumps_inside_of_a_bmp_are_drawn() -> None:
    # Rows from below: 8 of colour 7, a jump over a row, 8 as they are.
    data = b"\x08\x07" + b"\0\2\0\1" + b"\0\x08\1\2\3\4\5\6\7\x08" + b"\0\1"
    file = bmp(8, 3, 8, data)
    with PIL.Image.open(io.BytesIO(file)) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode_with_pillow(file, read_header(file)), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_first_exif_of_a_jpeg_counts(orientation: int) -> None:
    stored = STORE[orientation](SCENE)
    plain = encode(stored, "JPEG", exif=exif(orientation))
    second = exif(3).tobytes()
    end = plain.index(b"\xff\xdb")
    segment = b"\xff\xe1" + struct.pack(">H", len(second) + 2) + second
    assert read_header(plain[:end] + segment + plain[end:]).orientation == orientation
