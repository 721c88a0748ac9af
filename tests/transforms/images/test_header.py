import struct
import time
import tracemalloc
import zlib

import PIL.Image
import PIL.PngImagePlugin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.images import STORE, claim_size, encode, exif, photo
from transforms.errors import CorruptImageError, ImageError, UnsupportedFormatError
from transforms.images.header import ImageHeader, read_header

SCENE = photo(21, 34)
FORMATS = ["JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "AVIF", "JPEG2000", "ICO"]
FILES = {
    name: encode(SCENE, name, **({"sizes": [(34, 21)]} if name == "ICO" else {}))
    for name in FORMATS
}


def psd(height: int, width: int) -> bytes:
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, height, width, 8, 3)
    planes = b"".join(bytes([level]) * (height * width) for level in (9, 8, 7))
    return header + struct.pack(">IIIH", 0, 0, 0, 0) + planes


@pytest.mark.parametrize("name", FORMATS)
def test_header_says_format_and_size(name: str) -> None:
    decoder = "tensorflow" if name in ("JPEG", "PNG") else "pillow"
    assert read_header(FILES[name]) == ImageHeader(name, 21, 34, 1, decoder)


def test_header_of_psd() -> None:
    assert read_header(psd(21, 34)) == ImageHeader("PSD", 21, 34, 1, "pillow")


def test_multi_picture_jpeg_is_jpeg() -> None:
    second = PIL.Image.fromarray(photo(8, 9))
    file = encode(SCENE, "MPO", save_all=True, append_images=[second])
    assert read_header(file) == ImageHeader("JPEG", 21, 34, 1, "tensorflow")


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_header_says_orientation_and_size_as_stored(name: str, orientation: int) -> None:
    stored = STORE[orientation](SCENE)
    header = read_header(encode(stored, name, exif=exif(orientation)))
    assert (header.height, header.width) == stored.shape[:2]
    assert header.orientation == orientation


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientation_that_does_not_exist_counts_as_upright(orientation: int) -> None:
    assert read_header(encode(SCENE, "JPEG", exif=exif(orientation))).orientation == 1


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_damaged_exif_counts_as_upright(name: str) -> None:
    file = encode(SCENE, name, exif=b"Exif\0\0nothing that TIFF knows")
    assert read_header(file).orientation == 1


def test_exif_after_the_pixels_of_a_png_counts() -> None:
    block = exif(6).tobytes().removeprefix(b"Exif\0\0")
    chunk = b"eXIf" + block
    late = struct.pack(">I", len(block)) + chunk + struct.pack(">I", 0)
    png = FILES["PNG"]
    assert read_header(png[:-12] + late + png[-12:]).orientation == 6


def test_the_word_exif_in_a_text_of_a_png_does_not_count() -> None:
    text = PIL.PngImagePlugin.PngInfo()
    text.add_text("Comment", "eXIf" + exif(6).tobytes().hex())
    file = encode(SCENE, "PNG", pnginfo=text)
    assert b"eXIf" in file
    assert read_header(file).orientation == 1


def test_png_that_pillow_refuses_for_its_text_has_a_header() -> None:
    png = FILES["PNG"]
    broken = struct.pack(">I", 1) + b"pHYs" + b"\0" + struct.pack(">I", 0)
    assert read_header(png[:33] + broken + png[33:]) == ImageHeader("PNG", 21, 34, 1, "tensorflow")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (bytes(5000), "all zero bytes"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", "an MP4"),
        (b"<?xml version='1.0'?>\n<!-- a --><svg xmlns='x'>", "an SVG drawing"),
        (b"  <svg xmlns='x'>", "an SVG drawing"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"\n<HTML><head>", "an HTML page"),
        (b"\xef\xbb\xbf{'error': 404}", "JSON text"),
        (b"%PDF-1.7", "a PDF document"),
        (b"BLP2" + bytes(20), "a BLP texture"),
        (b"icns" + bytes(20), "an ICNS icon"),
        (b"\x00\x10\x00\x00\x12\xaf" + bytes(20), "an FLI animation"),
        (b"\x1f\x8b\x08\x00", "a gzip file"),
        (b"\x89PNG\n\x1a\n\0\0\0", "a PNG image with damaged first bytes"),
        (b"\xff\xd8", "a JPEG image with damaged first bytes"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"hello", "begins with bytes 68 65 6c 6c 6f"),
        (b"B", "begins with bytes 42"),
    ],
)
def test_what_is_no_supported_image_is_named(data: bytes, words: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=words):
        read_header(data)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "DIB"])
@pytest.mark.parametrize("kept", [17, 23])
def test_header_cut_short_is_corrupt(name: str, kept: int) -> None:
    with pytest.raises(CorruptImageError, match=r"damaged .* header"):
        read_header(FILES[name][:kept] if name != "TIFF" else FILES[name][:9])


@pytest.mark.parametrize(("height", "width"), [(0, 34), (21, 0)])
def test_size_of_nothing_is_corrupt(height: int, width: int) -> None:
    with pytest.raises(CorruptImageError, match=f"{height} x {width} pixels"):
        read_header(claim_size(FILES["PNG"], height, width))


def gif(screen: tuple[int, int], frame: tuple[int, int]) -> bytes:
    control = b"!\xf9\x04\x08\0\0\0\0"  # Dispose to background: Pillow fills the frame at once.
    descriptor = b"," + struct.pack("<HHHHB", 0, 0, frame[1], frame[0], 0)
    head = b"GIF89a" + struct.pack("<HHBBB", screen[1], screen[0], 0x80, 0, 0) + bytes(6)
    return head + control + descriptor + b"\x02\x02\x44\x01\x00;"


def icon(embedded: bytes) -> bytes:
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(embedded), 22) + embedded


@pytest.mark.parametrize(
    ("file", "height", "width"),
    [
        (claim_size(FILES["PNG"], 100_000, 100_000), 100_000, 100_000),
        (gif((1, 1), (60_000, 50_000)), 60_000, 50_000),
        (gif((60_000, 50_000), (1, 1)), 60_000, 50_000),
        (icon(claim_size(FILES["PNG"], 100_000, 100_000)), 100_000, 100_000),
        (icon(struct.pack("<IiiHHIIiiII", 40, 90_000, 180_000, 1, 32, *[0] * 6)), 90_000, 90_000),
        (
            FILES["BMP"][:18] + struct.pack("<ii", 90_000, 80_000) + FILES["BMP"][26:],
            80_000,
            90_000,
        ),
        (psd(1, 1)[:14] + struct.pack(">II", 30_000, 30_000) + psd(1, 1)[22:], 30_000, 30_000),
    ],
    ids=["png", "gif frame", "gif screen", "png in ico", "dib in ico", "bmp", "psd"],
)
def test_header_of_a_bomb_allocates_nothing(file: bytes, height: int, width: int) -> None:
    read_header(FILES["JPEG"])
    tracemalloc.start()
    header = read_header(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (header.height, header.width) == (height, width)
    assert peak < 1_000_000


def tiled_tiff(side: int, tile_side: int) -> bytes:
    data = zlib.compress(bytes(tile_side * tile_side))
    size = [(256, 4, side), (257, 4, side)]
    gray = [(258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1)]
    tiles = [(322, 4, tile_side), (323, 4, tile_side), (324, 4, 8), (325, 4, len(data))]
    entries = [
        struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in size + gray + tiles
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


def test_tiff_with_tiles_larger_than_the_image_has_a_header() -> None:
    assert read_header(tiled_tiff(16, 64)) == ImageHeader("TIFF", 16, 16, 1, "pillow")


def test_tiff_whose_tile_is_a_bomb_is_corrupt() -> None:
    with pytest.raises(CorruptImageError, match="tiles of 5008 x 5008 pixels"):
        read_header(tiled_tiff(16, 5008))


def test_header_costs_well_under_a_fifth_of_a_millisecond() -> None:
    file = encode(photo(375, 500), "JPEG", exif=exif(6))
    times = []
    for _ in range(50):
        started = time.perf_counter()
        read_header(file)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.2e-3


@given(
    name=st.sampled_from(sorted(FILES)),
    edits=st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=5)), max_size=4),
    cut=st.integers(0, 3000),
)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_any_bytes_give_a_header_or_an_image_error(
    name: str, edits: list[tuple[int, bytes]], cut: int
) -> None:
    data = bytearray(FILES[name])
    for place, value in edits:
        data[place : place + len(value)] = value
    try:
        header = read_header(bytes(data[: len(data) - cut if cut < 300 else None]))
    except ImageError:
        return
    assert header.height > 0
    assert header.width > 0
    assert 1 <= header.orientation <= 8
