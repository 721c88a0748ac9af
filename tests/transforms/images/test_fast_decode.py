"""--decode fast: which size is decoded, that the rest stays right, and how far it is from exact."""

import functools
import io
import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.images import STORE, encode, exif, photo, save
from transforms.images.placement import RATIOS, Placement, crop_box, place
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessed, Preprocessor

Array = npt.NDArray[Any]

SIZE = (24, 32)
UPRIGHT = STORE | {6: STORE[8], 8: STORE[6]}
"""To turn upright is to store, but for the quarter turns, which undo each other."""


@functools.cache
def preprocessor(**policy: Any) -> Preprocessor:  # noqa: ANN401
    return Preprocessor(Preprocessing(**{"image_size": SIZE, "decode": "fast", **policy}))


def only(file: bytes, **policy: Any) -> Array:  # noqa: ANN401
    pixels, _, _, errors = preprocessor(**policy)([file])
    assert errors == {}
    return pixels[0]


def placement(height: int, width: int, orientation: int = 1, **policy: Any) -> Placement:  # noqa: ANN401
    whole = Preprocessing(**{"image_size": SIZE, **policy})
    return place(height, width, orientation, whole, may_shrink=True)


def reference(file: bytes, ratio: int, orientation: int = 1, **options: Any) -> Array:  # noqa: ANN401
    """Returns libjpeg's scaled image, turned upright, filtered."""
    stored = tf.io.decode_jpeg(file, channels=3, ratio=ratio).numpy()
    upright = UPRIGHT[orientation](stored).astype(np.float32) / 255
    return tf.image.resize(upright, SIZE, antialias=True, **options).numpy()


@pytest.mark.parametrize(
    ("size", "ratio"),
    [
        ((24, 32), 1),
        ((47, 64), 2),  # libjpeg rounds up: 24 x 32.
        ((46, 64), 1),
        ((48, 62), 1),
        ((96, 128), 4),
        ((93, 125), 4),
        ((92, 128), 2),
        ((192, 256), 8),
        ((185, 249), 8),
        ((184, 256), 4),
        ((3000, 4000), 8),
        ((10, 10), 1),
        ((10, 5000), 1),
        ((5000, 31), 1),
        ((5000, 63), 2),
    ],
)
def test_the_smallest_size_that_covers_the_models_is_decoded(
    size: tuple[int, int], ratio: int
) -> None:
    assert placement(*size).ratio == ratio
    # Stored lying on its side.
    assert placement(*size[::-1], orientation=6).ratio == ratio
    if max(size) < 1000:
        file = encode(photo(*size), "JPEG")
        antialias = ratio > 1
        wanted = tf.image.resize(
            tf.io.decode_jpeg(file, channels=3, ratio=ratio), SIZE, antialias=antialias
        )
        np.testing.assert_allclose(only(file), wanted / 255, rtol=0, atol=1e-6)


def test_crop_and_pad_cover_what_they_resize_to() -> None:
    assert placement(96, 128, resize_mode="crop", crop_fraction=1.0).ratio == 4
    assert placement(96, 128, resize_mode="crop", crop_fraction=0.75).ratio == 2
    # Of 24 x 32, the image gets 24 x 8 and 6 x 32.
    assert placement(192, 64, resize_mode="pad").ratio == 8
    assert placement(48, 256, resize_mode="pad").ratio == 8
    assert placement(48, 248, resize_mode="pad").ratio == 4


@given(
    height=st.integers(1, 5000),
    width=st.integers(1, 5000),
    orientation=st.integers(1, 8),
    image_size=st.tuples(st.integers(1, 400), st.integers(1, 400)),
    resize_mode=st.sampled_from(["squash", "crop", "pad"]),
)
@settings(derandomize=True, max_examples=500, deadline=None)
def test_the_region_is_the_exact_one_to_a_decoded_pixel(
    height: int, width: int, orientation: int, image_size: tuple[int, int], resize_mode: str
) -> None:
    policy = Preprocessing(image_size=image_size, resize_mode=resize_mode)
    exact = place(height, width, orientation, policy)
    fast = place(height, width, orientation, policy, may_shrink=True)
    assert exact.ratio == 1
    assert (fast.flips, fast.is_turned, fast.size) == (exact.flips, exact.is_turned, exact.size)
    decoded = fast.decoded_size(height, width)
    for axis in (0, 1):
        start, sides = fast.region[axis], fast.region[axis + 2]
        exact_start, exact_sides = exact.region[axis], exact.region[axis + 2]
        assert 0 <= start < start + sides <= decoded[axis]
        assert abs(start - exact_start / fast.ratio) < 1
        assert abs(start + sides - (exact_start + exact_sides) / fast.ratio) < 1
        if resize_mode != "crop":
            assert (start, sides) == (0, decoded[axis])
        if fast.ratio > 1:
            assert sides >= fast.size[axis]
    for ratio in RATIOS[RATIOS.index(fast.ratio) + 1 :]:
        top, left, height, width = exact.region
        down = -(-(top + height) // ratio) - top // ratio
        across = -(-(left + width) // ratio) - left // ratio
        assert down < fast.size[0] or across < fast.size[1]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_crop_lies_where_it_does_in_the_upright_image(orientation: int) -> None:
    upright = np.arange(90 * 256).reshape(90, 256)
    stored = STORE[orientation](upright)
    policy = Preprocessing(image_size=SIZE, resize_mode="crop")
    top, left, height, width = place(len(stored), len(stored[0]), orientation, policy).region
    cut = UPRIGHT[orientation](stored[top : top + height, left : left + width])
    box = crop_box(90, 256, SIZE, 0.875)
    assert 90 - box.height - box.top > box.top
    assert 256 - box.width - box.left > box.left
    wanted = upright[box.top : box.top + box.height, box.left : box.left + box.width]
    np.testing.assert_array_equal(cut, wanted)


KINDS = {
    "jpeg": lambda array: encode(array, "JPEG", quality=90),
    "full colour": lambda array: encode(array, "JPEG", subsampling=0),
    "progressive": lambda array: encode(array, "JPEG", progressive=True),
    "gray": lambda array: save(PIL.Image.fromarray(array).convert("L"), "JPEG"),
    "cmyk": lambda array: save(PIL.Image.fromarray(array).convert("CMYK"), "JPEG"),
    "cut up": lambda array: encode(array, "JPEG", restart_marker_blocks=3),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("size", "ratio"), [((201, 301), 8), ((151, 173), 4), ((55, 73), 2)])
def test_every_kind_of_jpeg_shrinks(kind: str, size: tuple[int, int], ratio: int) -> None:
    file = KINDS[kind](photo(*size))
    pixels, heights, widths, errors = preprocessor()([file])
    assert (errors, heights.tolist(), widths.tolist()) == ({}, [size[0]], [size[1]])
    np.testing.assert_allclose(pixels[0], reference(file, ratio), rtol=0, atol=1e-6)
    whole = only(file, decode="exact", antialias=True)
    assert np.abs(pixels[0] - whole).mean() < 0.03


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos3"])
def test_the_filter_is_that_of_the_interpolation(interpolation: str) -> None:
    file = encode(photo(201, 301), "JPEG")
    wanted = reference(file, 8, method=interpolation).clip(0, 1)
    np.testing.assert_allclose(only(file, interpolation=interpolation), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientations_are_undone(orientation: int) -> None:
    scene = photo(203, 397)
    stored = np.ascontiguousarray(STORE[orientation](scene))
    file = encode(stored, "JPEG", quality=95, exif=exif(orientation))
    pixels, heights, widths, errors = preprocessor()([file])
    assert (errors, heights.tolist(), widths.tolist()) == ({}, [203], [397])
    np.testing.assert_allclose(pixels[0], reference(file, 8, orientation), rtol=0, atol=1e-6)
    for resize_mode in ("squash", "crop", "pad"):
        upright = only(encode(scene), decode="exact", antialias=True, resize_mode=resize_mode)
        assert np.abs(only(file, resize_mode=resize_mode) - upright).mean() < 0.02


@pytest.mark.parametrize("resize_mode", ["squash", "crop", "pad"])
@pytest.mark.parametrize("antialias", [False, True])
def test_what_does_not_shrink_is_what_exact_makes_of_it(resize_mode: str, antialias: bool) -> None:
    files = [
        encode(photo(27, 35), "JPEG", exif=exif(6)),
        encode(photo(5, 3), "JPEG"),
        encode(photo(1, 1), "JPEG"),
        encode(photo(1, 900), "JPEG"),
        encode(photo(900, 20), "JPEG"),
        encode(photo(301, 201), "PNG", exif=exif(8)),
        encode(photo(301, 201), "WEBP"),
        encode(photo(301, 201), "TIFF"),
    ]
    policy = {"resize_mode": resize_mode, "antialias": antialias}
    fast, exact = (preprocessor(**policy, decode=decode)(files) for decode in ("fast", "exact"))
    assert fast.errors == exact.errors == {}
    unshrunk = [0, 1, 2, *range(3 if resize_mode != "pad" else 5, len(files))]
    np.testing.assert_array_equal(fast.pixels[unshrunk], exact.pixels[unshrunk])


def test_batch_alone_and_order_agree() -> None:
    files = [encode(photo(30 + 40 * n, 40 + 50 * n, n), "JPEG", exif=exif(n)) for n in range(1, 9)]
    bad = files[5][:-200]
    alone = np.concatenate([preprocessor()([file]).pixels for file in files])
    pixels, _, _, errors = preprocessor()([*files[:3], bad, *files[3:], b"", encode(photo(9, 9))])
    assert {index: error.error_type for index, error in errors.items()} == {
        3: "CorruptImage",
        9: "UnsupportedFormat",
    }
    np.testing.assert_array_equal(pixels[:-1], alone)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_file_cut_short_is_never_half_an_image(progressive: bool) -> None:
    file = encode(photo(400, 500), "JPEG", progressive=progressive)
    cut = [file[: len(file) * percent // 100] for percent in range(2, 100, 3)]
    ended = [data + b"\xff\xd9" for data in cut]  # Looks whole, and does not cost a retry.
    fast, exact = (preprocessor(decode=decode)([*cut, *ended]) for decode in ("fast", "exact"))
    assert set(range(len(cut))) <= fast.errors.keys()
    assert outcomes(fast) == outcomes(exact)


def outcomes(result: Preprocessed) -> dict[int, str]:
    return {index: error.error_type for index, error in result.errors.items()}


JPEG = encode(photo(150, 200), "JPEG", quality=60)


@given(edits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=4)), max_size=4))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_the_same_damage_is_a_failure_as_in_exact(edits: list[tuple[float, bytes]]) -> None:
    data = bytearray(JPEG)
    for share, value in edits:
        start = int(share * (len(data) - 1))
        data[start : start + len(value)] = value
    limit = {"max_image_pixels": 1_000_000}
    fast, exact = (preprocessor(decode=d, **limit)([bytes(data), JPEG]) for d in ("fast", "exact"))
    assert outcomes(fast) == outcomes(exact)
    assert fast.heights.tolist() == exact.heights.tolist()
    np.testing.assert_array_equal(fast.pixels[-1], only(JPEG))


def shared_cases(shared_data: pathlib.Path) -> dict[str, bytes]:
    paths = sorted(path for path in (shared_data / "decoder_cases").rglob("*") if path.is_file())
    return {str(path.relative_to(shared_data)): path.read_bytes() for path in paths}


@pytest.mark.parametrize("resize_mode", ["squash", "crop", "pad"])
def test_decoder_cases_end_as_in_exact(shared_data: pathlib.Path, resize_mode: str) -> None:
    cases = shared_cases(shared_data)
    assert len(cases) > 100
    policy = {"image_size": (64, 48), "resize_mode": resize_mode}
    fast, exact = (
        preprocessor(**policy, decode=decode)(list(cases.values())) for decode in ("fast", "exact")
    )
    assert {n: str(error) for n, error in fast.errors.items()} == {
        n: str(error) for n, error in exact.errors.items()
    }
    np.testing.assert_array_equal(fast.heights, exact.heights)
    np.testing.assert_array_equal(fast.widths, exact.widths)


@pytest.mark.parametrize("resize_mode", ["squash", "crop"])
def test_jpeg_that_only_pillow_decodes_is_decoded_whole(
    shared_data: pathlib.Path, resize_mode: str
) -> None:
    path = shared_data / "decoder_cases" / "jpeg-lossless-etc" / "twelvemonkeys__f-18.jpg"
    file = path.read_bytes()
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.io.decode_jpeg(file, channels=3, ratio=4)
    with PIL.Image.open(path) as image:
        assert image.size == (320, 240)
    wanted = only(file, resize_mode=resize_mode, decode="exact")
    np.testing.assert_array_equal(only(file, resize_mode=resize_mode), wanted)


def photos(shared_data: pathlib.Path) -> list[bytes]:
    folders = [
        shared_data / "photos" / "raccoon" / "images",
        shared_data / "decoder_cases" / "exif-orientation",
        shared_data / "decoder_cases" / "large-photo",
    ]
    paths = [path for folder in folders for path in sorted(folder.iterdir())]
    return [path.read_bytes() for path in paths if "User Comment" not in path.name]  # Cut short.


def test_vectors_of_real_photos_are_close_to_those_of_exact(shared_data: pathlib.Path) -> None:
    files = photos(shared_data)
    assert len(files) == 223
    model = tf.saved_model.load(str(shared_data / "models" / "squeezenet_feature_vector"))

    def vectors(**policy: Any) -> Array:  # noqa: ANN401
        run = preprocessor(image_size=(227, 227), **policy)
        starts = range(0, len(files), 32)
        rows = [model(run(files[start : start + 32]).pixels).numpy() for start in starts]
        stacked = np.concatenate(rows).astype(np.float64)
        return stacked / np.linalg.norm(stacked, axis=1, keepdims=True)

    fast, exact = vectors(), vectors(decode="exact")
    filtered, wanted = vectors(antialias=True), vectors(decode="exact", antialias=True)
    images = [PIL.Image.open(io.BytesIO(file)) for file in files]
    is_large = np.array([min(image.size) >= 453 for image in images])
    assert is_large.sum() == 63
    np.testing.assert_array_equal(fast[~is_large], exact[~is_large])
    np.testing.assert_array_equal(fast[is_large], filtered[is_large])
    to_filtered = (filtered * wanted).sum(axis=1)[is_large]
    assert to_filtered.min() > 0.99
    assert np.median(to_filtered) > 0.998
    to_exact = (fast * exact).sum(axis=1)[is_large]
    assert to_exact.min() > 0.82
    assert np.median(to_exact) > 0.94
    # The filter is what differs: so far is exact from itself.
    own = (wanted * exact).sum(axis=1)[is_large]
    assert abs(np.median(to_exact) - np.median(own)) < 0.02
