"""Zeros in the place of coded pixels: AVIF, HEIC, WebP and QOI."""

import functools
import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL.Image
import pytest

from tests.support.images import encode, photo
from transforms.errors import CorruptImageError
from transforms.images.coded_zeros import check_coded_zeros
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessed, Preprocessor

pillow_heif = pytest.importorskip("pillow_heif")

SIDE = 256
SCENE = photo(SIDE, SIDE)
FLAT = np.full((SIDE, SIDE, 3), 255, np.uint8)


@functools.cache
def preprocessor() -> Preprocessor:
    return Preprocessor(Preprocessing(image_size=(SIDE, SIDE), dtype="uint8"))


def run(file: bytes) -> Preprocessed:
    return preprocessor()([file])


def heic(array: np.ndarray[Any, Any], **options: Any) -> bytes:  # noqa: ANN401
    stream = io.BytesIO()
    image = PIL.Image.fromarray(array)
    pillow_heif.from_pillow(image).save(stream, quality=80, **options)
    return stream.getvalue()


WRITERS: dict[str, Callable[..., bytes]] = {
    "avif": functools.partial(encode, format="AVIF", quality=80),
    "heic": heic,
    "webp": functools.partial(encode, format="WEBP", quality=90),
    "qoi": functools.partial(encode, format="QOI"),
}


def with_zeros(file: bytes, start: float, end: float) -> bytes:
    first, last = int(start * len(file)), int(end * len(file))
    return file[:first] + bytes(last - first) + file[last:]


@pytest.mark.parametrize("name", WRITERS)
def test_zeros_in_the_place_of_pixels_are_damage(name: str) -> None:
    file = WRITERS[name](SCENE)
    assert run(file).errors == {}
    places = [(0.3, 1.0), (0.6, 1.0), (0.8, 1.0)]
    places += [] if name == "webp" else [(0.4, 0.5), (0.6, 0.65)]
    for start, end in places:
        with pytest.raises(CorruptImageError, match="in the place of pixels"):
            raise run(with_zeros(file, start, end)).errors[0]


@pytest.mark.parametrize("name", WRITERS)
def test_flat_pictures_and_zeros_elsewhere_are_rows(name: str) -> None:
    assert run(WRITERS[name](FLAT)).errors == {}
    assert run(WRITERS[name](FLAT * 0)).errors == {}
    half = np.where(np.arange(SIDE)[:, None, None] < SIDE // 3, SCENE, FLAT)
    assert run(WRITERS[name](half)).errors == {}
    file = WRITERS[name](SCENE)
    padded = run(file + bytes(5000))
    assert padded.errors == {}
    np.testing.assert_array_equal(padded.pixels, run(file).pixels)
    if name != "qoi":
        exif = b"Exif\0\0MM\0*\0\0\0\x08\0\0" + bytes(3000)
        assert run(WRITERS[name](SCENE, exif=exif)).errors == {}


def test_a_webp_of_several_pictures_is_judged_by_its_first() -> None:
    frames = [PIL.Image.fromarray(photo(SIDE, SIDE, seed)) for seed in range(2)]
    stream = io.BytesIO()
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:], quality=90)
    file = stream.getvalue()
    assert run(file).errors == {}
    at = file.index(b"VP8 ")
    (size,) = struct.unpack_from("<I", file, at + 4)
    damaged = file[: at + 8 + size // 2] + bytes(size - size // 2) + file[at + 8 + size :]
    assert isinstance(run(damaged).errors[0], CorruptImageError)


def test_parts_that_are_named_over_and_over_cost_little() -> None:
    # An iloc of version 1 with 50,000 items, each of 65,535 parts that take no bytes.
    item = struct.pack(">HHHH", 1, 0, 0, 65_535)
    infe = struct.pack(">I4sIHH4sx", 21, b"infe", 2 << 24, 1, 0, b"av01")
    iinf = struct.pack(">I4sIH", 14 + len(infe), b"iinf", 0, 1) + infe
    content = struct.pack(">IBBH", 1 << 24, 0, 0, 50_000) + item * 50_000
    iloc = struct.pack(">I4s", 8 + len(content), b"iloc") + content
    meta = struct.pack(">I4sI", 12 + len(iinf) + len(iloc), b"meta", 0) + iinf + iloc
    check_coded_zeros(meta + b"\1" * 1000, "AVIF")
