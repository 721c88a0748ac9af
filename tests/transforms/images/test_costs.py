"""Files that ask for more than an image may cost, and ones that do not."""

import struct

import numpy as np
import pytest

from scripts.torture.images import gif_bmp, jpeg, other, tiff
from scripts.torture.images.files import flat, scene
from tests.support.images import encode, exif, photo
from tests.support.phone_photos import heic
from transforms.errors import CorruptImageError, ImageError, ImageTooLargeError
from transforms.images.header import read_header
from transforms.images.pillow_decoder import decode_with_pillow
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessor
from transforms.images.run_lengths import unpack_run_lengths

SCENE = photo(48, 64)

REFUSED: dict[str, tuple[bytes, type[ImageError], str]] = {
    "scans": (jpeg.progressive(64, 64, 1, 101), CorruptImageError, "more than 100 scans"),
    "inks": (
        jpeg.sequential(0xC0, 9_000, 9_000, 4)[:400],
        ImageTooLargeError,
        "9000 x 9000 pixels of four inks",
    ),
    "tiles": (
        tiff.tiles(1, 100_000, (4096, 4096), 1, b""), CorruptImageError, "25 tiles of 4096 x 4096",
    ),
    "numbers": (
        tiff.gray(4, 4, bytes(16), [8], [16], raw=[(282, 5, 200_001, 8)], tail=bytes(2_000_000)),
        CorruptImageError,
        "tag 282 has 200,001 numbers, wanted at most 200,000",
    ),
    "runs": (
        gif_bmp.bmp(64, 64, 8, b"\1\1" * 4_000_001), CorruptImageError, "more than 4,000,000 runs",
    ),
    "runs in an icon": (
        other.ico(gif_bmp.dib(64, 128, 8, bytes(2_000))), CorruptImageError, "a run-length coded",
    ),
    "items": (other.avif(other.box(b"iref", bytes(400_001))), CorruptImageError, "a box iref of"),
    "boxes": (other.avif(other.box(b"free") * 10_001), CorruptImageError, "more than 10,000 boxes"),
    "a large WebP": (
        other.webp(2, (8_001, 8_000), other._LOOP, other._frame((2, 2))),
        ImageTooLargeError,
        "8000 x 8001 pixels, wanted at most 64000000 of WEBP",
    ),
    "precincts": (other.codestream(900, 900, precinct=0), ImageTooLargeError, "GB to decode"),
    "samples": (
        other.codestream(9_000, 9_000, 2, (900, 900)), ImageTooLargeError, "162000000 samples",
    ),
    "components": (other.codestream(9, 9, 5), CorruptImageError, "5 layers of colour"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_costs_too_much_is_refused_by_its_header(name: str) -> None:
    file, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        read_header(file)


TRAILERS = {
    "a video in a box": other.box(b"mpvd", bytes(500_000)),
    "a video in no box": b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data" + bytes(500_000),
    "zeros": bytes(500_000),
    "no box": b"\0\0\0\3" + bytes(500_000),
}
"""What phones, and copies, leave behind a picture."""


@pytest.mark.parametrize("trailer", TRAILERS)
@pytest.mark.parametrize("format", ["AVIF", "HEIF"])
def test_what_is_behind_a_picture_costs_nothing(format: str, trailer: str) -> None:
    file = encode(SCENE, "AVIF") if format == "AVIF" else heic(SCENE)
    longer = file + TRAILERS[trailer]
    wanted = decode_with_pillow(file, read_header(file))
    np.testing.assert_array_equal(decode_with_pillow(longer, read_header(longer)), wanted)


@pytest.mark.parametrize("kind", [b"meta", b"moov"])
def test_boxes_that_decoders_read_have_limits_behind_a_picture_too(kind: bytes) -> None:
    more = other.box(b"free") + other.box(kind, bytes(4), other.box(b"iref", bytes(400_001)))
    with pytest.raises(CorruptImageError, match="wanted at most 400,000"):
        read_header(encode(SCENE, "AVIF") + more)


def test_a_file_of_no_boxes_is_damaged() -> None:
    with pytest.raises(CorruptImageError, match="a box without an end"):
        read_header(encode(SCENE, "AVIF")[:32] + b"\0\0\0\3" + bytes(500))


def test_a_hundred_scans_and_a_damaged_end_are_an_image() -> None:
    file = jpeg.progressive(64, 64, 1, 99)
    assert read_header(file + b"\xff\xda" * 1_000).height == 64


def test_a_very_long_side_is_an_image_that_is_too_large() -> None:
    preprocessor = Preprocessor(Preprocessing(image_size=(8, 8)))
    column = tiff.gray(1, 1_000_001, bytes(16), [8], [16])
    errors = preprocessor([column]).errors
    assert isinstance(errors[0], ImageTooLargeError)
    assert "wanted at most 1000000 a side" in str(errors[0])


def test_metadata_of_psd_and_icons_is_not_read() -> None:
    pixels = b"\0\0" + SCENE.transpose(2, 0, 1).tobytes()
    file = other.psd(64, 48, other._RESOURCE * 300_000, bytes(5_000), pixels)
    np.testing.assert_array_equal(decode_with_pillow(file, read_header(file)), SCENE)
    png = encode(SCENE, "PNG")
    icon = other.ico(png[:33] + (bytes(4) + b"tEXt" + bytes(4)) * 100_000 + png[33:], 3)
    np.testing.assert_array_equal(decode_with_pillow(icon, read_header(icon)), SCENE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_comes_as_it_is_stored(orientation: int) -> None:
    file = encode(SCENE, "TIFF", exif=exif(orientation))
    header = read_header(file)
    assert (header.height, header.width, header.orientation) == (48, 64, orientation)
    np.testing.assert_array_equal(decode_with_pillow(file, header), SCENE)


def test_runs_of_4_bits_are_unpacked_by_the_book() -> None:
    # Five pixels as they are, and the end of the row; a run of five; an empty row; a long run.
    data = b"\0\5\x12\x34\x50\0" + b"\0\0" + b"\5\x67\0\0" + b"\0\0" + b"\xff\x89\0\1"
    plain = unpack_run_lengths(gif_bmp.bmp(5, 4, 4, data))
    rows = np.frombuffer(plain[-4 * 8 :], np.uint8).reshape(4, 8)[:, :5]
    assert rows.tolist() == [[1, 2, 3, 4, 5], [6, 7, 6, 7, 6], [0] * 5, [8, 9, 8, 9, 8]]


def test_a_run_length_coded_image_that_ends_early_is_damaged() -> None:
    file = gif_bmp.bmp(5, 4, 8, b"\5\1\0\0\5\1\0\1")
    with pytest.raises(CorruptImageError, match="the data end in row 2 of 4"):
        decode_with_pillow(file, read_header(file))


def fax(rows_per_strip: int) -> bytes:
    options = {278: rows_per_strip}
    room = 8 * rows_per_strip
    return scene("TIFF", "1", (61, 40), compression="group4", tiffinfo=options, strip_size=room)


@pytest.mark.parametrize("rows_per_strip", [40, 16])
def test_a_fax_whose_strip_ends_early_is_damaged(rows_per_strip: int) -> None:
    file = fax(rows_per_strip)
    whole = decode_with_pillow(file, read_header(file))
    assert whole.shape == (40, 61, 3)
    # The last strip's size, 4 bytes less.
    place = file.index(struct.pack("<HH", 279, 4)) + 4
    count, value = struct.unpack_from("<LL", file, place)
    at = place + 4 if count == 1 else value + 4 * (count - 1)
    (size,) = struct.unpack_from("<L", file, at)
    short = file[:at] + struct.pack("<L", size // 2) + file[at + 4 :]
    with pytest.raises(CorruptImageError, match=r"fax-coded strip . ends early"):
        decode_with_pillow(short, read_header(short))


def test_a_fax_of_one_strip_needs_no_size_of_it() -> None:
    file = fax(40)
    place = file.index(struct.pack("<HHL", 279, 4, 1)) + 8
    unsized = file[:place] + bytes(4) + file[place + 4 :]
    wanted = decode_with_pillow(file, read_header(file))
    np.testing.assert_array_equal(decode_with_pillow(unsized, read_header(unsized)), wanted)


def test_large_images_within_the_limits_are_decoded() -> None:
    file = flat("JPEG2000", "RGB", (3_000, 2_000))
    assert decode_with_pillow(file, read_header(file)).shape == (2_000, 3_000, 3)
