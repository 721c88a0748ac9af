"""Formats that phones, cameras, games and scientists write: the pixels, or the reason."""

import base64
import pathlib
import struct
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.images import STORE, encode, exif, photo
from tests.support.phone_photos import heic, jxl, jxl_of_jpeg
from transforms.errors import (
    CorruptImageError,
    ImageError,
    ImageTooLargeError,
    UnsupportedFormatError,
)
from transforms.images.header import read_header
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessor

HEIGHT, WIDTH = 48, 64
SCENE = photo(HEIGHT, WIDTH)
GRAY = SCENE[..., 0]
ALPHA = SCENE[..., 1:2]
AS_IT_IS = Preprocessor(Preprocessing(image_size=(HEIGHT, WIDTH), dtype="uint8"))
TURNED = Preprocessor(Preprocessing(image_size=(WIDTH, HEIGHT), dtype="uint8"))


def decoded(file: bytes, preprocessor: Preprocessor = AS_IT_IS) -> npt.NDArray[np.uint8]:
    """Returns the pixels, or raises the image's error."""
    result = preprocessor([file])
    for error in result.errors.values():
        raise error
    return np.asarray(result.pixels[0])


def rgb(gray: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.repeat(gray[..., np.newaxis], 3, axis=-1)


def plain(kind: int, samples: npt.NDArray[Any], most: int | None) -> bytes:
    """Writes a PBM, PGM or PPM as text, with comments."""
    size = f"P{kind}\n# a comment\n{WIDTH} # another\n{HEIGHT}\n"
    head = size + ("" if most is None else f"{most}\n")
    rows = ("\n# of a row\n").join(" ".join(map(str, row.ravel())) for row in samples)
    return (head + rows + "\n").encode()


BITMAP = GRAY > 128
NETPBM = {
    "P1": (plain(1, (~BITMAP).astype(int), None), rgb(BITMAP * 255)),
    "P2": (plain(2, GRAY, 255), rgb(GRAY)),
    "P2 of 10 bits": (plain(2, GRAY.astype(int) * 1023 // 255, 1023), rgb(GRAY)),
    "P3": (plain(3, SCENE, 255), SCENE),
    "P4": (
        b"P4\n64 48\n" + np.packbits(~BITMAP, axis=1).tobytes(),
        rgb(BITMAP * 255),
    ),
    "P5": (encode(GRAY, "PPM"), rgb(GRAY)),
    "P5 of 12 bits": (
        b"P5 64 48 4095\n" + (GRAY.astype(int) * 4095 // 255).astype(">u2").tobytes(),
        rgb(GRAY),
    ),
    "P5 of 16 bits": (
        b"P5 64 48 65535\n" + (GRAY.astype(">u2") * 257).tobytes(),
        rgb(GRAY),
    ),
    "P6": (encode(SCENE, "PPM"), SCENE),
    "P6 of 7 bits": (
        b"P6 64 48 127\n" + (SCENE // 2).tobytes(),
        (SCENE // 2).astype(float) * 255 / 127,
    ),
    "P6 of 16 bits": (
        b"P6 64 48 65535\n" + (SCENE.astype(">u2") * 257).tobytes(),
        SCENE,
    ),
}


@pytest.mark.parametrize("kind", NETPBM)
def test_netpbm_in_every_kind(kind: str) -> None:
    file, expected = NETPBM[kind]
    assert read_header(file).format == "PPM"
    difference = np.abs(decoded(file).astype(float) - expected)
    assert difference.max() <= (1 if " bits" in kind else 0)


TGA = {
    "colours": (encode(SCENE, "TGA"), SCENE),
    "packed": (encode(SCENE, "TGA", compression="tga_rle"), SCENE),
    "bottom up": (encode(SCENE, "TGA", orientation=-1), SCENE),
    "alpha": (encode(np.dstack([SCENE, ALPHA]), "TGA"), SCENE),
    "gray": (encode(GRAY, "TGA"), rgb(GRAY)),
    "gray and alpha": (encode(np.dstack([GRAY, ALPHA]), "TGA"), rgb(GRAY)),
}


@pytest.mark.parametrize("footer", ["with", "without"])
@pytest.mark.parametrize("kind", TGA)
def test_targa_in_every_kind(kind: str, footer: str) -> None:
    file, expected = TGA[kind]
    assert file.endswith(b"TRUEVISION-XFILE.\0")
    file = file if footer == "with" else file[:-26]
    assert read_header(file).format == "TGA"
    np.testing.assert_array_equal(decoded(file), expected)


@pytest.mark.parametrize("kind", ["colours", "alpha"])
def test_qoi(kind: str) -> None:
    file = encode(SCENE if kind == "colours" else np.dstack([SCENE, ALPHA]), "QOI")
    assert read_header(file).format == "QOI"
    np.testing.assert_array_equal(decoded(file), SCENE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_turned_once(orientation: int) -> None:
    file = heic(STORE[orientation](SCENE), orientation)
    header = read_header(file)
    assert (header.format, header.height, header.width) == ("HEIF", HEIGHT, WIDTH)
    assert header.orientation == 1
    np.testing.assert_array_equal(decoded(file), SCENE)


def test_heic_of_tiles_and_with_alpha() -> None:
    scene = photo(200, 300)
    whole = Preprocessor(Preprocessing(image_size=(200, 300), dtype="uint8"))
    tiled = heic(scene, tile_pixels=128)
    assert b"grid" in tiled
    np.testing.assert_array_equal(decoded(tiled, whole), scene)
    np.testing.assert_array_equal(decoded(heic(np.dstack([SCENE, ALPHA]))), SCENE)


def test_heic_without_the_extra_is_a_failure_that_names_it() -> None:
    program = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from transforms.images.header import read_header\n"
        "try: read_header(sys.stdin.buffer.read())\n"
        "except Exception as error: print(error.error_type, error)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], input=heic(SCENE), capture_output=True, check=True
    )
    said = "MissingExtra a HEIC photo; to decode it: pip install '.[heif]'"
    assert ended.stdout.decode().strip() == said


def test_heif_is_not_registered_with_pillow() -> None:
    program = (
        "import sys, io, PIL.Image\n"
        "from transforms.images.header import read_header\n"
        "print(read_header(sys.stdin.buffer.read()).format)\n"
        "PIL.Image.init(); print('HEIF' in PIL.Image.OPEN)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], input=heic(SCENE), capture_output=True, check=True
    )
    assert ended.stdout.decode().split() == ["HEIF", "False"]


JXL = {
    "colours": (jxl(SCENE), SCENE, 0),
    "lossy": (jxl(SCENE, lossless=False, quality=95), SCENE, 80),
    "in a container": (jxl(SCENE, use_container=True), SCENE, 0),
    "gray": (jxl(GRAY), rgb(GRAY), 0),
    "alpha": (jxl(np.dstack([SCENE, ALPHA])), SCENE, 0),
    "gray and alpha": (jxl(np.dstack([GRAY, ALPHA])), rgb(GRAY), 0),
    "16 bits": (jxl(GRAY.astype(np.uint16) * 257), rgb(GRAY), 0),
    "floating point": (jxl((GRAY / 255).astype(np.float32)), rgb(GRAY), 1),
}


@pytest.mark.parametrize("kind", JXL)
def test_jpeg_xl_in_every_kind(kind: str) -> None:
    file, expected, tolerance = JXL[kind]
    assert read_header(file).format == "JXL"
    assert np.abs(decoded(file).astype(int) - expected).max() <= tolerance


ANIMATED_JXL = {
    "bare": "/wrBBU0AICYIBAEAaABLGIsVANSNjDGoFwgBwJuSDIB+lGB+mh6MEggEBQA8AEsYixWAXer/AE7zwlsTPQ==",
    "in a container of two pieces": (
        "AAAADEpYTCANCocKAAAAFGZ0eXBqeGwgAAAAAGp4bCAAAAA0anhscAAAAAD/CsEFTQAgJggEAQBoAEsYixUA1I2M"
        "MagXCAHAm5IMgH6UYH6aHowSAAAAIWp4bHCAAAABCAQFADwASxiLFYBd6v8ATvPCWxM9"
    ),
}
"""By libjxl 0.11.2, which Pillow gives single images only: 8 x 16 pixels, red beside blue, then
green.
"""


@pytest.mark.parametrize("kind", ANIMATED_JXL)
def test_jpeg_xl_that_is_animated_gives_its_first_frame(kind: str) -> None:
    file = base64.b64decode(ANIMATED_JXL[kind])
    pixels = decoded(file, Preprocessor(Preprocessing(image_size=(8, 16), dtype="uint8")))
    assert (pixels[:, :8] == (250, 0, 0)).all()
    assert (pixels[:, 8:] == (0, 0, 250)).all()


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_jpeg_xl_of_a_photo_is_turned_once(orientation: int, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encode(STORE[orientation](SCENE), "JPEG", quality=95, exif=exif(orientation)))
    packed = jxl_of_jpeg(str(path))
    header = read_header(packed)
    assert (header.height, header.width, header.orientation) == (HEIGHT, WIDTH, 1)
    difference = decoded(packed).astype(int) - decoded(path.read_bytes())
    assert np.abs(difference).mean() < 3


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (256, 256), (48, 64), (300, 200), (1081, 1921)])
def test_the_header_of_jpeg_xl_says_the_size(size: tuple[int, int]) -> None:
    header = read_header(jxl(np.zeros((*size, 3), np.uint8)))
    assert (header.height, header.width) == size


def test_jpeg_with_a_gain_map_is_the_picture_of_standard_range() -> None:
    # As Android's Ultra HDR has it: the picture, then the map as a second JPEG behind its end.
    picture, gain_map = encode(SCENE, "JPEG", quality=95), encode(GRAY[::4, ::4], "JPEG")
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x hdrgm:Version='1.0' Item:Length='%d'/>" % len(gain_map)
    segment = b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp
    file = picture[:2] + segment + picture[2:] + gain_map
    np.testing.assert_array_equal(decoded(file), decoded(picture))


def test_a_photo_with_a_gain_map_that_is_cut_is_a_failure(shared_data: pathlib.Path) -> None:
    cut = shared_data / "decoder_cases/jpeg-truncated-recoverable/pillow__ultrahdr.jpg"
    file = cut.read_bytes()
    assert b"hdrgm" in file
    with pytest.raises(CorruptImageError):
        decoded(file)


WHOLE = {
    "netpbm": NETPBM["P6"][0],
    "netpbm of 16 bits": NETPBM["P6 of 16 bits"][0],
    "netpbm as text": NETPBM["P3"][0],
    "targa": TGA["colours"][0],
    "targa, packed": TGA["packed"][0],
    "qoi": encode(SCENE, "QOI"),
    "heic": heic(SCENE),
    "jpeg xl": jxl(SCENE),
    "jpeg xl in a container": jxl(SCENE, use_container=True),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_cut_is_a_failure(name: str) -> None:
    file = WHOLE[name]
    for share in (0.2, 0.5, 0.9):
        with pytest.raises(ImageError):
            decoded(file[: int(share * len(file))])


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_damaged_costs_itself(name: str) -> None:
    random = np.random.default_rng(0)
    for _ in range(30):
        file = bytearray(WHOLE[name])
        for place in random.integers(0, len(file), 4):
            file[place] = random.integers(0, 256)
        result = AS_IT_IS([bytes(file), WHOLE[name]])
        assert len(result.pixels) >= 1


def jxl_claiming(height: int, width: int, extra_layers: int = 0) -> bytes:
    """Writes the first bits of a codestream: sizes of 30 bits, then ImageMetadata."""
    bits, place = 0, 0
    fields = [(0, 1), (3, 2), (height - 1, 30), (0, 3), (3, 2), (width - 1, 30)]
    if extra_layers:
        fields += [(0, 1), (0, 1), (0, 1), (0, 2), (1, 1), (3, 2), (extra_layers - 1, 12)]
    else:
        fields += [(1, 1)]
    for value, count in fields:
        bits |= value << place
        place += count
    return b"\xff\x0a" + bits.to_bytes(40, "little")


def claiming_ispe(height: int, width: int) -> bytes:
    file = heic(SCENE)
    at = file.index(b"ispe") + 8
    return file[:at] + struct.pack(">II", width, height) + file[at + 8 :]


BOMBS: dict[str, tuple[bytes, type[ImageError]]] = {
    "pnm": (b"P6 100000 100000 255\n" + bytes(1000), CorruptImageError),
    "pbm": (b"P4 100000 100000\n" + bytes(1000), CorruptImageError),
    "pnm as text": (b"P3 100000 100000 255\n" + b"0 " * 1000, ImageTooLargeError),
    "pnm of 16 bits": (b"P6 3000 2000 65535\n" + bytes(36_000_000), ImageTooLargeError),
    "pnm whose white is 1": (b"P5 4000 4000 1\n" + bytes(16_000_000), ImageTooLargeError),
    "tga": (struct.pack("<BBB9xHHBB", 0, 0, 2, 60_000, 60_000, 24, 32), UnsupportedFormatError),
    "tga by its footer": (
        struct.pack("<BBB9xHHBB", 0, 0, 10, 60_000, 60_000, 24, 32) + b"TRUEVISION-XFILE.\0",
        CorruptImageError,
    ),
    "qoi": (b"qoif" + struct.pack(">IIBB", 50_000, 50_000, 3, 0) + bytes(99), ImageTooLargeError),
    "heic": (claiming_ispe(60_000, 60_000), ImageTooLargeError),
    "jpeg xl": (jxl_claiming(60_000, 60_000), ImageTooLargeError),
    "jpeg xl of many layers": (jxl_claiming(1_000, 1_000, 4_000), ImageTooLargeError),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_claims_too_much_is_refused_by_its_header(name: str) -> None:
    file, kind = BOMBS[name]
    with pytest.raises(kind):
        read_header(file)


def test_comments_of_a_pnm_cost_no_more_than_their_bytes() -> None:
    file = b"P2\n64 48\n255\n" + b"#\n" * 5_000_000 + b" ".join(b"%d" % v for v in GRAY.ravel())
    np.testing.assert_array_equal(decoded(file), rgb(GRAY))


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"PF\n2 2\n-1.0\n" + bytes(48), "a PFM image of floating-point samples"),
        (b"Pf\n2 2\n-1.0\n" + bytes(16), "a PFM image of floating-point samples"),
        (b"P7\nWIDTH 2\n", "a PAM image"),
        (b"\0\0\2\0\1\0" + bytes(100), "begins with bytes"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isom", "an MP4 or QuickTime film"),
    ],
)
def test_what_is_no_picture_is_named(file: bytes, words: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=words):
        read_header(file)
