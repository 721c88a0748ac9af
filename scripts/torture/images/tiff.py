"""TIFF files that are made to cost."""

import struct
import zlib
from collections.abc import Sequence

from scripts.torture.images.files import Maker, flat, many, scene, side, square, squeezed

_BYTE, _SHORT, _LONG, _UNDEFINED = 1, 3, 4, 7
_SIZES = {_BYTE: 1, _SHORT: 2, _LONG: 4, _UNDEFINED: 1}

Tag = tuple[int, int, Sequence[int]]


def tiff(
    data: bytes, *tags: Tag, raw: Sequence[tuple[int, int, int, int]] = (), tail: bytes = b""
) -> bytes:
    """Makes a TIFF.

    Args:
        data: What comes behind the first 8 bytes.
        tags: Number, kind and values of each tag.
        raw: Number, kind, count and offset of more tags, true or not.
        tail: What comes behind the directory, whose link to the next one names itself.
    """
    start = 8 + len(data)
    entries, values = [], b""
    base = start + 2 + 12 * (len(tags) + len(raw)) + 4
    for tag, kind, numbers in tags:
        packed = struct.pack(f"<{len(numbers)}{'BHL'[_SIZES[kind] // 2]}", *numbers)
        if len(packed) > 4:
            entries.append((tag, kind, len(numbers), struct.pack("<L", base + len(values))))
            values += packed + bytes(len(packed) % 2)
        else:
            entries.append((tag, kind, len(numbers), packed.ljust(4, b"\0")))
    entries += [(tag, kind, count, struct.pack("<L", place)) for tag, kind, count, place in raw]
    directory = b"".join(struct.pack("<HHL4s", *entry) for entry in sorted(entries))
    head = b"II*\0" + struct.pack("<L", start) + data
    link = struct.pack("<L", start)
    return head + struct.pack("<H", len(entries)) + directory + link + values + tail


def gray(
    width: int, height: int, data: bytes, offsets: Sequence[int], counts: Sequence[int],
    *more: Tag, rows: int = 0, compression: int = 1, bits: int = 8, **options: object,
) -> bytes:  # fmt: skip
    """Makes a gray TIFF in strips."""
    own: list[Tag] = [
        (256, _LONG, [width]), (257, _LONG, [height]), (258, _SHORT, [bits]),
        (259, _SHORT, [compression]), (262, _SHORT, [1]), (273, _LONG, offsets),
        (277, _SHORT, [1]), (278, _LONG, [rows or height]), (279, _LONG, counts),
    ]  # fmt: skip
    return tiff(data, *own, *more, **options)  # type: ignore[arg-type]


def tiles(width: int, height: int, tile: tuple[int, int], compression: int, data: bytes) -> bytes:
    """Makes a gray TIFF of tiles that are all the same bytes."""
    count = -(-width // tile[0]) * -(-height // tile[1])
    own: list[Tag] = [
        (256, _LONG, [width]), (257, _LONG, [height]), (258, _SHORT, [8]),
        (259, _SHORT, [compression]), (262, _SHORT, [1]), (277, _SHORT, [1]),
        (322, _LONG, [tile[0]]), (323, _LONG, [tile[1]]),
        (324, _LONG, [8] * count), (325, _LONG, [len(data)] * count),
    ]  # fmt: skip
    return tiff(data, *own)


def strips(count: int, compression: int, data: bytes, width: int = 64) -> bytes:
    """Makes a gray TIFF of strips of one row that are all the same bytes."""
    return gray(
        width, count, data, [8] * count, [len(data)] * count, rows=1, compression=compression
    )


def directories(count: int, tags: int, size: int) -> bytes:
    """Makes a small TIFF with many further directories, whose tags claim the same bytes."""
    plain = gray(4, 4, bytes(16), [8], [16])
    start = len(plain) + size
    body = b"".join(struct.pack("<HHLL", 40_000 + n, _UNDEFINED, size, 8) for n in range(tags))
    length = 6 + len(body)
    links = [start + length * (n + 1) for n in range(count - 1)] + [0]
    chain = b"".join(struct.pack("<H", tags) + body + struct.pack("<L", link) for link in links)
    linked = plain[:-4] + struct.pack("<L", start) if count else plain
    return linked + bytes(size) + chain


def below(tag: int, tags: int, size: int) -> bytes:
    """Makes a small TIFF with EXIF or the like, whose tags claim the same bytes."""
    body = b"".join(struct.pack("<HHLL", 1000 + n, _UNDEFINED, size, 8) for n in range(tags))
    own = struct.pack("<H", tags) + body + bytes(4)
    return gray(4, 4, bytes(16) + own + bytes(size), [8], [16], (tag, _LONG, [24]))


FILES: dict[str, Maker] = {
    "self-naming tags": lambda scale: gray(
        4, 4, bytes(16), [8], [16],
        raw=[(40_000 + n, _UNDEFINED, many(2_000_000, scale), 8) for n in range(3000)],
        tail=bytes(many(2_000_000, scale)),
    ),
    "self-naming EXIF": lambda scale: below(34665, 3000, many(2_000_000, scale)),
    "self-naming positions": lambda scale: below(34853, 3000, many(2_000_000, scale)),
    "directories without end": lambda scale: directories(many(60_000, scale), 1, 16),
    "self-naming directories": lambda scale: directories(
        many(500, scale), 100, many(2_000_000, scale)
    ),
    "huge XMP": lambda scale: gray(
        4, 4, bytes(16) + bytes(many(100_000_000, scale)), [8], [16],
        raw=[(700, _BYTE, many(100_000_000, scale), 24)],
    ),
    "huge Photoshop's resources": lambda scale: gray(
        4, 4, bytes(16) + b"8BIM\4\4\0\0\0\0\0\0" * many(8_000_000, scale), [8], [16],
        raw=[(34377, _UNDEFINED, 12 * many(8_000_000, scale), 24)],
    ),
    "huge profile": lambda scale: gray(
        4, 4, bytes(16) + bytes(many(100_000_000, scale)), [8], [16],
        raw=[(34675, _UNDEFINED, many(100_000_000, scale), 24)],
    ),
    "numbers without end": lambda scale: gray(
        4, 4, bytes(16) + bytes(many(100_000_000, scale)), [8], [16],
        raw=[(40_000, _SHORT, many(50_000_000, scale), 24)],
    ),
    "fractions without end": lambda scale: gray(
        4, 4, bytes(16) + b"\1\0\0\0" * many(25_000_000, scale), [8], [16],
        raw=[(40_000, 5, many(12_000_000, scale), 24)],
    ),
    "fractions without end, in resolution": lambda scale: gray(
        4, 4, bytes(16) + b"\1\0\0\0" * many(25_000_000, scale), [8], [16],
        raw=[(282, 5, many(12_000_000, scale), 24)],
    ),
    "bits without end": lambda scale: gray(
        4, 4, bytes(16) + bytes(many(100_000_000, scale)), [8], [16],
        raw=[(338, _SHORT, many(190_000, scale), 24)],
    ),
    "strips, raw": lambda scale: strips(many(190_000, scale), 1, bytes(64)),
    "strips, PackBits": lambda scale: strips(many(190_000, scale), 32773, b"\xc1\0"),
    "strips, deflate": lambda scale: strips(many(190_000, scale), 8, zlib.compress(bytes(64))),
    "strips, LZW": lambda scale: strips(many(190_000, scale), 5, bytes(100)),
    "strips beyond the image": lambda scale: gray(
        64, 64, bytes(4096), [8] * many(190_000, scale), [64] * many(190_000, scale), rows=1
    ),
    "tiles of 16 pixels": lambda scale: tiles(
        side(scale), side(scale), (16, 16), 8, zlib.compress(bytes(256))
    ),
    "tiles of 16 pixels, raw": lambda scale: tiles(
        side(scale), side(scale), (16, 16), 1, bytes(256)),
    "tiles of a pixel, raw": lambda scale: tiles(
        side(scale / 64), side(scale / 64), (1, 1), 1, bytes(256)
    ),
    "tiles much larger than the image": lambda scale: tiles(
        1, many(119_000_000, scale), (4096, 4096), 8, squeezed(4096 * 4096)
    ),
    "tiles larger than the image": lambda scale: tiles(
        side(scale), 1, (16, many(1_000_000, scale) // 16 * 16), 8, squeezed(16 * 1_000_000)
    ),
    "all pixels black, deflate": lambda scale: gray(
        side(scale), side(scale), (data := squeezed(side(scale) ** 2)), [8], [len(data)],
        compression=8,
    ),
    "a strip of much more": lambda scale: gray(
        64, 64, (data := squeezed(many(4_000_000_000, scale / 4))), [8], [len(data)], compression=8
    ),
    "all pixels black, 32 bits": lambda scale: gray(
        side(scale), side(scale), (data := squeezed(4 * side(scale) ** 2)), [8], [len(data)],
        compression=8, bits=32,
    ),
    "all pixels one colour, RGB, LZW": lambda scale: flat(
        "TIFF", "RGB", square(scale), compression="tiff_lzw"
    ),
    "all pixels one colour, CMYK": lambda scale: flat(
        "TIFF", "CMYK", square(scale), compression="tiff_deflate"
    ),
    "all pixels one colour, RGBA": lambda scale: flat(
        "TIFF", "RGBA", square(scale), compression="packbits"
    ),
    "all pixels one colour, zstd": lambda scale: flat(
        "TIFF", "RGB", square(scale), compression="zstd"
    ),
    "all pixels one colour, LZMA": lambda scale: flat(
        "TIFF", "RGB", square(scale), compression="lzma"
    ),
    "all pixels one colour, JPEG": lambda scale: flat(
        "TIFF", "RGB", square(scale), compression="jpeg"
    ),
    "all pixels white, fax": lambda scale: flat(
        "TIFF", "1", square(scale), compression="group4"
    ),
    "a row without data, fax": lambda scale: gray(
        many(119_000_000, scale), 1, bytes(100), [8], [100], compression=4, bits=1
    ),
    "many directories, whole": lambda scale: scene("TIFF") + bytes(many(1_000, scale)),
}  # fmt: skip
