"""PNG files whose end is zeros, as a copy leaves it that broke off, and icons that hold such."""

import functools
import struct
import zlib

import numpy as np
import pytest

from tests.support.images import encode, photo
from transforms.errors import CorruptImageError
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessed, Preprocessor

HEIGHT, WIDTH = 50, 61
SCENE = photo(HEIGHT, WIDTH)
GRAY_16 = np.random.default_rng(0).integers(0, 65_536, (HEIGHT, WIDTH)).astype(">u2")
BITS = (SCENE[..., 0] > 127).astype(np.uint8)
PASSES = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
          (1, 0, 2, 1)]  # fmt: skip
"""First row and column of each pass of an interlaced PNG, and their steps."""


@functools.cache
def preprocessor() -> Preprocessor:
    return Preprocessor(Preprocessing(image_size=(HEIGHT, WIDTH), dtype="uint8"))


def run(file: bytes) -> Preprocessed:
    return preprocessor()([file])


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png(bits: int, colours: int, rows: list[bytes], *, is_interlaced: bool = False) -> bytes:
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, colours, 0, 0, is_interlaced)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    half = len(data) // 2
    # Programs write the data in several chunks.
    chunks = chunk(b"IDAT", data[:half]) + chunk(b"IDAT", data[half:])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks + chunk(b"IEND", b"")


def interlaced() -> bytes:
    parts = [SCENE[top::down, left::across] for top, left, down, across in PASSES]
    return png(8, 2, [row.tobytes() for part in parts for row in part], is_interlaced=True)


FILES = {
    "colours": png(8, 2, [row.tobytes() for row in SCENE]),
    "gray of 16 bits": png(16, 0, [row.tobytes() for row in GRAY_16]),
    "of 1 bit": png(1, 0, [np.packbits(row).tobytes() for row in BITS]),
    "interlaced": interlaced(),
    "an icon": encode(SCENE, "ICO", sizes=[(WIDTH, HEIGHT)]),
}


def with_zeros(file: bytes, share: float) -> bytes:
    """Returns as much of a file as is said, and zeros up to its size."""
    return file[: int(share * len(file))].ljust(len(file), b"\0")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_ends_in_zeros_is_damaged(name: str) -> None:
    assert run(FILES[name]).errors == {}
    for share in (0.3, 0.5, 0.7, 0.9):
        assert isinstance(run(with_zeros(FILES[name], share)).errors[0], CorruptImageError)


@pytest.mark.parametrize("name", FILES)
def test_pixels_that_are_whole_are_a_row_whatever_else_is_damaged(name: str) -> None:
    file = FILES[name]
    start = file.rindex(b"IDAT")
    (size,) = struct.unpack_from(">I", file, start - 4)
    checksum = start + 4 + size
    wrong = file[:checksum] + b"\1\2\3\4" + file[checksum + 4 :]
    for odd in (wrong, wrong[: checksum + 6]):
        result = run(odd)
        assert result.errors == {}
        np.testing.assert_array_equal(result.pixels, run(file).pixels)


def test_a_bit_that_is_turned_over_is_damage() -> None:
    for name, file in FILES.items():
        place = file.index(b"IDAT") + 200 if name != "of 1 bit" else file.index(b"IDAT") + 30
        turned = file[:place] + bytes([file[place] ^ 4]) + file[place + 1 :]
        assert isinstance(run(turned).errors[0], CorruptImageError), name
