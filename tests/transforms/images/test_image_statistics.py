import io
import time

import numpy as np
import PIL.Image
import PIL.ImageFilter
import pytest

from tests.support.images import encode, photo, save
from tests.support.phone_photos import heic, jxl
from tests.support.profiles import adobe_rgb, display_p3
from transforms.images.image_statistics import LUMA, measure_images
from transforms.images.policy import INPUT_RANGES, Preprocessing
from transforms.images.preprocessor import Preprocessor

SIZE = (48, 64)
SCENE = photo(*SIZE)
POLICIES = [
    *(Preprocessing(image_size=SIZE, input_range=name) for name in INPUT_RANGES),
    Preprocessing(image_size=SIZE, dtype="uint8"),
    Preprocessing(image_size=SIZE, dtype="float16"),
]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.input_range + policy.dtype)
def test_light_is_that_of_the_pixels_whatever_the_model_takes(policy: Preprocessing) -> None:
    file = encode(SCENE)
    found = measure_images([file], Preprocessor(policy)([file]).pixels, policy)
    luma = SCENE @ np.array(LUMA)
    laplacian = [
        luma[y - 1, x] + luma[y + 1, x] + luma[y, x - 1] + luma[y, x + 1] - 4 * luma[y, x]
        for y in range(1, SIZE[0] - 1)
        for x in range(1, SIZE[1] - 1)
    ]
    rough = 2e-3 if policy.dtype == "float16" else 1e-5
    assert found.brightness[0] == pytest.approx(luma.mean() / 255, abs=rough)
    assert found.sharpness[0] == pytest.approx(np.var(laplacian), rel=10 * rough)


def test_black_is_0_white_is_1_and_a_blurred_photo_is_less_sharp() -> None:
    policy = Preprocessing(image_size=SIZE)
    blurred = PIL.Image.fromarray(SCENE).filter(PIL.ImageFilter.GaussianBlur(2))
    files = [
        encode(np.zeros((*SIZE, 3), np.uint8)),
        encode(np.full((*SIZE, 3), 255, np.uint8)),
        encode(SCENE),
        save(blurred),
    ]
    found = measure_images(files, Preprocessor(policy)(files).pixels, policy)
    assert found.brightness[:2].tolist() == pytest.approx([0, 1], abs=1e-6)
    assert found.sharpness[:2].tolist() == pytest.approx([0, 0], abs=1e-6)
    assert found.sharpness[3] < found.sharpness[2] / 10


def test_numbers_do_not_depend_on_the_batch_and_small_pixels_have_no_sharpness() -> None:
    policy = Preprocessing(image_size=SIZE)
    files = [encode(photo(*SIZE, seed=seed)) for seed in range(9)]
    pixels = Preprocessor(policy)(files).pixels
    together = measure_images(files, pixels, policy)
    for place, file in enumerate(files):
        alone = measure_images([file], pixels[place : place + 1], policy)
        assert alone.sharpness[0] == together.sharpness[place]
        assert alone.brightness[0] == together.brightness[place]
    tiny = Preprocessing(image_size=(1, 2))
    assert measure_images(files[:1], np.ones((1, 1, 2, 3)), tiny).sharpness.tolist() == [0]
    assert measure_images([], pixels[:0], policy).brightness.shape == (0,)


def test_files_are_described_as_pillow_does() -> None:
    gray, colours = SCENE[..., 0], PIL.Image.fromarray(SCENE)
    alpha = np.dstack([SCENE, SCENE[..., :1]])
    kinds = {
        "JPEG": [colours, colours.convert("L"), colours.convert("CMYK")],
        "PNG": [
            *(colours.convert(mode) for mode in ("RGB", "L", "1", "P", "LA", "RGBA")),
            PIL.Image.fromarray(gray.astype(np.uint16)),
        ],
        "TIFF": [colours, colours.convert("CMYK")],
        "WEBP": [colours, PIL.Image.fromarray(alpha)],
        "GIF": [colours.convert("P")],
        "BMP": [colours],
        "PPM": [colours, colours.convert("L"), colours.convert("1")],
        "TGA": [colours, PIL.Image.fromarray(alpha)],
        "QOI": [colours],
        "AVIF": [colours],
        "JPEG2000": [colours],
        "ICO": [colours.convert("RGBA")],
    }
    files = [(name, save(image, name)) for name, images in kinds.items() for image in images]
    policy = Preprocessing(image_size=SIZE)
    pixels = np.zeros((len(files), *SIZE, 3), np.float32)
    found = measure_images([file for _, file in files], pixels, policy)
    assert found.formats == [name for name, _ in files]
    for (name, file), mode in zip(files, found.modes, strict=True):
        with PIL.Image.open(io.BytesIO(file)) as image:
            assert mode == image.mode, name
    assert set(found.color_profiles) == {"none"}


def test_profiles_are_named_and_what_nobody_says_is_unknown() -> None:
    files = [
        encode(SCENE, "JPEG", icc_profile=display_p3()),
        encode(SCENE, "PNG", icc_profile=adobe_rgb()),
        encode(SCENE, "WEBP", icc_profile=display_p3()),
        encode(SCENE, "TIFF", icc_profile=b"damaged" * 30),
        heic(SCENE, profile=display_p3()),
        jxl(SCENE),
    ]
    policy = Preprocessing(image_size=SIZE)
    found = measure_images(files, Preprocessor(policy)(files).pixels, policy)
    assert found.color_profiles == [
        "Display P3", "Adobe RGB (1998)", "Display P3", "unreadable", "Display P3", "none",
    ]  # fmt: skip
    assert found.formats[-2:] == ["HEIF", "JXL"]
    assert found.modes == ["RGB"] * 5 + ["unknown"]


def test_it_takes_less_than_a_fraction_of_decoding() -> None:
    file = encode(photo(375, 500), "JPEG", quality=90)
    policy = Preprocessing(image_size=(224, 224))
    preprocessor = Preprocessor(policy)
    files = [file] * 32
    pixels = preprocessor(files).pixels
    spent = []
    for work in (lambda: preprocessor(files), lambda: measure_images(files, pixels, policy)):
        work()
        started = time.process_time()
        for _ in range(3):
            work()
        spent.append(time.process_time() - started)
    assert spent[1] < spent[0], spent
