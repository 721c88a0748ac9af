"""Damage inside a deflated or PackBits TIFF fails; whole files of any layout do not."""

import contextlib
import io
import time
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image
import pytest

from tests.support.images import encode, photo
from tests.support.tiffs import DEFLATE, Tags, directory, tiff
from transforms.errors import CorruptImageError
from transforms.images.header import read_header
from transforms.images.pillow_decoder import decode_with_pillow

Array = npt.NDArray[Any]

HEIGHT, WIDTH, STRIP, TILE = 80, 112, 16, 48
RGB = photo(HEIGHT, WIDTH)


def tags() -> Tags:
    return {
        256: ("I", [WIDTH]),
        257: ("I", [HEIGHT]),
        258: ("H", [8, 8, 8]),
        259: ("H", [DEFLATE]),
        262: ("H", [2]),
        277: ("H", [3]),
    }


def strips() -> list[bytes]:
    return [
        zlib.compress(RGB[row : row + STRIP].tobytes(), level=row % 9)
        for row in range(0, HEIGHT, STRIP)
    ]


def in_strips(parts: list[bytes]) -> bytes:
    return directory(tags() | {278: ("I", [STRIP])}, parts)


def in_tiles() -> bytes:
    padded = np.pad(RGB, ((0, -HEIGHT % TILE), (0, -WIDTH % TILE), (0, 0)))
    parts = [
        zlib.compress(padded[y : y + TILE, x : x + TILE].tobytes())
        for y in range(0, HEIGHT, TILE)
        for x in range(0, WIDTH, TILE)
    ]
    file = directory(tags() | {322: ("I", [TILE]), 323: ("I", [TILE])}, parts)
    return with_tags_renamed(file, {273: 324, 279: 325})


def with_tags_renamed(file: bytes, names: dict[int, int]) -> bytes:
    start = int.from_bytes(file[4:8], "little")
    count = int.from_bytes(file[start : start + 2], "little")
    entries = [file[start + 2 + 12 * n : start + 14 + 12 * n] for n in range(count)]
    renamed = []
    for entry in entries:
        tag = int.from_bytes(entry[:2], "little")
        renamed.append(names.get(tag, tag).to_bytes(2, "little") + entry[2:])
    renamed.sort(key=lambda entry: int.from_bytes(entry[:2], "little"))
    return file[: start + 2] + b"".join(renamed) + bytes(4)


LAST = zlib.compress(RGB[-8:].tobytes() + bytes(8 * WIDTH * 3))
WHOLE = {
    "Pillow's": encode(RGB, "TIFF", compression="tiff_adobe_deflate"),
    "Pillow's, predicted": encode(RGB, "TIFF", compression="tiff_adobe_deflate", tiffinfo={317: 2}),
    "Pillow's, old number": encode(RGB, "TIFF", compression="tiff_deflate"),
    "big": encode(RGB, "TIFF", compression="tiff_adobe_deflate", big_tiff=True),
    "strips": in_strips(strips()),
    "tiles": in_tiles(),
    "planes": tiff(RGB, 8, 2, planes=True, compression=DEFLATE),
    "big endian": tiff(RGB, 8, 2, order=">", compression=DEFLATE),
    "strips of odd bytes behind": in_strips([part + b"\0\1\2" for part in strips()]),
    "backwards": directory(
        tags() | {266: ("H", [2]), 278: ("I", [STRIP])},
        [
            part.translate(bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256)))
            for part in strips()
        ],
    ),
    "last strip filled up": directory(
        tags() | {278: ("I", [24])},
        [*(zlib.compress(RGB[row : row + 24].tobytes()) for row in (0, 24, 48)), LAST],
    ),
}


def packed(rows: Array) -> bytes:
    """Packs each row as runs of 1 to 128 bytes as they are."""
    return b"".join(
        bytes([len(row[place : place + 128]) - 1]) + row[place : place + 128].tobytes()
        for row in rows.reshape(len(rows), -1)
        for place in range(0, row.size, 128)
    )


def in_packed_strips(parts: list[bytes], rows: int = STRIP) -> bytes:
    return directory(tags() | {259: ("H", [32773]), 278: ("I", [rows])}, parts)


PARTS = [packed(RGB[row : row + STRIP]) for row in range(0, HEIGHT, STRIP)]
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
WHOLE_RUNS = {
    "Pillow's": encode(RGB, "TIFF", compression="packbits"),
    "big": encode(RGB, "TIFF", compression="packbits", big_tiff=True),
    "strips": in_packed_strips(PARTS),
    "zeros behind": in_packed_strips([part + bytes(40) for part in PARTS]),
    "words filled up": in_packed_strips([part + b"\7\7\7" for part in PARTS]),
    "nothing in between": in_packed_strips([b"\x80" + part for part in PARTS]),
    "last strip filled up": in_packed_strips(
        [packed(np.pad(RGB, ((0, 16), (0, 0), (0, 0)))[row : row + 24]) for row in (0, 24, 48, 72)],
        24,
    ),
    "last strip short": in_packed_strips(
        [packed(RGB[row : row + 24]) for row in (0, 24, 48, 72)], 24
    ),
    "backwards": directory(
        tags() | {259: ("H", [32773]), 266: ("H", [2]), 278: ("I", [STRIP])},
        [part.translate(REVERSED) for part in PARTS],
    ),
}


@pytest.mark.parametrize("name", WHOLE_RUNS)
def test_whole_runs_of_any_layout_are_a_row(name: str) -> None:
    np.testing.assert_array_equal(decode(WHOLE_RUNS[name]), RGB)


def test_runs_out_of_step_are_seen() -> None:
    for name in ("Pillow's", "big", "strips"):
        file, rng = WHOLE_RUNS[name], np.random.default_rng(2)
        for start in rng.integers(len(file) // 4, len(file) // 2, 20):
            damaged = file[:start] + bytes(900) + file[start + 900 :]
            with pytest.raises(CorruptImageError):
                decode(damaged)


def decode(file: bytes) -> Array:
    return decode_with_pillow(file, read_header(file))


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_of_any_layout_is_a_row(name: str) -> None:
    np.testing.assert_array_equal(decode(WHOLE[name]), RGB)


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "backwards"])
def test_a_byte_in_its_data_is_seen(name: str) -> None:
    file, rng = WHOLE[name], np.random.default_rng(1)
    # The directory is at one end, and the data are most of the rest.
    for place in rng.integers(len(file) // 3, 2 * len(file) // 3, 40):
        changed = bytearray(file)
        changed[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(CorruptImageError, match=r"(strip|tile) \d of \d+"):
            decode(bytes(changed))


def test_libtiff_alone_shows_other_pixels() -> None:
    file, shown = WHOLE["Pillow's"], 0
    for place in range(len(file) // 3, 2 * len(file) // 3, 31):
        changed = file[:place] + bytes([file[place] ^ 0x55]) + file[place + 1 :]
        with contextlib.suppress(OSError), PIL.Image.open(io.BytesIO(changed)) as image:
            shown += not np.array_equal(np.asarray(image), RGB)
        with pytest.raises(CorruptImageError, match="strip 0 of 1: "):
            decode(changed)
    assert shown > 0


def test_strips_that_decode_to_gigabytes_cost_nothing() -> None:
    bomb = zlib.compress(bytes(200_000_000), 9)
    started = time.process_time()
    with pytest.raises(CorruptImageError, match="strip 0 of 5: it decodes to more than its 5376"):
        decode(in_strips([bomb] * 5))
    assert time.process_time() - started < 1


def jpeg_tiles() -> bytes:
    """Writes tiles that are JPEG files, each with tables of its own."""
    padded = np.pad(RGB, ((0, -HEIGHT % TILE), (0, -WIDTH % TILE), (0, 0)))
    parts = [
        encode(padded[y : y + TILE, x : x + TILE], "JPEG", subsampling=0)
        for y in range(0, HEIGHT, TILE)
        for x in range(0, WIDTH, TILE)
    ]
    own = {259: ("H", [7]), 262: ("H", [6]), 322: ("I", [TILE]), 323: ("I", [TILE])}
    return with_tags_renamed(directory(tags() | own, parts), {273: 324, 279: 325})


def jpeg_strips(mode: str) -> bytes:
    image = PIL.Image.fromarray(RGB).convert(mode)
    stream = io.BytesIO()
    image.save(stream, "TIFF", compression="jpeg", tiffinfo={278: STRIP})
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["RGB", "L", "CMYK", "tiles"])
def test_damage_in_the_jpeg_strips_of_a_tiff_is_told(kind: str) -> None:
    file = jpeg_tiles() if kind == "tiles" else jpeg_strips(kind)
    decode_with_pillow(file, read_header(file))
    with PIL.Image.open(io.BytesIO(file)) as image:
        tile_tags = (324, 325) if kind == "tiles" else (273, 279)
        places = list(zip(*(image.tag_v2[tag] for tag in tile_tags), strict=True))  # type: ignore[attr-defined]
    assert len(places) >= 5
    told = 0
    for offset, size in places:
        # The codes of the last third, but for the end marker.
        start, end = offset + size * 2 // 3, offset + size - 2
        damaged = file[:start] + bytes(end - start) + file[end:]
        with contextlib.suppress(CorruptImageError):
            decode_with_pillow(damaged, read_header(damaged))
            continue
        told += 1
    assert told == len(places)
