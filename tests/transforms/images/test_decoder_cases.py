"""Every file of the shared decoder cases: right, upright pixels, or a reason."""

import contextlib
import csv
import io
import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
import tensorflow as tf
from pillow_heif import open_heif

from tests.support.images import STORE
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessed, Preprocessor

TENSORFLOW = "tf_2.21_decode_image(channels=3,expand_animations=False)"
PILLOW = "pillow_12.3"
WRONG_IN_TENSORFLOW = ("gif-transparent-diff", "bmp-palette8", "bmp-rgb32-bitfields")
PAINTED_OVER = {
    "decoder_cases/jpeg-lossless-etc/imagetestsuite__5482a54657765056f1a94116a8dbffe7.jpg",
    "decoder_cases/jpeg-progressive/imagetestsuite__8e5e74dbf9b68a322fbb9512db837329.jpg",
    "decoder_cases/jpeg-progressive/imagetestsuite__f6b4389c3cf0f5997b2e5a4b905aea8d.jpg",
    "decoder_cases/jpeg-silently-different/tf_core__bad_huffman.jpg",
}
"""Damaged files that a decoder takes, with a few right pixels and the rest made up."""
ENDLESS = "decoder_cases/jpeg-truncated-recoverable/pillow__truncated_jpeg.jpg"
"""A whole photo that lacks the last byte of its end marker; both decoders refuse it."""
HEIF = "decoder_cases/avif-heic/pillow__hopper.heif"
"""Pillow alone has no decoder of it."""
SIZE = (64, 48)

Row = dict[str, str]
Cases = list[tuple[Row, bytes]]


@pytest.fixture(scope="module")
def cases(shared_data: pathlib.Path) -> Cases:
    with (shared_data / "decoder_cases.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 130
    return [(row, (shared_data / row["path"]).read_bytes()) for row in rows]


@pytest.fixture(scope="module")
def results(cases: Cases) -> Preprocessed:
    return Preprocessor(Preprocessing(image_size=SIZE))([file for _, file in cases])


def decode_with_the_better_decoder(row: Row, file: bytes) -> npt.NDArray[Any]:
    """Returns the upright image, uint8 [height, width, 3]."""
    if row["path"] == ENDLESS:
        file += b"\xd9"
    if row["path"] == HEIF:
        return np.asarray(open_heif(io.BytesIO(file)).to_pillow().convert("RGB"))
    if row["path"] == ENDLESS or (
        row[TENSORFLOW] == "ok" and row["category"] not in WRONG_IN_TENSORFLOW
    ):
        stored = tf.io.decode_image(file, channels=3, expand_animations=False).numpy()
    else:
        with PIL.Image.open(io.BytesIO(file)) as image:
            with contextlib.suppress(ValueError):
                image.load()  # Two files are damaged behind their pixels only.
            image.info.pop("transparency", None)
            stored = np.asarray(image.convert("RGB"))
    orientation = int(row["orientation"] or 1)
    # To turn upright is to store, but for the quarter turns, which undo each other.
    return STORE[{6: 8, 8: 6}.get(orientation, orientation)](stored)


def test_every_decodable_case_gives_right_pixels(cases: Cases, results: Preprocessed) -> None:
    good = [case for index, case in enumerate(cases) if index not in results.errors]
    decodable = [
        case
        for case in cases
        if case[0]["path"] in (ENDLESS, HEIF)
        or ("ok" in (case[0][PILLOW], case[0][TENSORFLOW]) and case[0]["path"] not in PAINTED_OVER)
    ]
    assert [row["path"] for row, _ in good] == [row["path"] for row, _ in decodable]
    for number, (row, file) in enumerate(good):
        upright = decode_with_the_better_decoder(row, file)
        assert results.heights[number] == upright.shape[0], row["path"]
        assert results.widths[number] == upright.shape[1], row["path"]
        floats = tf.image.convert_image_dtype(upright, tf.float32)
        np.testing.assert_allclose(
            results.pixels[number],
            tf.image.resize(floats, SIZE),
            rtol=0,
            atol=1e-6,
            err_msg=row["path"],
        )


REASONS = {
    "not-a-jpeg": ("UnsupportedFormat", "looks like a JPEG image with damaged first bytes"),
    "jpeg-corrupt": ("CorruptImage", "damaged JPEG header"),
    "jpeg-truncated-recoverable": ("CorruptImage", "damaged JPEG"),
    "jpeg-lossless-etc": ("CorruptImage", "damaged JPEG data: bad Huffman code"),
    "jpeg-progressive": ("CorruptImage", "damaged JPEG data: "),
    "jpeg-silently-different": (
        "CorruptImage",
        "libjpeg says: Corrupt JPEG data: 260 extraneous bytes before marker 0xd9",
    ),
    "large-photo": ("CorruptImage", "libjpeg says: Corrupt JPEG data: premature end of data"),
    "png-corrupt": ("", "PNG"),
    "bomb": ("", ""),
    "slow/oom fuzz": ("UnsupportedFormat", "looks like a BLP texture"),
}


def test_every_other_case_has_a_reason(cases: Cases, results: Preprocessed) -> None:
    for index, error in results.errors.items():
        error_type, words = REASONS[cases[index][0]["category"]]
        assert error.error_type.startswith(error_type)
        assert words in str(error)
    bombs = [
        (error.error_type, str(error).partition(";")[0])
        for index, error in results.errors.items()
        if cases[index][0]["category"] == "bomb"
    ]
    assert bombs == [
        ("ImageTooLarge", "66601 x 65535 pixels, --max_image_pixels is 120000000"),
        ("ImageTooLarge", "32767 x 65535 pixels, --max_image_pixels is 120000000"),
        ("UnsupportedFormat", "not an image of a supported format: looks like an FLI animation"),
        ("UnsupportedFormat", "not an image of a supported format: looks like an ICNS icon"),
    ]


@pytest.mark.parametrize("scene", ["Landscape", "Portrait"])
def test_eight_orientations_agree(scene: str, cases: Cases, results: Preprocessed) -> None:
    good = [row["path"] for index, (row, _) in enumerate(cases) if index not in results.errors]
    numbers = [n for n, path in enumerate(good) if f"exif_orientation__{scene}_" in path]
    assert len(numbers) == 8
    vectors = results.pixels[numbers].reshape(8, -1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert (vectors @ vectors.T).min() > 0.98
