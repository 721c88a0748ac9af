"""Fax-coded TIFF files of T.4, whole and with lines missing."""

import io

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
from PIL import TiffImagePlugin

from tests.support.images import save
from tests.support.tiffs import directory
from transforms.errors import CorruptImageError
from transforms.images.header import read_header
from transforms.images.pillow_decoder import decode_with_pillow

HEIGHT, WIDTH = 240, 1728
KINDS = ["text", "noise", "specks", "white"]
CODINGS = {
    "runs": (2, 0),
    "1-D": (3, 0),
    "2-D": (3, 1),
    "1-D, filled up": (3, 4),
    "2-D, filled up": (3, 5),
}
"""Compressions, and options of T.4 (tag 292)."""


def page(kind: str) -> npt.NDArray[np.bool_]:
    """Draws a page; True is white."""
    white = np.ones((HEIGHT, WIDTH), bool)
    if kind == "text":
        white[::7, 100:1500:5] = white[3::9, 40:90] = False
    elif kind != "white":
        share = {"noise": 0.5, "specks": 0.999}[kind]
        white = np.random.default_rng(0).random(white.shape) < share
    return white


def parts_of(kind: str, coding: str, order: int, rows: int) -> list[bytes]:
    """Encodes a page in strips by libtiff."""
    compression, options = CODINGS[coding]
    file = save(
        PIL.Image.fromarray(page(kind)), "TIFF", strip_size=rows * WIDTH // 8,
        compression={2: "tiff_ccitt", 3: "group3"}[compression],
        tiffinfo={292: options, 266: order, 262: 1},
    )  # fmt: skip
    tags = TiffImagePlugin.TiffImageFile(io.BytesIO(file)).tag_v2
    return [file[at : at + size] for at, size in zip(tags[273], tags[279], strict=True)]


def fax(parts: list[bytes], coding: str, order: int = 1, rows: int = HEIGHT) -> bytes:
    compression, options = CODINGS[coding]
    values = {256: WIDTH, 257: HEIGHT, 258: 1, 259: compression, 262: 1, 266: order, 278: rows}
    return directory(
        {tag: ("I", [value]) for tag, value in (values | {292: options}).items()}, parts
    )


def show(file: bytes) -> npt.NDArray[np.bool_]:
    pixels = decode_with_pillow(file, read_header(file))
    assert set(np.unique(pixels)) <= {0, 255}
    return pixels[..., 0] == 255


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("rows", [HEIGHT, 7])
@pytest.mark.parametrize("order", [1, 2])
def test_whole_faxes_of_any_coding_are_shown(coding: str, rows: int, order: int) -> None:
    for kind in KINDS:
        parts = parts_of(kind, coding, order, rows)
        np.testing.assert_array_equal(show(fax(parts, coding, order, rows)), page(kind))


@pytest.mark.parametrize("coding", CODINGS)
def test_what_is_behind_the_last_line_is_no_damage(coding: str) -> None:
    for kind in KINDS:
        (strip,) = parts_of(kind, coding, 1, HEIGHT)
        file = fax([strip + bytes(3_000)], coding)
        np.testing.assert_array_equal(show(file), page(kind))


def bits_of_lines(kind: str) -> list[str]:
    """Returns the codes of each line, without EOL."""
    (strip,) = parts_of(kind, "1-D", 1, HEIGHT)
    return "".join(f"{byte:08b}" for byte in strip).split("0" * 11 + "1")[1:]


def fax_of(bits: str) -> bytes:
    whole = bits + "0" * (-len(bits) % 8)
    return fax([int(whole, 2).to_bytes(len(whole) // 8, "big")], "1-D")


EOL = "0" * 11 + "1"
WAYS = {
    "filled for 70 ms at 14,400 bits a second": lambda lines: "".join(
        "0" * 1_000 + EOL + line for line in lines
    ),
    "with the end of a page": lambda lines: "".join(EOL + line for line in lines) + 6 * EOL,
    "without EOL": lambda lines: "".join(lines),
}


@pytest.mark.parametrize("way", WAYS)
def test_faxes_as_machines_send_them_are_shown(way: str) -> None:
    for kind in KINDS:
        file = fax_of(WAYS[way](bits_of_lines(kind)))
        np.testing.assert_array_equal(show(file), page(kind))


def test_zeros_behind_lines_without_eol_are_no_damage() -> None:
    lines = "".join(bits_of_lines("text"))
    np.testing.assert_array_equal(show(fax_of(lines + 64 * "0")), page("text"))


def test_a_few_lines_that_are_bad_are_rows() -> None:
    lines = bits_of_lines("text")
    lines[50] = "0000000001" + lines[50][9:]
    shown = show(fax_of("".join(EOL + line for line in lines)))
    assert (shown == page("text")).all(axis=1).sum() == HEIGHT - 1


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("rows", [HEIGHT, 48])
@pytest.mark.parametrize("order", [1, 2])
def test_zeros_in_the_place_of_lines_are_damage(coding: str, rows: int, order: int) -> None:
    for kind in KINDS:
        parts = parts_of(kind, coding, order, rows)
        for half in (0, len(parts[-1]) // 2):
            zeroed = [*parts[:-1], parts[-1][:half].ljust(len(parts[-1]), b"\0")]
            with pytest.raises(CorruptImageError):
                show(fax(zeroed, coding, order, rows))


@pytest.mark.parametrize("coding", CODINGS)
def test_a_strip_that_ends_early_is_damage(coding: str) -> None:
    for kind in KINDS:
        (strip,) = parts_of(kind, coding, 1, HEIGHT)
        with pytest.raises(CorruptImageError):
            show(fax([strip[: len(strip) // 2]], coding))
