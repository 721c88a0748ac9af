"""GIF and BMP files that are made to cost."""

import struct

from scripts.torture.images.files import Maker, many, scene, side, square


def with_blocks(before: bytes) -> bytes:
    """Puts blocks in front of the frame of a small GIF."""
    plain = scene("GIF", "P")
    start = 13 + (3 << ((plain[10] & 7) + 1))
    return plain[:start] + before + plain[start:]


def gif(size: tuple[int, int], frame: tuple[int, int, int, int], data: bytes) -> bytes:
    """Makes a GIF of 256 colours: width and height; left, top, width and height; coded pixels."""
    parts = [data[at : at + 255] for at in range(0, len(data), 255)]
    blocks = b"".join(bytes([len(part)]) + part for part in parts)
    screen = b"GIF89a" + struct.pack("<HHBBB", *size, 0xF7, 0, 0) + bytes(768)
    return screen + b"\x2c" + struct.pack("<HHHHB", *frame, 0) + b"\x08" + blocks + b"\0\x3b"


def codes(*numbers: int) -> bytes:
    """Packs codes of 9 bits, as a GIF of 256 colours has them: 256 clears, 257 ends."""
    bits = sum(number << (9 * place) for place, number in enumerate(numbers))
    return bits.to_bytes(-(-9 * len(numbers) // 8), "little")


def bmp(width: int, height: int, bits: int, data: bytes, colours: int = 0) -> bytes:
    """Makes a run-length coded BMP."""
    palette = bytes(range(256)) * 4 if bits == 8 else bytes(64)
    offset = 54 + len(palette)
    return (
        b"BM"
        + struct.pack("<IHHI", offset + len(data), 0, 0, offset)
        + dib(width, height, bits, palette + data, colours)
    )


def dib(width: int, height: int, bits: int, data: bytes, colours: int = 0) -> bytes:
    """Makes the same without the header of the file."""
    kind = 1 if bits == 8 else 2
    return (
        struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, kind, len(data), 0, 0, colours, 0)
        + data
    )


FILES: dict[str, Maker] = {
    "GIF, a comment": lambda scale: with_blocks(
        b"\x21\xfe" + (b"\xff" + b"A" * 255) * many(190_000, scale) + b"\0"
    ),
    "GIF, many comments": lambda scale: with_blocks(b"\x21\xfe\1a\0" * many(90_000, scale)),
    "GIF, blocks without end": lambda scale: with_blocks(b"\x21\xfe\0" * many(30_000_000, scale)),
    "GIF, junk": lambda scale: with_blocks(bytes(many(120_000_000, scale))),
    "GIF, controls": lambda scale: with_blocks(b"\x21\xf9\4\0\0\0\0\0" * many(90_000, scale)),
    "GIF, clear codes only": lambda scale: gif(
        (64, 64), (0, 0, 64, 64), codes(*[256] * 8) * many(13_000_000, scale)
    ),
    "GIF, clear codes in parts of a byte": lambda scale: (
        with_blocks(b"")[:-2] + b"\1\0" * many(50_000_000, scale)
    ),
    "GIF, a frame beyond the screen": lambda scale: gif(
        (1, 1), (0, 0, side(scale), side(scale)), codes(256, 0, 257)
    ),
    "GIF, a frame far from the screen": lambda _: gif((1, 1), (65535, 65535, 1, 1), codes(256, 0)),
    "GIF, no pixels": lambda scale: gif(square(scale), (0, 0, 64, 64), codes(256, 257)),
    "GIF, many frames": lambda scale: (
        scene("GIF", "P")[:-1]
        + (b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x08\0") * many(9_000_000, scale)
    ),
    "BMP, jumps": lambda scale: bmp(many(119_000_000, scale), 1, 8, b"\0\2\0\xff"),
    "BMP, jumps to the right": lambda scale: bmp(
        64, 64, 8, b"\0\2\xff\0" * many(30_000_000, scale)
    ),
    "BMP, the end of a long row": lambda scale: bmp(many(119_000_000, scale), 1, 8, b"\1\0\0\0"),
    "BMP, runs beyond the row": lambda scale: bmp(64, 64, 8, b"\xff\1" * many(3_990_000, scale)),
    "BMP, runs of a pixel": lambda scale: bmp(
        side(scale), side(scale), 8, b"\1\7" * many(3_990_000, scale)
    ),
    "BMP, rows that end at once": lambda scale: bmp(64, 64, 8, b"\0\0" * many(60_000_000, scale)),
    "BMP, pixels as they are": lambda scale: bmp(
        side(scale), side(scale), 8, b"\0\3abc\0" * many(3_990_000, scale)
    ),
    "BMP, 4 bits": lambda scale: bmp(
        side(scale), side(scale), 4, b"\xff\x12" * many(3_990_000, scale)
    ),
    "BMP, 4 bits in runs of a pixel": lambda scale: bmp(
        side(scale), side(scale), 4, b"\1\x12" * many(3_990_000, scale)
    ),
    "BMP, a palette of 4 G": lambda _: bmp(64, 64, 8, bytes(4096), 0xFFFFFFFF),
    "BMP without a file's header, jumps": lambda scale: dib(
        many(119_000_000, scale), 1, 8, bytes(1024) + b"\0\2\0\xff"
    ),
    "BMP without a file's header, runs": lambda scale: dib(
        side(scale), side(scale), 8, bytes(1024) + b"\1\7" * many(3_990_000, scale)
    ),
}
