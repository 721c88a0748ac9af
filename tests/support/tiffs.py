"""Makes TIFF and PNG files of every kind of sample, which no library writes."""

import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[Any]
Tags = dict[int, tuple[str, list[int]]]
"""Kind ("H" 16, "I" 32 bits) and values, by number."""

NO_COMPRESSION, DEFLATE = 1, 8


def tiff(
    samples: Samples,
    bits: int,
    photometric: int,
    *,
    order: str = "<",
    compression: int = NO_COMPRESSION,
    planes: bool = False,
    tags: Tags | None = None,
) -> bytes:
    """Writes a TIFF of one strip, or one a plane.

    Args:
        samples: unsigned or float [height, width, samples].
        bits: Bits of a sample.
        photometric: Photometric interpretation (TIFF 6.0, section 8).
        order: Byte order, "<" or ">".
        compression: One of the constants above.
        planes: Whether each sample has a plane of its own.
        tags: More tags.
    """
    height, width, count = samples.shape
    parts = [samples[..., [place]] for place in range(count)] if planes else [samples]
    strips = [_compressed(packed(part, bits, order), compression) for part in parts]
    all_tags: Tags = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [bits] * count),
        259: ("H", [compression]),
        262: ("H", [photometric]),
        277: ("H", [count]),
        278: ("I", [height]),
        284: ("H", [2 if planes else 1]),
        339: ("H", [3 if samples.dtype.kind == "f" else 1] * count),
        **(tags or {}),
    }
    return directory(all_tags, strips, order)


def directory(tags: Tags, strips: list[bytes], order: str = "<") -> bytes:
    """Puts a TIFF together: header, strips, long values, directory."""
    file, offsets = bytearray(8), []
    for strip in strips:
        offsets.append(len(file))
        file += strip + bytes(len(strip) % 2)
    tags = tags | {273: ("I", offsets), 279: ("I", [len(strip) for strip in strips])}
    entries = b""
    for tag, (kind, values) in sorted(tags.items()):
        value = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(value) > 4:
            place = struct.pack(f"{order}I", len(file))
            file += value + bytes(len(value) % 2)
            value = place
        number = {"H": 3, "I": 4}[kind]
        entries += struct.pack(f"{order}HHI4s", tag, number, len(values), value)
    mark = b"II" if order == "<" else b"MM"
    file[:8] = mark + struct.pack(f"{order}HI", 42, len(file))
    return bytes(file) + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


def png(samples: Samples, bits: int, colour_type: int, palette: Samples | None = None) -> bytes:
    """Writes a PNG of unsigned samples [height, width, samples] of any depth and colour type."""
    height, width, count = samples.shape
    row_bytes = -(-width * count * bits // 8)
    rows = packed(samples, bits, ">")
    data = b"".join(b"\0" + rows[row * row_bytes : (row + 1) * row_bytes] for row in range(height))
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    if palette is not None:
        chunks.insert(1, (b"PLTE", palette.astype(np.uint8).tobytes()))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def packed(samples: Samples, bits: int, order: str) -> bytes:
    """Packs samples; each row starts at a byte."""
    if bits >= 8 and bits != 12:
        return samples.astype(f"{order}{samples.dtype.kind}{bits // 8}").tobytes()
    values = samples.reshape(len(samples), -1).astype(">u2")
    of_16 = np.unpackbits(values.view(np.uint8), axis=1).reshape(*values.shape, 16)
    return np.packbits(of_16[..., 16 - bits :].reshape(len(samples), -1), axis=1).tobytes()


def _compressed(strip: bytes, compression: int) -> bytes:
    return zlib.compress(strip) if compression == DEFLATE else strip
