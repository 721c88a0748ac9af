"""WebP, AVIF, JPEG 2000, ICO and PSD files that are made to cost."""

import struct

from scripts.torture.images import gif_bmp, jpeg, png
from scripts.torture.images.files import Maker, exif, flat, many, scene, side, square, squeezed


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """Makes a WebP file of chunks."""
    parts = (
        kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks
    )
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp(flags: int, size: tuple[int, int], *chunks: tuple[bytes, bytes]) -> bytes:
    """Makes an extended WebP: 2 animation, 4 XMP, 8 EXIF, 16 alpha, 32 a profile."""
    width, height = (struct.pack("<I", length - 1)[:3] for length in size)
    return riff((b"VP8X", bytes([flags, 0, 0, 0]) + width + height), *chunks)


def _bits(size: tuple[int, int] = (64, 48)) -> bytes:
    plain = flat("WEBP", "RGB", size, lossless=True)
    return plain[20 : 20 + struct.unpack_from("<I", plain, 16)[0]]


def _frame(size: tuple[int, int], place: tuple[int, int] = (0, 0)) -> tuple[bytes, bytes]:
    fields = (place[0] // 2, place[1] // 2, size[0] - 1, size[1] - 1, 100)
    head = b"".join(struct.pack("<I", field)[:3] for field in fields) + b"\0"
    bits = _bits(size)
    return b"ANMF", head + b"VP8L" + struct.pack("<I", len(bits)) + bits + bytes(len(bits) % 2)


_LOOP = (b"ANIM", bytes(6))


def box(kind: bytes, *contents: bytes) -> bytes:
    """Makes a box of MP4's family, of which AVIF and JPEG 2000 are."""
    data = b"".join(contents)
    return struct.pack(">I", len(data) + 8) + kind + data


def avif(*more: bytes, refs: bytes = b"") -> bytes:
    """Puts boxes into the meta box of a small AVIF."""
    plain = scene("AVIF")
    start = plain.index(b"meta") - 4
    (length,) = struct.unpack_from(">I", plain, start)
    end = start + length
    grown = b"".join(more)
    meta = bytearray(struct.pack(">I", length + len(grown)) + plain[start + 4 : end] + grown)
    # The place of the pixels moves by what was put in between.
    place = meta.index(b"iloc")
    sizes = meta[place + 8]
    assert sizes >> 4 == 4, "offsets of 4 bytes"
    extent = place + 8 + 2 + 2 + 2 + 2 + 2
    (old,) = struct.unpack_from(">I", meta, extent)
    struct.pack_into(">I", meta, extent, old + len(grown))
    return plain[:start] + bytes(meta) + plain[end:]


def _refs(count: int, targets: int) -> bytes:
    """Makes references between items that are only named there."""
    single = (
        box(
            b"cdsc",
            struct.pack(">HH", 1 + n % 65_000, targets),
            struct.pack(f">{targets}H", *range(1, targets + 1)),
        )
        for n in range(count)
    )
    return box(b"iref", bytes(4), *single)


def _infos(count: int) -> bytes:
    items = (
        box(b"infe", b"\2\0\0\0" + struct.pack(">HH", 1 + n % 65_535, 0), b"Exif\0")
        for n in range(count)
    )
    return box(b"iinf", bytes(4) + struct.pack(">H", min(count, 65_535)), *items)


def codestream(
    width: int, height: int, layers: int = 3, tile: tuple[int, int] | None = None,
    levels: int = 0, precinct: int = 15, quality_layers: int = 1, more: bytes = b"", tiles: int = 1,
) -> bytes:  # fmt: skip
    """Makes a JPEG 2000 codestream whose tiles have next to no data."""
    across, down = tile or (width, height)
    size = struct.pack(">HIIIIIIIIH", 0, width, height, 0, 0, across, down, 0, 0, layers)
    siz = size + b"\7\1\1" * layers
    precincts = bytes([precinct << 4 | precinct]) * (levels + 1)
    cod = struct.pack(">BBHBBBBBB", 1, 0, quality_layers, 0, levels, 4, 4, 0, 1) + precincts
    qcd = b"\x40" + b"\x40" * (3 * levels + 1)
    head = b"\xff\x4f" + b"".join(
        jpeg.segment(kind, data) for kind, data in ((0x51, siz), (0x52, cod), (0x5C, qcd))
    )
    parts = [
        b"\xff\x90" + struct.pack(">HHIBB", 10, n, 14 + 8, 0, 1) + b"\xff\x93" + bytes(8)
        for n in range(tiles)
    ]
    return head + more + b"".join(parts) + b"\xff\xd9"


def jp2(
    width: int,
    height: int,
    stream: bytes,
    *,
    layers: int = 3,
    first: bytes = b"",
    inside: bytes = b"",
) -> bytes:
    """Puts a codestream into a JP2 file."""
    header = box(b"ihdr", struct.pack(">IIHBBBB", height, width, layers, 7, 7, 0, 0))
    colours = box(b"colr", b"\1\0\0" + struct.pack(">I", 16))
    start = b"\0\0\0\x0cjP  \x0d\x0a\x87\x0a" + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return start + first + box(b"jp2h", header, colours, inside) + box(b"jp2c", stream)


def ico(image: bytes, entries: int = 1, size: int = 0, bits: int = 32) -> bytes:
    """Puts an image into an icon whose entries all name it."""
    start = 6 + 16 * entries
    entry = struct.pack("<BBBBHHII", size, size, 0, 0, 1, bits, len(image), start)
    return struct.pack("<HHH", 0, 1, entries) + entry * entries + image


def psd(
    width: int, height: int, resources: bytes = b"", layers: bytes = b"", pixels: bytes = b"",
    mode: int = 3, channels: int = 3, bits: int = 8,
) -> bytes:  # fmt: skip
    """Makes a Photoshop file."""
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", channels, height, width, bits, mode)
    sections = (struct.pack(">I", len(part)) + part for part in (b"", resources, layers))
    return head + b"".join(sections) + pixels


def _two_runs(width: int, height: int, channels: int) -> bytes:
    """Packs black rows with PackBits."""
    row = b"\x81\0" * -(-width // 128)
    return b"\0\1" + struct.pack(">H", len(row)) * height * channels + row * height * channels


_RESOURCE = b"8BIM\4\4\0\0" + bytes(4)

FILES: dict[str, Maker] = {
    "WebP, self-naming EXIF": lambda scale: webp(
        8, (64, 48), (b"VP8L", _bits()), (b"EXIF", exif(3000, many(2_000_000, scale)))
    ),
    "WebP, huge XMP": lambda scale: webp(
        4, (64, 48), (b"VP8L", _bits()), (b"XMP ", bytes(many(100_000_000, scale)))
    ),
    "WebP, huge profile": lambda scale: webp(
        32, (64, 48), (b"ICCP", bytes(many(100_000_000, scale))), (b"VP8L", _bits())
    ),
    "WebP, many chunks": lambda scale: webp(
        0, (64, 48), (b"VP8L", _bits()), *[(b"ABCD", b"")] * many(10_000_000, scale)
    ),
    "WebP, many frames": lambda scale: webp(
        2, (64, 48), _LOOP, *[_frame((2, 2))] * many(1_500_000, scale)
    ),
    "WebP, a frame beyond the canvas": lambda _: webp(
        2, (64, 48), _LOOP, _frame((64, 48), (32, 32))
    ),
    "WebP, a small frame on a large canvas": lambda scale: webp(
        2, square(scale / 1.9), _LOOP, _frame((2, 2))
    ),
    "WebP, a canvas unlike its image": lambda scale: webp(
        0, square(scale / 1.9), (b"VP8L", _bits())
    ),
    "WebP, one colour, lossless": lambda scale: flat(
        "WEBP", "RGB", square(scale / 1.9), lossless=True, method=0
    ),
    "WebP, one colour, lossy": lambda scale: flat("WEBP", "RGB", square(scale / 1.9), method=0),
    "AVIF, one colour": lambda scale: flat("AVIF", "RGB", square(scale / 2.4), speed=10),
    "AVIF, one colour, alpha": lambda scale: flat(
        "AVIF", "RGBA", square(scale / 2.4), speed=10, subsampling="4:4:4"
    ),
    "AVIF, many references": lambda scale: avif(_refs(many(900, scale), 65_000)),
    "AVIF, many referring items": lambda scale: avif(_refs(many(65_000, scale), 1)),
    "AVIF, many items": lambda scale: avif(_infos(many(65_535, scale))),
    "AVIF, many boxes": lambda scale: avif(box(b"free") * many(14_000_000, scale)),
    "AVIF, boxes behind": lambda scale: scene("AVIF") + box(b"free") * many(14_000_000, scale),
    # Pillow reads it as it writes: not more than 200 MB.
    "AVIF, a huge EXIF": lambda scale: scene("AVIF", exif=exif(100, many(2_000_000, scale))),
    "JPEG 2000, one colour": lambda scale: flat("JPEG2000", "RGB", square(scale / 3.4)),
    "JPEG 2000, one colour, alpha, tiles": lambda scale: flat(
        "JPEG2000", "RGBA", square(scale / 3.4), tile_size=(1024, 1024)
    ),
    "JPEG 2000, no pixels": lambda scale: codestream(*square(scale / 3)),
    "JPEG 2000, 65,535 tiles": lambda scale: codestream(
        255 * 24, 257 * 24, tile=(24, 24), tiles=many(65_535, scale)
    ),
    "JPEG 2000, 65,535 tiles of a pixel": lambda scale: codestream(
        255, 257, tile=(1, 1), tiles=many(65_535, scale)
    ),
    "JPEG 2000, too many tiles": lambda scale: codestream(side(scale), side(scale), tile=(1, 1)),
    "JPEG 2000, precincts of a pixel": lambda scale: codestream(
        *square(scale / 3), precinct=0
    ),
    "JPEG 2000, precincts, levels": lambda scale: codestream(
        side(scale / 3), side(scale / 3), levels=6, precinct=3
    ),
    "JPEG 2000, 32 levels": lambda scale: codestream(side(scale / 3), side(scale / 3), levels=32),
    "JPEG 2000, 65,535 layers": lambda scale: codestream(
        side(scale / 3), side(scale / 3), quality_layers=65_535, levels=5, precinct=8
    ),
    "JPEG 2000, many layers of colour": lambda scale: codestream(
        side(scale / 16), side(scale / 16), layers=many(16_384, scale)
    ),
    "JPEG 2000, layers that the header hides": lambda scale: jp2(
        64, 64, codestream(side(scale), side(scale), layers=many(16_384, scale))
    ),
    "JPEG 2000, a size that the header hides": lambda scale: jp2(
        64, 64, codestream(side(scale), side(scale), layers=4)
    ),
    "JPEG 2000, many comments": lambda scale: codestream(
        64, 64, more=jpeg.segment(0x64, b"\0\1") * many(18_000_000, scale)
    ),
    "JPEG 2000, many markers": lambda scale: codestream(
        64, 64, more=jpeg.segment(0x55, b"\0\1") * many(18_000_000, scale)
    ),
    "JPEG 2000, many tables": lambda scale: codestream(
        64, 64, more=jpeg.segment(0x53, b"\0\0\0\4\4\0\0") * many(10_000_000, scale)
    ),
    "JPEG 2000, many boxes": lambda scale: jp2(
        64, 64, codestream(64, 64), first=box(b"free") * many(14_000_000, scale)
    ),
    "JPEG 2000, boxes in the header": lambda scale: jp2(
        64, 64, codestream(64, 64), inside=box(b"free") * many(14_000_000, scale)
    ),
    "JPEG 2000, resolutions in the header": lambda scale: jp2(
        64, 64, codestream(64, 64), inside=box(b"res ", box(b"abcd") * 10) * many(1_000_000, scale)
    ),
    "JPEG 2000, a palette": lambda scale: jp2(
        64, 64, codestream(64, 64, 1), layers=1,
        inside=box(b"pclr", struct.pack(">HB", 65_535, 255), bytes([7]) * 255, bytes(65_535 * 255)),
    ),
    "ICO, many entries": lambda scale: ico(scene("PNG"), many(65_535, scale)),
    "ICO, PNG of many texts": lambda scale: ico(
        png.with_chunks(png.chunk(b"tEXt", b"a\0b") * many(5_000_000, scale))
    ),
    "ICO, PNG of many chunks": lambda scale: ico(
        png.with_chunks((bytes(4) + b"abCd" + png.chunk(b"abCd", b"")[8:]) * many(8_000_000, scale))
    ),
    "ICO, PNG of text bombs": lambda scale: ico(
        png.with_chunks(png.chunk(b"iTXt", b"a\0\1\0\0\0" + squeezed(900_000)) * many(60, scale))
    ),
    "ICO, PNG of a profile bomb": lambda scale: ico(
        png.with_chunks(png.chunk(b"iCCP", b"a\0\0" + squeezed(many(4_000_000_000, scale / 4))))
    ),
    "ICO, a large PNG": lambda scale: ico(png.png(side(scale), side(scale), 8, 6)),
    "ICO, jumps": lambda scale: ico(
        gif_bmp.dib(many(119_000_000, scale), 2, 8, bytes(1024) + b"\0\2\0\xff"), bits=8
    ),
    "ICO, runs": lambda scale: ico(
        gif_bmp.dib(
            side(scale), 2 * side(scale), 8, bytes(1024) + b"\1\7" * many(60_000_000, scale)
        ),
        bits=8,
    ),
    "ICO, a BMP without pixels": lambda scale: ico(
        struct.pack("<IiiHHIIiiII", 40, side(scale), 2 * side(scale), 1, 32, 0, 0, 0, 0, 0, 0)
    ),
    "PSD, many resources": lambda scale: psd(
        64, 64, _RESOURCE * many(9_000_000, scale), pixels=b"\0\0" + bytes(64 * 64 * 3)
    ),
    "PSD, a huge resource": lambda scale: psd(
        64,
        64,
        b"8BIM\4\4\0\0"
        + struct.pack(">I", many(100_000_000, scale))
        + bytes(many(100_000_000, scale)),
    ),
    "PSD, many layers": lambda scale: psd(
        64, 64, layers=struct.pack(">Ih", 100_000_000, -32768) + bytes(many(100_000_000, scale))
    ),
    "PSD, PackBits": lambda scale: psd(
        side(scale), side(scale), pixels=_two_runs(side(scale), side(scale), 3)
    ),
    "PSD, high": lambda scale: psd(
        1, many(999_000, scale), pixels=_two_runs(1, many(999_000, scale), 1), mode=1, channels=1
    ),
    "PSD, CMYK without pixels": lambda scale: psd(
        side(scale), side(scale), pixels=b"\0\0", mode=4, channels=4
    ),
}  # fmt: skip
