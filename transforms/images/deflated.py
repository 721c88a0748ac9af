"""Deflated pixels, held against their checksum, at which decoders do not look."""

import zlib
from collections.abc import Iterable

_OUTPUT_BYTES = 1_048_576


def check_stream(pieces: Iterable[bytes], size_bytes: int, spare_bytes: int = 0) -> bool:
    """Decompresses a zlib stream up to its checksum, and keeps nothing.

        78 9c  ..................  2f a1 03 c4
        zlib   bits of all rows    Adler-32

    Args:
        pieces: The stream, in pieces; what follows it is not looked at.
        size_bytes: Bytes that it is to decode to.
        spare_bytes: Bytes that it may decode to beyond these.

    Returns:
        Whether its end was there.

    Raises:
        zlib.error, ValueError: If it is damaged, or decodes to more.
    """
    stream, size = zlib.decompressobj(), 0
    for piece in pieces:
        while piece:
            size += len(stream.decompress(piece, _OUTPUT_BYTES))
            if size > size_bytes + spare_bytes:
                raise ValueError(f"it decodes to more than its {size_bytes} bytes")
            piece = stream.unconsumed_tail
            if stream.eof:
                return True
    return False
