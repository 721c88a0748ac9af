"""JPEG files that are made to cost."""

import struct

from scripts.torture.images.files import Maker, exif, many, scene, side

_END = b"\xff\xd9"
_SEQUENTIAL, _PROGRESSIVE, _LOSSLESS, _ARITHMETIC, _ARITHMETIC_PROGRESSIVE = (
    0xC0, 0xC2, 0xC3, 0xC9, 0xCA,
)  # fmt: skip


def segment(marker: int, data: bytes) -> bytes:
    """Makes a segment."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def with_segments(*segments: bytes) -> bytes:
    """Puts segments in front of all others of a small image."""
    plain = scene("JPEG")
    return plain[:2] + b"".join(segments) + plain[2:]


def frame(kind: int, width: int, height: int, layers: int, sampling: int = 0x11) -> bytes:
    """Says how large the image is and of how many layers; the first has that sampling."""
    parts = [bytes([n + 1, sampling if n == 0 else 0x11, 0]) for n in range(layers)]
    return segment(kind, struct.pack(">BHHB", 8, height, width, layers) + b"".join(parts))


def scan(layers: tuple[int, ...], first: int, last: int, high: int, low: int, data: bytes) -> bytes:
    """Makes a scan of a progressive image: coefficients first to last, bits high to low."""
    parts = b"".join(bytes([layer, 0]) for layer in layers)
    head = bytes([len(layers)]) + parts + bytes([first, last, high << 4 | low])
    return segment(0xDA, head) + data


TABLES = (
    segment(0xDB, b"\0" + b"\1" * 64)
    # One code of one bit: a difference of 0.
    + segment(0xC4, b"\x00" + bytes([1] + [0] * 15) + b"\0")
    # One code of one bit: 2 ** 14 blocks end here, and as many as the next 14 bits say.
    + segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\xe0")
)


def progressive(
    width: int, height: int, layers: int, scans: int, kind: int = _PROGRESSIVE
) -> bytes:
    """Makes a gray image of as many valid scans as there may be, or fewer.

    Each coefficient comes bit by bit: 14 scans for one bit each, 63 coefficients, each layer.
    """
    blocks = -(-width // 8) * -(-height // 8)
    arithmetic = kind in (_ARITHMETIC, _ARITHMETIC_PROGRESSIVE)
    zeros = b"" if arithmetic else bytes(-(-blocks * layers // 8))
    # 15 bits each: the code 0, then 14 ones.
    runs = -(-blocks // 32767)
    bits = int(("0" + "1" * 14) * runs + "1" * (-15 * runs % 8), 2)
    ends = bits.to_bytes(-(-15 * runs // 8), "big").replace(b"\xff", b"\xff\0")
    ends = b"" if arithmetic else ends
    parts = [b"\xff\xd8", TABLES, frame(kind, width, height, layers)]
    parts.append(scan(tuple(range(1, layers + 1)), 0, 0, 0, 0, zeros))
    order = (
        (layer, place, bit)
        for place in range(1, 64)
        for bit in range(13, -1, -1)
        for layer in range(1, layers + 1)
    )
    for (layer, place, bit), _ in zip(order, range(scans), strict=False):
        parts.append(scan((layer,), place, place, 0 if bit == 13 else bit + 1, bit, ends))
    return b"".join([*parts, _END])


def sequential(kind: int, width: int, height: int, layers: int, sampling: int = 0x11) -> bytes:
    """Makes a gray image with next to no data: what a decoder makes up counts as damage."""
    data = b"" if kind == _ARITHMETIC else bytes(width * height * layers // 256)
    head = bytes([layers]) + b"".join(bytes([n + 1, 0]) for n in range(layers)) + b"\0\x3f\0"
    first = [b"\xff\xd8", TABLES, frame(kind, width, height, layers, sampling)]
    return b"".join([*first, segment(0xDA, head), data, _END])


def _with_exif(size: int) -> bytes:
    block = exif(3000, size)
    pieces = (block[at : at + 65_000] for at in range(0, len(block), 65_000))
    return with_segments(*(segment(0xE1, b"Exif\0\0" + piece) for piece in pieces))


def _sharp(size: int, *, progressive: bool = False) -> bytes:
    return scene("JPEG", size=(size, size), quality=100, subsampling=0, progressive=progressive)


FILES: dict[str, Maker] = {
    "self-naming EXIF": lambda scale: _with_exif(many(2_000_000, scale)),
    "segments of EXIF": lambda scale: with_segments(
        *[segment(0xE1, b"Exif\0\0" + bytes(60_000))] * many(1_900, scale)
    ),
    "XMP in pieces": lambda scale: with_segments(
        *[segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(65_000))]
        * many(1_900, scale)
    ),
    "profile in pieces": lambda scale: with_segments(
        *(
            segment(0xE2, b"ICC_PROFILE\0" + bytes([n % 256, 255]) + bytes(65_000))
            for n in range(many(1_900, scale))
        )
    ),
    "Photoshop's resources": lambda scale: with_segments(
        *[segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\0" * 5_000)] * many(1_900, scale)
    ),
    "many comments": lambda scale: with_segments(segment(0xFE, b"") * many(199_000, scale)),
    "segments without end": lambda scale: with_segments(
        segment(0xFE, b"") * many(30_000_000, scale)
    ),
    "many tables": lambda scale: with_segments(TABLES * many(60_000, scale)),
    "many restart intervals": lambda scale: with_segments(
        segment(0xDD, b"\0\0") * many(190_000, scale)
    ),
    "fill bytes": lambda scale: with_segments(b"\xff" * many(120_000_000, scale)),
    "zeros before a marker": lambda scale: with_segments(bytes(many(120_000_000, scale))),
    "markers without content": lambda scale: with_segments(b"\xff\x01" * many(60_000_000, scale)),
    "restarts in a scan": lambda scale: (
        scene("JPEG")[:-2]
        + b"".join(bytes([0xFF, 0xD0 + n]) for n in range(8)) * many(7_000_000, scale)
        + _END
    ),
    "junk behind": lambda scale: scene("JPEG") + b"\xff\xda" * many(60_000_000, scale),
    "comments in a scan": lambda scale: (
        scene("JPEG")[:-2] + segment(0xFE, b"") * many(30_000_000, scale)
    ),
    "882 scans, large": lambda scale: progressive(side(scale), side(scale), 1, 882),
    "100 scans, large": lambda scale: progressive(side(scale), side(scale), 1, 100),
    "2,646 scans, medium": lambda scale: progressive(side(scale / 4), side(scale / 4), 3, 2_646),
    "10 scans, three layers": lambda scale: progressive(side(scale), side(scale), 3, 10),
    "10 scans, four layers": lambda scale: progressive(side(scale), side(scale), 4, 10),
    "arithmetic-coded, 882 scans": lambda scale: progressive(
        side(scale), side(scale), 1, 882, _ARITHMETIC_PROGRESSIVE
    ),
    "arithmetic-coded, 20 scans": lambda scale: progressive(
        side(scale), side(scale), 3, 20, _ARITHMETIC_PROGRESSIVE
    ),
    "arithmetic-coded": lambda scale: sequential(_ARITHMETIC, side(scale), side(scale), 3),
    "arithmetic-coded, four layers": lambda scale: sequential(
        _ARITHMETIC, side(scale), side(scale), 4
    ),
    "a size without pixels": lambda scale: sequential(_SEQUENTIAL, side(scale), side(scale), 3),
    "a size without pixels, odd sampling": lambda scale: sequential(
        _SEQUENTIAL, side(scale), side(scale), 3, 0x41
    ),
    "unusual sampling": lambda scale: sequential(_ARITHMETIC, side(scale), side(scale), 3, 0x44),
    "lossless": lambda scale: sequential(_LOSSLESS, side(scale), side(scale), 3),
    "noise": lambda scale: _sharp(side(scale / 16)),
    "noise, progressive": lambda scale: _sharp(side(scale / 16), progressive=True),
    "two frames": lambda scale: with_segments(frame(_SEQUENTIAL, side(scale), side(scale), 3)),
}
