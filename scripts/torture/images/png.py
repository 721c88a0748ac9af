"""PNG files that are made to cost."""

import struct
import zlib

from scripts.torture.images.files import Maker, exif, many, scene, side, squeezed

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    """Makes a chunk with a right checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, bits: int = 8, colour: int = 2, interlace: int = 0, before: bytes = b""
) -> bytes:
    """Makes a black image; colour is 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGBA."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row_bytes = 1 + -(-width * bits * samples // 8)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace))
    palette = chunk(b"PLTE", bytes(6)) if colour == 3 else b""
    # The passes of an interlaced image have a few more rows, each with its filter.
    rows = squeezed(row_bytes * height + (2 * height + 64 * 8 if interlace else 0))
    parts = [SIGNATURE, header, before, palette, chunk(b"IDAT", rows), chunk(b"IEND", b"")]
    return b"".join(parts)


def with_chunks(before: bytes) -> bytes:
    """Puts chunks in front of the pixels of a small image."""
    plain = scene("PNG")
    return plain[:33] + before + plain[33:]


def _pixels_in_pieces(count: int, piece: bytes) -> bytes:
    """Spreads the pixels of a small image over chunks of a byte, and adds empty ones."""
    plain = scene("PNG")
    start = plain.index(b"IDAT")
    (length,) = struct.unpack_from(">I", plain, start - 4)
    pixels = plain[start + 4 : start + 4 + length]
    single = b"".join(chunk(b"IDAT", pixels[at : at + 1]) for at in range(length))
    return plain[:33] + chunk(b"IDAT", piece) * count + single + plain[start + 8 + length :]


_EMPTY = bytes(4) + b"tEXt" + bytes(4)

FILES: dict[str, Maker] = {
    "self-naming EXIF": lambda scale: with_chunks(
        chunk(b"eXIf", exif(3000, many(2_000_000, scale)))
    ),
    "many texts": lambda scale: with_chunks(chunk(b"tEXt", b"a\0b") * many(199_000, scale)),
    "chunks without end": lambda scale: with_chunks(_EMPTY * many(9_000_000, scale)),
    "chunks behind the pixels": lambda scale: scene("PNG") + _EMPTY * many(9_000_000, scale),
    "text bomb": lambda scale: with_chunks(
        chunk(b"zTXt", b"a\0\0" + squeezed(many(4_000_000_000, scale / 4)))
    ),
    "many text bombs": lambda scale: with_chunks(
        chunk(b"iTXt", b"a\0\1\0\0\0" + squeezed(7_000_000)) * many(2_000, scale)
    ),
    "profile bomb": lambda scale: with_chunks(
        chunk(b"iCCP", b"a\0\0" + squeezed(many(2_000_000_000, scale / 2)))
    ),
    "huge profile": lambda scale: with_chunks(
        chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(many(100_000_000, scale)), 0))
    ),
    "huge text": lambda scale: with_chunks(
        chunk(b"tEXt", b"a\0" + b"b" * many(100_000_000, scale))
    ),
    "many palettes": lambda scale: with_chunks(chunk(b"PLTE", bytes(768)) * many(100_000, scale)),
    "many histograms": lambda scale: with_chunks(
        chunk(b"sPLT", b"a\0\x08" + bytes(6000)) * many(15_000, scale)
    ),
    "empty pieces of pixels": lambda scale: _pixels_in_pieces(many(190_000, scale), b""),
    "all pixels black, RGB": lambda scale: png(side(scale), side(scale)),
    "all pixels black, 16 bits": lambda scale: png(side(scale), side(scale), 16),
    "all pixels black, 16 bits, alpha": lambda scale: png(side(scale), side(scale), 16, 6),
    "all pixels black, interlaced": lambda scale: png(side(scale), side(scale), 8, 6, 1),
    "all pixels black, 1 bit": lambda scale: png(side(scale), side(scale), 1, 0),
    "all pixels black, palette": lambda scale: png(side(scale), side(scale), 4, 3),
    "one row": lambda scale: png(many(119_000_000, scale), 1),
    "one column": lambda scale: png(1, many(119_000_000, scale), 8, 0),
    "pixels beyond the image": lambda scale: png(64, 64, before=b"").replace(
        chunk(b"IEND", b""), chunk(b"IDAT", squeezed(many(4_000_000_000, scale / 4)))
    ),
    "a size without pixels": lambda scale: (
        png(side(scale), side(scale))[:100] + chunk(b"IEND", b"")
    ),
    "a chunk of 4 GB": lambda _: with_chunks(b"\xff\xff\xff\xfftEXt"),
    "frames without end": lambda scale: (
        with_chunks(
            chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
            + chunk(b"fcTL", struct.pack(">5I2HBB", 0, 64, 48, 0, 0, 1, 1, 0, 0))
        )
        + chunk(b"fdAT", bytes(4)) * many(190_000, scale)
    ),
}
