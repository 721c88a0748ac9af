import concurrent.futures
import functools
import io
import resource
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import PIL.ImageOps
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.images import STORE, claim_size, encode, exif, photo, save
from transforms.errors import (
    CorruptImageError,
    FileTooLargeError,
    ImageError,
    ImageTooLargeError,
    UnsupportedFormatError,
)
from transforms.images.header import read_header
from transforms.images.pillow_decoder import decode_with_pillow
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessor
from transforms.images.range_scaling import IMAGENET_MEAN, IMAGENET_STANDARD_DEVIATION

Array = npt.NDArray[Any]

SIZE = (24, 32)
SCENE = photo(37, 53)


@functools.cache
def preprocessor(**policy: Any) -> Preprocessor:  # noqa: ANN401
    return Preprocessor(Preprocessing(**{"image_size": SIZE, **policy}))


def only(file: bytes, **policy: Any) -> Array:  # noqa: ANN401
    pixels, _, _, errors = preprocessor(**policy)([file])
    assert errors == {}
    return pixels[0]


def error_of(file: bytes, **policy: Any) -> ImageError:  # noqa: ANN401
    pixels, heights, widths, errors = preprocessor(**policy)([file])
    assert (len(pixels), len(heights), len(widths)) == (0, 0, 0)
    return errors[0]


def reference(decoded: Array, **options: Any) -> Array:  # noqa: ANN401
    image = tf.image.convert_image_dtype(decoded, tf.float32)
    return tf.image.resize(image, SIZE, **options).numpy()


def tensorflow_reference(file: bytes) -> Array:
    return reference(tf.io.decode_image(file, channels=3, expand_animations=False))


def as_mode(mode: str) -> Callable[[Array], PIL.Image.Image]:
    return lambda array: PIL.Image.fromarray(array).convert(mode)


def in_16_bits(array: Array) -> PIL.Image.Image:
    return PIL.Image.fromarray(array[..., 0].astype(np.uint16) * 257)


KINDS: dict[str, Callable[[Array], bytes]] = {
    "jpeg": lambda array: encode(array, "JPEG", quality=90),
    "progressive jpeg": lambda array: encode(array, "JPEG", progressive=True),
    "gray jpeg": lambda array: save(as_mode("L")(array), "JPEG"),
    "cmyk jpeg": lambda array: save(as_mode("CMYK")(array), "JPEG"),
    "png": lambda array: encode(array, "PNG"),
    "gray png": lambda array: save(as_mode("L")(array), "PNG"),
    "1-bit png": lambda array: save(as_mode("1")(array), "PNG"),
    "palette png": lambda array: save(as_mode("P")(array), "PNG"),
    "gray and alpha png": lambda array: save(as_mode("LA")(array), "PNG"),
    "16-bit png": lambda array: save(in_16_bits(array), "PNG"),
    "opaque webp": lambda array: encode(array, "WEBP"),
    "24-bit bmp": lambda array: encode(array, "BMP"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1, 57), (57, 1), (37, 53), (24, 32), (200, 301)])
def test_pixels_equal_the_reference_formula(kind: str, size: tuple[int, int]) -> None:
    file = KINDS[kind](photo(*size))
    np.testing.assert_allclose(only(file), tensorflow_reference(file), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("interpolation", "antialias"),
    [
        *((name, False) for name in ("bilinear", "bicubic", "nearest", "area", "lanczos3")),
        *((name, True) for name in ("bilinear", "bicubic", "lanczos3")),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (9, 7), (120, 301)])
def test_interpolations_equal_those_of_tensorflow(
    interpolation: str, antialias: bool, size: tuple[int, int]
) -> None:
    scene = photo(*size)
    actual = only(encode(scene), interpolation=interpolation, antialias=antialias)
    wanted = reference(scene, method=interpolation, antialias=antialias).clip(0, 1)
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(5, 3), (24, 32), (48, 32), (49, 32), (120, 301)])
def test_bilinear_pixels_are_the_same_bits_whether_cast_before_or_not(
    size: tuple[int, int],
) -> None:
    scene = photo(*size)
    wanted = tf.image.resize(scene, SIZE).numpy() * np.float32(1 / 255)
    np.testing.assert_array_equal(only(encode(scene)), wanted)


@pytest.mark.parametrize("size", [(37, 53), (53, 37), (5, 3), (375, 500), (24, 32)])
def test_pad_equals_resize_with_pad(size: tuple[int, int]) -> None:
    scene = photo(*size)
    floats = tf.image.convert_image_dtype(scene, tf.float32)
    wanted = tf.image.resize_with_pad(floats, *SIZE).numpy()
    actual = only(encode(scene), resize_mode="pad")
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1)])
@pytest.mark.parametrize("resize_mode", ["squash", "crop", "pad"])
def test_extreme_shapes_become_the_models_size(size: tuple[int, int], resize_mode: str) -> None:
    white = np.full((*size, 3), 255, np.uint8)
    pixels = only(encode(white), resize_mode=resize_mode)
    assert pixels.shape == (*SIZE, 3)
    assert pixels.max() == 1.0


def test_padding_is_black_in_every_range() -> None:
    white = encode(np.full((10, 90, 3), 255, np.uint8))
    assert only(white, resize_mode="pad", input_range="-1,1")[0, 0].tolist() == [-1, -1, -1]
    corner = only(white, resize_mode="pad", input_range="imagenet")[0, 0]
    np.testing.assert_allclose(corner, -np.array(IMAGENET_MEAN) / IMAGENET_STANDARD_DEVIATION, 1e-6)


def test_crop_resizes_the_centred_box() -> None:
    scene = photo(96, 256)
    # Of 96 x 128 in the middle, three quarters: 72 x 96.
    wanted = reference(scene[12:84, 80:176])
    actual = only(encode(scene), resize_mode="crop", crop_fraction=0.75)
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=1e-6)


def test_input_ranges() -> None:
    file = encode(SCENE)
    unit = only(file)
    np.testing.assert_allclose(only(file, input_range="-1,1"), unit * 2 - 1, atol=1e-6)
    np.testing.assert_allclose(only(file, input_range="0,255"), unit * 255, atol=1e-4)
    normal = (unit - IMAGENET_MEAN) / IMAGENET_STANDARD_DEVIATION
    np.testing.assert_allclose(only(file, input_range="imagenet"), normal, atol=1e-5)


def test_input_dtypes() -> None:
    file = encode(SCENE)
    unit = only(file)
    assert unit.dtype == np.float32
    half = only(file, dtype="float16")
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, unit.astype(np.float16))
    double = only(file, dtype="float64")
    assert double.dtype == np.float64
    np.testing.assert_array_equal(double, unit.astype(np.float64))
    whole = only(file, dtype="uint8")
    assert whole.dtype == np.uint8
    np.testing.assert_allclose(whole, unit * 255, atol=0.501)
    np.testing.assert_array_equal(only(encode(photo(*SIZE)), dtype="uint8"), photo(*SIZE))


LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "TIFF": {},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "JPEG": {"quality": 100, "subsampling": 0},
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_all_orientations_give_the_upright_image(name: str) -> None:
    stored = [
        encode(np.ascontiguousarray(STORE[n](SCENE)), name, exif=exif(n), **LOSSLESS[name])
        for n in range(1, 9)
    ]
    for file in stored:
        with PIL.Image.open(io.BytesIO(file)) as image:
            assert PIL.ImageOps.exif_transpose(image).size == (53, 37)
    pixels, heights, widths, errors = preprocessor()(stored)
    assert errors == {}
    assert heights.tolist() == [37] * 8
    assert widths.tolist() == [53] * 8
    lossy = {"JPEG": 0.03, "AVIF": 0.03}.get(name, 1e-6)
    for image in pixels:
        assert np.abs(image - reference(SCENE)).mean() < lossy
        np.testing.assert_allclose(image, reference(SCENE), rtol=0, atol=4 * lossy)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("interpolation", "antialias"),
    [
        *((name, False) for name in ("bilinear", "bicubic", "nearest", "area", "lanczos3")),
        *((name, True) for name in ("bilinear", "bicubic")),
    ],
)
def test_turned_photos_equal_the_formula_on_the_upright_image(
    orientation: int, interpolation: str, antialias: bool
) -> None:
    scene = photo(301, 411)
    policy = {"interpolation": interpolation, "antialias": antialias}
    file = encode(np.ascontiguousarray(STORE[orientation](scene)), exif=exif(orientation))
    for resize_mode in ("squash", "crop", "pad"):
        upright = only(encode(scene), **policy, resize_mode=resize_mode)
        actual = only(file, **policy, resize_mode=resize_mode)
        np.testing.assert_allclose(actual, upright, rtol=0, atol=1e-6)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_photos_of_12_megapixels_equal_the_formula(orientation: int) -> None:
    scene = np.asarray(PIL.Image.fromarray(photo(300, 400)).resize((4000, 3000)))
    scene = scene + np.random.default_rng(0).integers(0, 20, scene.shape, np.uint8)
    file = encode(np.ascontiguousarray(STORE[orientation](scene)), "JPEG", exif=exif(orientation))
    stored = tf.io.decode_image(file, channels=3, expand_animations=False).numpy()
    # To turn upright is to store, but for the quarter turns, which undo each other.
    upright = STORE[{6: 8, 8: 6}.get(orientation, orientation)](stored)
    pixels, heights, widths, _ = preprocessor()([file])
    assert (heights.tolist(), widths.tolist()) == ([3000], [4000])
    np.testing.assert_allclose(pixels[0], reference(upright), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["PNG", "TIFF", "WEBP"])
def test_exif_can_be_ignored(name: str) -> None:
    file = encode(SCENE, name, exif=exif(6), **LOSSLESS[name])
    pixels, heights, widths, _ = preprocessor(exif="ignore")([file])
    np.testing.assert_allclose(pixels[0], reference(SCENE), rtol=0, atol=1e-6)
    assert (heights.tolist(), widths.tolist()) == ([37], [53])


def test_crop_is_of_the_upright_image() -> None:
    scene = photo(96, 256)
    file = encode(np.ascontiguousarray(STORE[6](scene)), "PNG", exif=exif(6))
    wanted = only(encode(scene), resize_mode="crop")
    np.testing.assert_array_equal(only(file, resize_mode="crop"), wanted)


def gray(array: Array) -> Array:
    return np.asarray(as_mode("L")(array).convert("RGB"))


def with_alpha(array: Array) -> Array:
    return np.dstack([array, np.arange(array[..., 0].size).reshape(array.shape[:2]) % 256])


def palette(array: Array) -> PIL.Image.Image:
    return PIL.Image.fromarray(array).quantize(64)


def unsigned(tiff: bytes) -> bytes:
    sample_format = struct.pack("<HHI", 339, 3, 1)
    assert tiff.count(sample_format + b"\2") == 1
    return tiff.replace(sample_format + b"\2", sample_format + b"\1")


def gray_tiff(levels: Array, bits: int, *, white_is_zero: bool, order: str = "<") -> bytes:
    """Makes a TIFF of one gray sample a pixel, whose upper 8 bits are the levels.

    Args:
        levels: uint8 [height, width].
        bits: Bits of a sample: 8, 12, 16 or 32.
        white_is_zero: Whether 0 stands for white.
        order: Byte order, "<" or ">".
    """
    height, width = levels.shape
    # Of 12 bits and more the lower ones repeat the upper ones: white is all ones.
    samples = [int(f"{level:02x}" * 4, 16) >> (32 - bits) for level in levels.ravel()]
    if white_is_zero:
        samples = [(1 << bits) - 1 - sample for sample in samples]
    if bits == 12:
        text = "".join(f"{sample:03x}" for sample in samples)
        data = bytes.fromhex(text)
    else:
        data = b"".join(
            sample.to_bytes(bits // 8, "little" if order == "<" else "big") for sample in samples
        )
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, int(not white_is_zero))]
    tags += [(273, 134), (277, 1), (278, height), (279, len(data)), (339, 1)]
    mark = {"<": b"II", ">": b"MM"}[order]
    directory = b"".join(struct.pack(f"{order}HHLL", tag, 4, 1, value) for tag, value in tags)
    head = mark + struct.pack(f"{order}HLH", 42, 8, len(tags))
    return head + directory + bytes(4) + data


RGB = np.asarray(palette(SCENE).convert("RGB"))
POLICIES: dict[str, tuple[bytes, Array]] = {
    "tiff": (encode(SCENE, "TIFF"), SCENE),
    "tiff deflate": (encode(SCENE, "TIFF", compression="tiff_adobe_deflate"), SCENE),
    "tiff gray": (save(as_mode("L")(SCENE), "TIFF"), gray(SCENE)),
    "tiff 1-bit": (
        save(as_mode("1")(SCENE), "TIFF", compression="group4"),
        np.asarray(as_mode("1")(SCENE).convert("RGB")),
    ),
    "tiff 16-bit": (save(in_16_bits(SCENE), "TIFF"), np.repeat(SCENE[..., :1], 3, -1)),
    "tiff 32-bit": (
        unsigned(encode(SCENE[..., 0].astype(np.uint32) << 24, "TIFF")),
        np.repeat(SCENE[..., :1], 3, -1),
    ),
    "tiff cmyk": (
        save(as_mode("CMYK")(SCENE), "TIFF"),
        np.asarray(as_mode("CMYK")(SCENE).convert("RGB")),
    ),
    "tiff alpha": (encode(with_alpha(SCENE).astype(np.uint8), "TIFF"), SCENE),
    "png alpha": (encode(with_alpha(SCENE).astype(np.uint8), "PNG"), SCENE),
    "webp alpha": (
        encode(with_alpha(SCENE).astype(np.uint8), "WEBP", lossless=True, exact=True),
        SCENE,
    ),
    "gif": (save(palette(SCENE), "GIF"), RGB),
    "gif transparent": (save(palette(SCENE), "GIF", transparency=3), RGB),
    "png palette": (save(palette(SCENE), "PNG"), RGB),
    "png palette alpha": (save(palette(SCENE), "PNG", transparency=bytes(range(64))), RGB),
    "bmp palette": (save(palette(SCENE), "BMP"), RGB),
    "bmp 32-bit": (encode(with_alpha(SCENE).astype(np.uint8), "BMP"), SCENE),
    "dib": (encode(SCENE, "DIB"), SCENE),
    "ico": (encode(SCENE, "ICO", sizes=[(53, 37)]), SCENE),
    "jpeg 2000": (encode(SCENE, "JPEG2000"), SCENE),
}


@pytest.mark.parametrize("kind", POLICIES)
def test_every_kind_of_samples_becomes_colours(kind: str) -> None:
    file, wanted = POLICIES[kind]
    np.testing.assert_allclose(only(file), reference(wanted), rtol=0, atol=1e-6)


REFUSED_TIFFS = {
    (False, 12, ">"), (False, 32, ">"),
    (True, 12, "<"), (True, 12, ">"), (True, 32, "<"), (True, 32, ">"),
}  # fmt: skip
"""What Pillow does not read: whether white is zero, bits, byte order."""


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 12, 16, 32])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_black_is_black_in_every_gray_tiff(bits: int, white_is_zero: bool, order: str) -> None:
    levels = SCENE[:36, :52, 0]
    file = gray_tiff(levels, bits, white_is_zero=white_is_zero, order=order)
    if (white_is_zero, bits, order) in REFUSED_TIFFS:
        with pytest.raises(UnsupportedFormatError):
            read_header(file)
        return
    pixels = decode_with_pillow(file, read_header(file))
    np.testing.assert_array_equal(pixels, np.repeat(levels[..., np.newaxis], 3, -1))


@pytest.mark.parametrize("name", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_animations_give_their_first_frame(name: str) -> None:
    red, blue = (np.full((9, 9, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))
    second = PIL.Image.fromarray(blue)
    file = encode(red, name, save_all=True, append_images=[second], duration=100)
    np.testing.assert_allclose(only(file)[0, 0], (1, 0, 0), atol=0.05)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (PIL.Image.fromarray(SCENE[..., 0].astype(np.float32)), "floating-point or signed"),
        (PIL.Image.fromarray(SCENE[..., 0].astype(np.int32)), "floating-point or signed"),
        (PIL.Image.fromarray(SCENE).convert("LAB"), "L\\*a\\*b\\*"),
    ],
    ids=["float", "signed", "lab"],
)
def test_measurements_are_refused(image: PIL.Image.Image, words: str) -> None:
    error = error_of(save(image, "TIFF"))
    assert error.error_type == "UnsupportedFormat"
    with pytest.raises(ImageError, match=words):
        raise error


WHOLE: dict[str, bytes] = {
    "jpeg": encode(SCENE, "JPEG", quality=90),
    "progressive jpeg": encode(SCENE, "JPEG", progressive=True),
    "png": encode(SCENE, "PNG"),
    "gif": encode(SCENE, "GIF"),
    "webp": encode(SCENE, "WEBP"),
    "tiff": encode(SCENE, "TIFF"),
    "deflated tiff": encode(SCENE, "TIFF", compression="tiff_adobe_deflate"),
    "bmp": encode(SCENE, "BMP"),
    "avif": encode(SCENE, "AVIF"),
    "jpeg 2000": encode(SCENE, "JPEG2000"),
    "ico": encode(SCENE, "ICO", sizes=[(53, 37)]),
}


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_cut_short_is_never_half_an_image(kind: str) -> None:
    file = WHOLE[kind]
    cut = [file[: len(file) * percent // 100] for percent in range(10, 100, 10)]
    pixels, _, _, errors = preprocessor()(cut)
    assert len(pixels) == 0
    assert {error.error_type for error in errors.values()} == {"CorruptImage"}
    # Not what Python says of the buffer that it was unpacking.
    assert not [error for error in errors.values() if "unpack" in str(error)]


def test_jpeg_with_a_thumbnail_is_never_half_an_image() -> None:
    thumbnail = exif(1)
    thumbnail[0x9286] = encode(photo(9, 9), "JPEG")  # Holds an end marker of its own.
    file = encode(SCENE, "JPEG", exif=thumbnail)
    assert isinstance(error_of(file[:-100]), CorruptImageError)


def test_png_with_a_broken_tail_is_whole() -> None:
    png = encode(SCENE)
    tail = struct.pack(">I", 0) + b"IHDR" + png[-4:]
    np.testing.assert_array_equal(only(png[:-12] + tail), only(png))


def damaged_inside() -> bytes:
    """A PNG that looks whole and is not, so that the batch fails."""
    png = encode(SCENE, "PNG")
    return png[:200] + bytes(20) + png[220:]


def test_bad_images_cost_only_themselves_and_order_is_kept() -> None:
    good = [encode(photo(20, 30, seed), name) for seed, name in enumerate(("JPEG", "GIF", "PNG"))]
    bad = [b"", WHOLE["jpeg"][:-200], damaged_inside(), b"<html>", WHOLE["gif"][:-60]]
    batch = [bad[0], good[0], bad[1], bad[2], good[1], bad[3], good[2], bad[4]]
    pixels, heights, widths, errors = preprocessor()(batch)
    for actual, file in zip(pixels, good, strict=True):
        np.testing.assert_array_equal(actual, only(file))
    assert heights.dtype == widths.dtype == np.int32
    assert (heights.tolist(), widths.tolist()) == ([20] * 3, [30] * 3)
    assert {index: error.error_type for index, error in errors.items()} == {
        0: "UnsupportedFormat",
        2: "CorruptImage",
        3: "CorruptImage",
        5: "UnsupportedFormat",
        7: "CorruptImage",
    }


@pytest.mark.parametrize("batch", [[], [b""], [damaged_inside()]])
def test_batch_without_a_good_image_is_empty(batch: list[bytes]) -> None:
    pixels, heights, widths, errors = preprocessor()(batch)
    assert pixels.shape == (0, *SIZE, 3)
    assert pixels.dtype == np.float32
    assert (len(heights), len(widths), len(errors)) == (0, 0, len(batch))


@pytest.mark.parametrize("input_range", ["0,1", "-1,1", "imagenet", "caffe"])
def test_pixels_do_not_depend_on_the_batch(input_range: str) -> None:
    run = preprocessor(input_range=input_range)
    files = [encode(photo(30 + n, 50 - n, n), ("JPEG", "PNG", "BMP")[n % 3]) for n in range(13)]
    alone = np.concatenate([run([file]).pixels for file in files])
    np.testing.assert_array_equal(run(files).pixels, alone)
    np.testing.assert_array_equal(run([*files[::-1], damaged_inside()]).pixels, alone[::-1])


def test_threads_may_share_a_preprocessor() -> None:
    files = [encode(photo(60, 80, seed), "JPEG") for seed in range(8)]
    wanted = preprocessor()(files).pixels
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for batch in pool.map(preprocessor(), [files] * 16):
            np.testing.assert_array_equal(batch.pixels, wanted)


def test_pixel_limit_is_on_the_header_and_inclusive() -> None:
    file = encode(photo(10, 20))
    assert only(file, max_image_pixels=200).shape == (*SIZE, 3)
    error = error_of(file, max_image_pixels=199)
    assert isinstance(error, ImageTooLargeError)
    assert str(error) == "10 x 20 pixels, --max_image_pixels is 199"


def test_byte_limit_is_inclusive() -> None:
    file = encode(photo(10, 20))
    assert only(file, max_image_bytes=len(file)).shape == (*SIZE, 3)
    error = error_of(file, max_image_bytes=len(file) - 1)
    assert isinstance(error, FileTooLargeError)
    assert str(error) == f"{len(file)} bytes, --max_image_bytes is {len(file) - 1}"


def test_bombs_are_refused_before_their_pixels_are_allocated() -> None:
    gif, bmp = encode(SCENE, "GIF"), encode(SCENE, "BMP")
    bombs = [
        claim_size(encode(SCENE), 100_000, 100_000),
        gif[:6] + struct.pack("<HH", 65_000, 65_000) + gif[10:],
        bmp[:18] + struct.pack("<ii", 100_000, 100_000) + bmp[26:],
    ]
    run = preprocessor()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pixels, _, _, errors = run(bombs)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert len(pixels) == 0
    assert [error.error_type for error in errors.values()] == ["ImageTooLarge"] * 3
    assert grown < 50_000  # Kilobytes.


MUTATED = {name: file for name, file in WHOLE.items() if len(file) < 8000}


@given(
    kind=st.sampled_from(sorted(MUTATED)),
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=5),
    near=st.sampled_from([64, 400, 8000]),
)
@settings(derandomize=True, max_examples=300, deadline=None)
def test_any_bytes_give_an_image_or_an_image_error(
    kind: str, edits: list[tuple[float, bytes]], near: int
) -> None:
    data = bytearray(MUTATED[kind])
    for place, value in edits:
        start = int(place * min(near, len(data) - 1))
        data[start : start + len(value)] = value
    run = preprocessor(max_image_pixels=1_000_000)
    pixels, heights, _, errors = run([WHOLE["jpeg"], bytes(data), WHOLE["png"]])
    assert len(pixels) == len(heights) == 3 - len(errors)
    assert errors.keys() <= {1}
    assert np.isfinite(pixels).all()
    np.testing.assert_array_equal(pixels[[0, -1]], run([WHOLE["jpeg"], WHOLE["png"]]).pixels)
