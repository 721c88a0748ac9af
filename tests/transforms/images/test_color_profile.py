"""--color_profile srgb: photos of other colours look as they are; nothing else changes."""

import io
import pathlib
import struct
import zlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest
from PIL import ImageCms

from tests.support.images import STORE, Pixels, encode, exif, photo, save
from tests.support.phone_photos import heic
from tests.support.profiles import (
    adobe_in_srgb,
    adobe_rgb,
    display_p3,
    gray,
    gray_in_srgb,
    p3_in_srgb,
    srgb,
)
from transforms.images.color_profile import UNREADABLE, embedded_profile, read_profile
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessor

SIZE = (48, 64)
SCENE = photo(*SIZE)
IGNORE, SRGB, FAST = (
    Preprocessor(Preprocessing(image_size=SIZE, dtype="uint8", color_profile=name, decode=decode))
    for name, decode in (("ignore", "exact"), ("srgb", "exact"), ("srgb", "fast"))
)
PROFILES: dict[str, tuple[bytes, Callable[[Pixels], npt.NDArray[np.float64]]]] = {
    "Display P3": (display_p3(), p3_in_srgb),
    "Adobe RGB (1998)": (adobe_rgb(), adobe_in_srgb),
}
ENCODERS: dict[str, Callable[[Pixels, bytes], bytes]] = {
    "JPEG": lambda pixels, profile: encode(
        pixels, "JPEG", quality=100, subsampling=0, icc_profile=profile
    ),
    "PNG": lambda pixels, profile: encode(pixels, "PNG", icc_profile=profile),
    "PNG with alpha": lambda pixels, profile: encode(
        np.dstack([pixels, pixels[..., :1]]), "PNG", icc_profile=profile
    ),
    "PNG of a palette": lambda pixels, profile: save(
        PIL.Image.fromarray(pixels).quantize(256), "PNG", icc_profile=profile
    ),
    "WEBP": lambda pixels, profile: encode(pixels, "WEBP", lossless=True, icc_profile=profile),
    "TIFF": lambda pixels, profile: encode(pixels, "TIFF", icc_profile=profile),
    "AVIF": lambda pixels, profile: encode(
        pixels, "AVIF", quality=100, subsampling="4:4:4", icc_profile=profile
    ),
    "HEIC": lambda pixels, profile: heic(pixels, profile=profile),
}


def decoded(file: bytes, preprocessor: Preprocessor) -> Pixels:
    result = preprocessor([file])
    for error in result.errors.values():
        raise error
    return np.asarray(result.pixels[0])


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("format", ENCODERS)
def test_photos_become_what_they_look_like(format: str, name: str) -> None:
    profile, in_srgb = PROFILES[name]
    file = ENCODERS[format](SCENE, profile)
    as_stored = decoded(file, IGNORE)
    wanted = in_srgb(as_stored)
    assert np.abs(wanted - as_stored).max() > 20
    assert np.abs(decoded(file, SRGB) - wanted).max() <= 3


@pytest.mark.parametrize("format", ENCODERS)
@pytest.mark.parametrize("profile", [b"", srgb(), gray(), b"no profile" * 20, display_p3()[:300]])
def test_without_a_profile_that_matters_nothing_changes(format: str, profile: bytes) -> None:
    file = ENCODERS[format](SCENE, profile)
    np.testing.assert_array_equal(decoded(file, SRGB), decoded(file, IGNORE))


@pytest.mark.parametrize("format", [*ENCODERS, "gray JPEG", "gray PNG", "gray TIFF", "gray WEBP"])
def test_gray_photos_become_what_they_look_like(format: str) -> None:
    levels = SCENE[..., 0]
    if format in ENCODERS:
        file = ENCODERS[format](np.repeat(levels[..., np.newaxis], 3, axis=-1), gray())
    else:
        file = encode(levels, format.removeprefix("gray "), icc_profile=gray())
    as_stored = decoded(file, IGNORE)
    wanted = gray_in_srgb(as_stored)
    assert np.abs(wanted - as_stored).max() > 5
    assert np.abs(decoded(file, SRGB) - wanted).max() <= 2


@pytest.mark.parametrize("orientation", [3, 6])
def test_photos_are_turned_too(orientation: int) -> None:
    stored = np.ascontiguousarray(STORE[orientation](SCENE))
    options = {"quality": 100, "subsampling": 0, "icc_profile": display_p3()}
    turned = decoded(encode(stored, "JPEG", exif=exif(orientation), **options), SRGB)
    assert np.abs(turned - p3_in_srgb(SCENE)).mean() < 4


def test_large_photos_are_decoded_fast() -> None:
    options = {"quality": 95, "subsampling": 0}
    large = photo(8 * SIZE[0], 8 * SIZE[1])
    plain = decoded(encode(large, "JPEG", **options), FAST)
    file = encode(large, "JPEG", icc_profile=display_p3(), **options)
    assert np.abs(decoded(file, FAST) - p3_in_srgb(plain)).mean() < 2


def test_a_batch_of_both_is_in_order() -> None:
    files = [
        ENCODERS["JPEG"](SCENE, display_p3()),
        ENCODERS["PNG"](SCENE, b""),
        ENCODERS["JPEG"](SCENE, b"")[:-100],
        ENCODERS["PNG"](SCENE, adobe_rgb()),
        ENCODERS["JPEG"](SCENE, b""),
    ]
    result = SRGB(files)
    assert list(result.errors) == [2]
    alone = [decoded(files[place], SRGB) for place in (0, 1, 3, 4)]
    np.testing.assert_array_equal(result.pixels, alone)


def test_a_damaged_photo_with_a_profile_is_a_failure() -> None:
    file = ENCODERS["JPEG"](SCENE, display_p3())
    assert SRGB([file[: len(file) * 3 // 4]]).errors[0].error_type == "CorruptImage"


def test_inks_with_a_profile_of_other_colours_stay_as_they_are() -> None:
    inks = PIL.Image.fromarray(SCENE).convert("CMYK")
    for profile in (display_p3(), b"\0" * 16 + b"CMYK" + b"\0" * 200):
        file = save(inks, "JPEG", icc_profile=profile)
        np.testing.assert_array_equal(decoded(file, SRGB), decoded(file, IGNORE))


def test_a_profile_of_many_segments_is_put_together_in_order() -> None:
    long = display_p3() + bytes(200_000)
    file = encode(SCENE, "JPEG", icc_profile=long)
    assert embedded_profile(file, "JPEG") == long
    assert embedded_profile(encode(SCENE, "PNG", icc_profile=long), "PNG") == long


def test_a_profile_that_unpacks_to_gigabytes_is_cut() -> None:
    packed = b"bomb\0\0" + zlib.compress(bytes(50_000_000))
    chunk = b"iCCP" + packed
    part = struct.pack(">I", len(packed)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    png = encode(SCENE)
    file = png[:33] + part + png[33:]
    assert len(embedded_profile(file, "PNG") or b"") == 4_000_000
    np.testing.assert_array_equal(decoded(file, SRGB), SCENE)


REAL = {
    "photos/raccoon/images/raccoon-71.jpg": "Adobe RGB (1998)",
    "photos/raccoon/images/raccoon-11.jpg": "Display",
    "decoder_cases/icc-nonsrgb/pillow__frame_size.mpo": "Display P3",
    "decoder_cases/jpeg-cmyk/"
    "twelvemonkeys__warning-embedded-color-profile-invalid-ignored-cmyk.jpg": "SWOP (Coated), 20%",
}


@pytest.mark.parametrize("name", REAL)
def test_real_photos_look_as_littlecms_has_them(name: str, shared_data: pathlib.Path) -> None:
    file = (shared_data / name).read_bytes()
    assert read_profile(embedded_profile(file, "JPEG") or b"").name == REAL[name]
    with PIL.Image.open(io.BytesIO(file)) as image:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        wanted = ImageCms.profileToProfile(
            image,
            profile,
            ImageCms.createProfile("sRGB"),
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            "RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        size, as_stored = (image.height, image.width), np.asarray(image.convert("RGB")).astype(int)
    assert wanted is not None
    policy = Preprocessing(image_size=size, dtype="uint8", color_profile="srgb")
    found = decoded(file, Preprocessor(policy)).astype(int)
    off = np.abs(found - np.asarray(wanted)).mean()
    assert off < 1.5  # By the decoder: TensorFlow's cosine transform is the quick one.
    if REAL[name] in ("Adobe RGB (1998)", "SWOP (Coated), 20%"):  # Far from sRGB.
        assert off < np.abs(as_stored - np.asarray(wanted)).mean() / 1.5


def test_profiles_have_names() -> None:
    for name, (profile, _) in PROFILES.items():
        assert read_profile(profile)[:2] == (name, True)
    built_in = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read_profile(built_in)[:2] == ("sRGB built-in", False)
    assert read_profile(b"ICC").name == UNREADABLE


def test_profiles_that_are_damaged_anywhere_cost_themselves() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        profile = bytearray(adobe_rgb())
        for place in random.integers(0, len(profile), 3):
            profile[place] = random.integers(0, 256)
        result = SRGB([ENCODERS["JPEG"](SCENE, bytes(profile))])
        assert len(result.pixels) == 1
