"""How a file is packed, told by its first bytes, and zlib streams, unpacked as they are read."""

import enum
import io
import zlib
from typing import BinaryIO

_GZIP_MAGIC = b"\x1f\x8b"
_ZLIB_METHOD = 0x78
"""RFC 1950, 2.2: deflate with the usual window; the first two bytes are a multiple of 31."""

_EITHER = zlib.MAX_WBITS | 32
"""What makes zlib read a header of gzip or of its own."""

_CHUNK_BYTES = 1 << 16


class Packing(enum.Enum):
    """How the bytes of a file are packed."""

    NONE = "none"
    GZIP = "gzip"
    ZLIB = "zlib"


def packing_of(beginning: bytes) -> Packing:
    """Tells how a file is packed by its first bytes, if it is packed at all."""
    if beginning.startswith(_GZIP_MAGIC):
        return Packing.GZIP
    header = beginning[:2]
    is_zlib = len(header) == 2 and header[0] == _ZLIB_METHOD
    return Packing.ZLIB if is_zlib and int.from_bytes(header, "big") % 31 == 0 else Packing.NONE


def inflate_beginning(beginning: bytes, size_bytes: int) -> bytes:
    """Unpacks the first bytes of a gzip or zlib stream, size_bytes of them at most.

    Raises:
        zlib.error: If it is no such stream.
    """
    return zlib.decompressobj(_EITHER).decompress(beginning, size_bytes)


class ZlibFile(io.RawIOBase):
    """A zlib stream in a file, unpacked as it is read, in little memory."""

    def __init__(self, stored: BinaryIO) -> None:
        self.stored = stored
        self._stream = zlib.decompressobj()

    def readable(self) -> bool:
        """Says that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Unpacks into a buffer, as io.RawIOBase says.

        Raises:
            EOFError: If the file ends before its stream.
            zlib.error: If the stream is damaged.
        """
        while not self._stream.eof:
            packed = self._stream.unconsumed_tail or self.stored.read(_CHUNK_BYTES)
            unpacked = self._stream.decompress(packed, len(buffer))
            if unpacked:
                buffer[: len(unpacked)] = unpacked
                return len(unpacked)
            if not packed:
                raise EOFError("the zlib stream ended before its end mark")
        return 0
