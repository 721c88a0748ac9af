"""Every way to say a colour gives that colour, or a reason: never a negative, never noise."""

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
import simplejpeg

from scripts.torture.images import other
from tests.support.images import photo, save
from tests.support.tiffs import DEFLATE, NO_COMPRESSION, png, tiff
from transforms.errors import UnsupportedFormatError
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessor

Array = npt.NDArray[Any]

HEIGHT, WIDTH = 24, 32
RGB = photo(HEIGHT, WIDTH)
GRAY = RGB[..., :1]
PALETTE = np.random.default_rng(0).integers(0, 256, (256, 3))
PREPROCESSORS = {
    decode: Preprocessor(Preprocessing(image_size=(HEIGHT, WIDTH), decode=decode))
    for decode in ("exact", "fast")
}
WHITE_IS_ZERO, BLACK_IS_ZERO, COLOURS, INDEX, INKS, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8


def decoded(file: bytes, decode: str = "exact") -> Array:
    """Returns the pixels as levels, float32 [height, width, 3], 0 to 255; raises its error."""
    result = PREPROCESSORS[decode]([file])
    for error in result.errors.values():
        raise error
    return np.asarray(result.pixels[0]) * 255


def deep(levels: Array, bits: int) -> Array:
    """Returns levels 0 to 255 as samples of so many bits."""
    return levels.astype(np.uint64) * (2**bits - 1) // 255


def shown(levels: Array, bits: int) -> Array:
    """Returns the levels, [height, width, 3], that such samples stand for."""
    upper = deep(levels, bits) * 255 // (2**bits - 1)
    return np.broadcast_to(upper, (HEIGHT, WIDTH, 3)).astype(np.float32)


def with_alpha(samples: Array, bits: int) -> Array:
    return np.concatenate([samples, np.full((HEIGHT, WIDTH, 1), 2**bits - 1, np.uint64)], axis=-1)


def colour_map(bits: int, unit: int) -> dict[int, tuple[str, list[int]]]:
    return {320: ("H", (PALETTE[: 2**bits] * unit).T.ravel().tolist())}


def indexed(bits: int) -> Array:
    return (np.arange(HEIGHT * WIDTH) * 37 % 2**bits).reshape(HEIGHT, WIDTH, 1)


def tiffs(order: str, compression: int) -> dict[str, tuple[bytes, Array]]:
    """Returns files and what they show, by what they are."""
    form: dict[str, Any] = {"order": order, "compression": compression}
    cases: dict[str, tuple[bytes, Array]] = {}
    for bits in (1, 2, 4, 8, 16):
        gray, negative = deep(GRAY, bits), 2**bits - 1 - deep(GRAY, bits)
        cases[f"black is zero, {bits}"] = tiff(gray, bits, BLACK_IS_ZERO, **form), shown(GRAY, bits)
        cases[f"white is zero, {bits}"] = (
            tiff(negative, bits, WHITE_IS_ZERO, **form),
            shown(GRAY, bits),
        )
    for bits in (4, 8):
        colours = PALETTE[indexed(bits)[..., 0]].astype(np.float32)
        for unit, levels in ((257, "16"), (1, "8")):
            cases[f"palette of {levels}-bit levels, {bits}"] = (
                tiff(indexed(bits), bits, INDEX, **form, tags=colour_map(bits, unit)),
                colours,
            )
    for bits in (8, 16):
        rgb, inks = deep(RGB, bits), 2**bits - 1 - deep(RGB, bits)
        for planes in (False, True):
            name = f"{bits}, planes: {planes}"
            alpha = {338: ("H", [2])}
            cases[f"RGB, {name}"] = (
                tiff(rgb, bits, COLOURS, planes=planes, **form),
                shown(RGB, bits),
            )
            cases[f"RGB and alpha, {name}"] = (
                tiff(with_alpha(rgb, bits), bits, COLOURS, planes=planes, **form, tags=alpha),
                shown(RGB, bits),
            )
            no_black = np.concatenate([inks, np.zeros_like(inks[..., :1])], axis=-1)
            cases[f"CMYK, {name}"] = (
                tiff(no_black, bits, INKS, planes=planes, **form),
                shown(RGB, bits),
            )
            if bits == 8:
                luminance = np.asarray(PIL.Image.fromarray(RGB).convert("YCbCr"))
                tags = {530: ("H", [1, 1])}
                cases[f"YCbCr, {name}"] = (
                    tiff(luminance, 8, YCBCR, planes=planes, **form, tags=tags),
                    shown(RGB, 8),
                )
    return cases


@pytest.mark.parametrize("compression", [NO_COMPRESSION, DEFLATE], ids=["plain", "deflate"])
@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
def test_a_tiff_of_any_kind_shows_its_colours(order: str, compression: int) -> None:
    for name, (file, wanted) in tiffs(order, compression).items():
        # Rounding: CMYK and YCbCr are off by one or two.
        np.testing.assert_allclose(decoded(file), wanted, rtol=0, atol=4, err_msg=name)


REFUSED = {
    "float": (tiff(GRAY / np.float32(255), 32, BLACK_IS_ZERO), "floating-point or signed samples"),
    "signed": (
        tiff(RGB, 8, COLOURS, tags={339: ("H", [2, 2, 2])}),
        "RGB, 8, 8, 8 bits, floating-point or signed",
    ),
    "L*a*b*": (tiff(RGB, 8, LAB), r"L\*a\*b\* colours"),
    "RGB of 4 bits": (tiff(deep(RGB, 4), 4, COLOURS), "RGB, 4, 4, 4 bits"),
    "RGB of 32 bits": (tiff(deep(RGB, 32), 32, COLOURS), "RGB, 32, 32, 32 bits"),
    "other inks": (
        tiff(with_alpha(RGB, 8), 8, INKS, tags={332: ("H", [2])}),
        "inks other than cyan",
    ),
    "filter array": (tiff(GRAY, 8, 32803), "colour filter array, 8 bits"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_samples_that_are_no_colours_are_refused_by_name(name: str) -> None:
    file, words = REFUSED[name]
    with pytest.raises(UnsupportedFormatError, match=words):
        decoded(file)


CODINGS = {
    33003: "JPEG 2000",
    34661: "JBIG",
    34887: "LERC",
    50001: "WebP",
    65000: "compression 65000",
}


@pytest.mark.parametrize("number", CODINGS)
def test_a_tiff_of_a_coding_that_is_not_read_is_refused_by_its_name(number: int) -> None:
    file = tiff(RGB, 8, COLOURS, tags={259: ("H", [number])})
    with pytest.raises(UnsupportedFormatError, match=f"coded by {CODINGS[number]}"):
        decoded(file)


PHOTOSHOP = {
    "a PSD file of 16 bits": other.psd(3, 2, pixels=bytes(38), bits=16),
    "a PSD file of 32 bits": other.psd(3, 2, pixels=bytes(74), bits=32),
    "a PSB file": b"8BPS\0\2" + other.psd(3, 2, pixels=bytes(20))[6:],
}


@pytest.mark.parametrize("words", PHOTOSHOP)
def test_a_photoshop_file_of_another_kind_is_refused_by_name(words: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=words):
        decoded(PHOTOSHOP[words])


def test_a_png_of_any_kind_shows_its_colours() -> None:
    for bits in (1, 2, 4, 8, 16):
        np.testing.assert_allclose(
            decoded(png(deep(GRAY, bits), bits, 0)), shown(GRAY, bits), atol=1.1, err_msg=str(bits)
        )
        if bits <= 8:
            wanted = PALETTE[indexed(bits)[..., 0]]
            file = png(indexed(bits), bits, 3, PALETTE[: 2**bits])
            np.testing.assert_allclose(decoded(file), wanted, atol=0.01, err_msg=str(bits))
        if bits >= 8:
            for colour_type, levels in ((2, RGB), (4, GRAY), (6, RGB)):
                samples = deep(levels, bits)
                file = png(
                    with_alpha(samples, bits) if colour_type >= 4 else samples, bits, colour_type
                )
                np.testing.assert_allclose(decoded(file), shown(levels, bits), atol=1.1)


LARGE = photo(4 * HEIGHT, 4 * WIDTH)
CMYK = save(PIL.Image.fromarray(LARGE).convert("CMYK"), "JPEG", quality=95)


def without_adobe(file: bytes) -> bytes:
    start = file.index(b"\xff\xee")
    return file[:start] + file[start + 2 + int.from_bytes(file[start + 2 : start + 4], "big") :]


@pytest.mark.parametrize("decode", ["exact", "fast"])
def test_a_cmyk_jpeg_is_no_negative_without_adobes_mark(decode: str) -> None:
    # As Pillow and browsers have it; TensorFlow takes the mark for the reason to invert.
    with_mark, without_mark = decoded(CMYK, decode), decoded(without_adobe(CMYK), decode)
    np.testing.assert_array_equal(without_mark, with_mark)
    same = decoded(save(PIL.Image.fromarray(LARGE), "JPEG", quality=95), decode)
    assert np.abs(with_mark - same).mean() < 4


def test_nor_where_another_library_decodes_it() -> None:
    # Only the first ink has all its samples: simplejpeg knows no name for that.
    odd = save(PIL.Image.fromarray(LARGE).convert("CMYK"), "JPEG", subsampling="4:2:0")
    with pytest.raises(ValueError, match="Could not determine subsampling"):
        simplejpeg.decode_jpeg_header(odd)
    assert np.abs(decoded(without_adobe(odd)) - decoded(odd)).mean() < 2


def test_one_is_black_in_a_bitmap_of_photoshop() -> None:
    bits = np.zeros((16, 16), np.uint8)
    bits[:4] = 1
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 1, 16, 16, 1, 0)
    file = header + bytes(12) + bytes(2) + np.packbits(bits, axis=1).tobytes()
    pixels = decoded(file)
    assert pixels[:3].max() == 0
    assert pixels[-3:].min() == 255
