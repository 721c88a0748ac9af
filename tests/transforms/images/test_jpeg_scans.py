"""JPEG files that simplejpeg refuses: damage fails by their codes, whole ones are rows."""

import re
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
import simplejpeg

from tests.support.images import photo, save
from transforms.errors import CorruptImageError
from transforms.images.jpeg_scans import check_scans
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessed, Preprocessor

Array = npt.NDArray[Any]

END = b"\xff\xd9"
PREPROCESSOR = Preprocessor(Preprocessing(image_size=(48, 64)))

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "gray": ("L", {}),
    "4:4:4": ("RGB", {"subsampling": "4:4:4"}),
    "4:2:0": ("RGB", {"subsampling": "4:2:0", "quality": 95}),
    "4:2:2, optimized": ("RGB", {"subsampling": "4:2:2", "optimize": True}),
    "restarts": ("RGB", {"restart_marker_blocks": 7}),
    "CMYK": ("CMYK", {}),
    "CMYK, 4:2:0": ("CMYK", {"subsampling": "4:2:0"}),
    "CMYK, 4:2:2, restarts": ("CMYK", {"subsampling": "4:2:2", "restart_marker_blocks": 5}),
}
ODD = ["CMYK, 4:2:0", "CMYK, 4:2:2, restarts"]


def made(kind: str, seed: int = 0, size: tuple[int, int] = (203, 301)) -> bytes:
    mode, options = KINDS[kind]
    return save(PIL.Image.fromarray(photo(*size, seed)).convert(mode), "JPEG", **options)


def run(file: bytes) -> Preprocessed:
    return PREPROCESSOR([file])


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_of_any_kind_passes(kind: str) -> None:
    for size in ((203, 301), (16, 16), (1, 1), (8, 129)):
        file = made(kind, size=size)
        for same in (file, file[:-1], file[:-2], file + bytes(99), file[:-2] + b"\xff" + END):
            check_scans(same)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_found_in_a_file_of_any_kind(kind: str) -> None:
    file, rng = made(kind), np.random.default_rng(0)
    first = file.index(b"\xff\xda") + 14
    for start in rng.integers(first, len(file) - 700, 20):
        for damaged in (file[:start], file[:start] + END):
            with pytest.raises(CorruptImageError, match="damaged JPEG data: "):
                check_scans(damaged)
    found = [start for start in range(first, len(file) - 700, 900) if is_found(file, start)]
    assert len(found) > 0.7 * len(range(first, len(file) - 700, 900))


def is_found(file: bytes, start: int) -> bool:
    """Returns whether zeros are found; fails if libjpeg alone finds them."""
    damaged = zeroed(file, start, 600)
    try:
        check_scans(damaged)
    except CorruptImageError:
        return True
    if "Could not determine subsampling" not in libjpegs_words(damaged):
        assert libjpegs_words(damaged) == ""
    return False


def libjpegs_words(file: bytes) -> str:
    try:
        simplejpeg.decode_jpeg(file, colorspace="CMYK" if b"Adobe" in file else "RGB", strict=True)
    except ValueError as error:
        return str(error)
    return ""


def zeroed(file: bytes, start: int, size: int) -> bytes:
    return file[:start] + bytes(size) + file[start + size :]


def test_restarts_in_another_order_are_damage() -> None:
    file = made("restarts")
    first, second, third = (file.index(bytes([0xFF, 0xD0 + n])) for n in range(3))
    swapped = file[:first] + file[second:third] + file[first:second] + file[third:]
    with pytest.raises(CorruptImageError, match="restart markers are missing or out of order"):
        check_scans(swapped)


@pytest.mark.parametrize("kind", ODD)
def test_what_simplejpeg_refuses_is_checked_all_the_same(kind: str) -> None:
    file = made(kind)
    with pytest.raises(ValueError, match="Could not determine subsampling"):
        simplejpeg.decode_jpeg_header(file)
    assert run(file).errors == {}
    for damaged in (file[: len(file) // 2] + END, zeroed(file, len(file) // 2, 900)):
        error = run(damaged).errors[0]
        assert isinstance(error, CorruptImageError)
        assert "damaged JPEG data: " in str(error)


def test_what_is_not_sequential_is_not_looked_at() -> None:
    file = save(PIL.Image.fromarray(photo(99, 99)), "JPEG", progressive=True)
    check_scans(file[: len(file) // 2] + END)


def test_a_progressive_file_that_ends_between_two_scans_is_half_an_image() -> None:
    file = save(PIL.Image.fromarray(photo(160, 200)), "JPEG", progressive=True)
    assert run(file[:-2]).errors == {}
    starts = [place.start() for place in re.finditer(b"\xff[\xc4\xda]", file)][1:]
    assert len(starts) > 8
    for start in starts:
        error = run(file[:start]).errors[0]
        assert isinstance(error, CorruptImageError)
        assert "damaged JPEG" in str(error)


def test_an_image_of_a_size_that_it_has_no_data_for_ends_at_once() -> None:
    file = made("gray")
    frame = file.index(b"\xff\xc0") + 5
    started = time.process_time()
    with pytest.raises(CorruptImageError, match="premature end"):
        check_scans(file[:frame] + b"\xff\xff\xff\xff" + file[frame + 4 :])
    assert time.process_time() - started < 2
