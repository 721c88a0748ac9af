"""Damaged JPEG files fail, whole ones with oddities do not: made files, and damage by the dozen."""

import functools
import io
import re
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageFile
import pytest

from tests.support.images import encode, photo, save
from transforms.errors import CorruptImageError
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessed, Preprocessor

Array = npt.NDArray[Any]

END = b"\xff\xd9"


@functools.cache
def preprocessor(decode: str = "exact") -> Preprocessor:
    return Preprocessor(Preprocessing(image_size=(48, 64), decode=decode))


def scene(height: int, width: int, seed: int) -> Array:
    """Returns smooth noise on a gradient, as photos have it: uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    coarse = PIL.Image.fromarray(rng.integers(0, 256, (height // 16, width // 16, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height), PIL.Image.Resampling.BICUBIC), np.float32)
    ramp = np.linspace(-40, 40, width)[None, :, None] + rng.normal(0, 6, (height, width, 1))
    return np.clip(smooth * 0.7 + 40 + ramp, 0, 255).astype(np.uint8)


def whole_files() -> list[bytes]:
    sizes = [(200, 300), (480, 640), (600, 800), (333, 257)]
    kinds: list[dict[str, Any]] = [
        {"quality": 90},
        {"quality": 75, "subsampling": 0},
        {"progressive": True},
        {"restart_marker_blocks": 8},
    ]
    return [
        encode(scene(*size, seed), "JPEG", **kind)
        for seed, (size, kind) in enumerate((size, kind) for size in sizes for kind in kinds)
    ]


def damaged(file: bytes, rng: np.random.Generator) -> list[bytes]:
    """Returns three copies: 4 kB zeroed, cut, cut with an end marker."""
    block = min(4096, len(file) // 4)
    start = int(rng.integers(0, len(file) - block))
    cut = file[: len(file) * int(rng.integers(1, 100)) // 100]
    return [file[:start] + bytes(block) + file[start + block :], cut, cut + END]


def swapped(file: bytes, rng: np.random.Generator) -> bytes:
    """Returns a copy with two blocks in each other's place."""
    block = min(4096, len(file) // 4)
    first = int(rng.integers(0, len(file) - 2 * block))
    second = int(rng.integers(first + block, len(file) - block + 1))
    a, b = file[first : first + block], file[second : second + block]
    return file[:first] + b + file[first + block : second] + a + file[second + block :]


def looks_damaged(file: bytes, whole: bytes) -> bool:
    """Returns whether a tolerant decoder makes other pixels of it, or none."""
    try:
        pixels, wanted = (
            np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"), np.float32)
            for data in (file, whole)
        )
    except (OSError, SyntaxError):
        return True
    return pixels.shape != wanted.shape or float(np.abs(pixels - wanted).mean()) > 2


@pytest.mark.parametrize("decode", ["exact", "fast"])
def test_visible_damage_fails(decode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    whole = whole_files()
    assert preprocessor(decode)(whole).errors == {}
    pairs = [(file, original) for original in whole * 3 for file in damaged(original, rng)]
    with monkeypatch.context() as tolerant:
        tolerant.setattr(PIL.ImageFile, "LOAD_TRUNCATED_IMAGES", True)
        visible = [file for file, original in pairs if looks_damaged(file, original)]
    errors = preprocessor(decode)(visible).errors
    assert len(visible) > 100
    assert len(errors) >= 0.98 * len(visible)
    assert {error.error_type for error in errors.values()} <= {"CorruptImage", "UnsupportedFormat"}


def test_swapped_blocks_of_progressive_files_fail() -> None:
    # Of sequential files many do not: blocks of valid code are valid code in another place too.
    rng = np.random.default_rng(7)
    whole = [encode(scene(400, 600, seed), "JPEG", progressive=True) for seed in range(8)]
    assert len(preprocessor()([swapped(file, rng) for file in whole * 4]).errors) == 32


@pytest.mark.parametrize("end", [b"", END, END + b"\0" * 600], ids=["cut", "closed", "padded"])
@pytest.mark.parametrize("decode", ["exact", "fast"])
def test_a_progressive_file_without_its_last_scans_is_half_an_image(
    end: bytes, decode: str
) -> None:
    for options in ({}, {"subsampling": 0}, {"quality": 40}):
        file = encode(scene(200, 300, 0), "JPEG", progressive=True, **options)
        assert preprocessor(decode)([file, file[:-2] + end]).errors == {}
        scans = [found.start() for found in re.finditer(b"\xff\xda", file)]
        # The tables of a scan are in front of it.
        cut = [file[: file.rindex(b"\xff\xc4", 0, scan)] + end for scan in scans[1:]]
        assert len(cut) == 9
        assert len(preprocessor(decode)(cut).errors) == len(cut)


JPEG = encode(scene(200, 300, 0), "JPEG", quality=90)


def run(file: bytes, decode: str = "exact") -> Preprocessed:
    return preprocessor(decode)([file])


def with_segment(marker: int, content: bytes) -> bytes:
    return (
        JPEG[:2]
        + bytes([0xFF, marker])
        + (len(content) + 2).to_bytes(2, "big")
        + content
        + JPEG[2:]
    )


ODD = {
    "no end marker": JPEG[:-2],
    "half an end marker": JPEG[:-1],
    "bytes behind the end": JPEG + bytes(5000),
    "another image behind the end": JPEG + encode(photo(9, 9), "JPEG"),
    "bytes before a marker": JPEG[:2] + JPEG[2:20] + b"\0" * 7 + JPEG[20:],
    "bytes before a marker, no end": JPEG[:2] + JPEG[2:20] + b"\0" * 7 + JPEG[20:-2],
    "fill bytes": JPEG[:20] + b"\xff" * 9 + JPEG[20:],
    "damaged colour profile": with_segment(0xE2, b"ICC_PROFILE\0\x07\x03" + bytes(40)),
    "unknown JFIF version": JPEG.replace(b"JFIF\0\x01", b"JFIF\0\x07", 1),
    "scan of odd coefficients": JPEG.replace(b"\x03\x11\x00\x3f\x00", b"\x03\x11\x00\x00\x00", 1),
}


@pytest.mark.parametrize("decode", ["exact", "fast"])
@pytest.mark.parametrize("kind", ODD)
def test_what_leaves_the_pixels_whole_is_a_row(kind: str, decode: str) -> None:
    assert ODD[kind] != JPEG
    result = run(ODD[kind], decode)
    assert result.errors == {}
    np.testing.assert_array_equal(result.pixels, run(JPEG, decode).pixels)


def zeroed(file: bytes, size: int) -> bytes:
    start = len(file) // 3
    return file[:start] + bytes(size) + file[start + size :]


def without_quantization(file: bytes) -> bytes:
    start = file.index(b"\xff\xdb") + 5
    return file[:start] + bytes(64) + file[start + 64 :]


CMYK = save(PIL.Image.fromarray(scene(200, 300, 1)).convert("CMYK"), "JPEG")


@pytest.mark.parametrize("decode", ["exact", "fast"])
@pytest.mark.parametrize(
    ("file", "words"),
    [
        (JPEG[: len(JPEG) // 2], "premature end of data segment"),
        (JPEG[: len(JPEG) // 2] + END, "premature end of data segment"),
        (zeroed(JPEG, 4000), "extraneous bytes before marker 0xd9|premature end|bad Huffman code"),
        (zeroed(CMYK, 600), "extraneous bytes before marker 0xd9|premature end|bad Huffman code"),
        (without_quantization(JPEG), "Quantization table of zeros"),
    ],
    ids=["cut", "cut and closed", "zeroed", "zeroed cmyk", "no quantization"],
)
def test_the_reason_is_libjpegs(file: bytes, words: str, decode: str) -> None:
    error = run(file, decode).errors[0]
    with pytest.raises(CorruptImageError, match=f"damaged JPEG data: libjpeg says: .*({words})"):
        raise error


def test_a_damaged_file_costs_only_itself() -> None:
    files = [JPEG, zeroed(JPEG, 4000), CMYK, encode(photo(9, 9), "PNG"), JPEG[:-2]]
    result = preprocessor()(files)
    assert result.errors.keys() == {1}
    alone = [run(file).pixels[0] for number, file in enumerate(files) if number != 1]
    np.testing.assert_array_equal(result.pixels, alone)


def test_a_header_that_lies_is_no_other_size() -> None:
    with PIL.Image.open(io.BytesIO(JPEG)) as image:
        assert image.size == (300, 200)
    start = JPEG.index(b"\xff\xc0") + 5
    lying = JPEG[:start] + (400).to_bytes(2, "big") + JPEG[start + 2 :]
    assert isinstance(run(lying).errors[0], CorruptImageError)
