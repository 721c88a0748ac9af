"""How a file is packed, told by its first bytes, and streams that are unpacked as they are read."""

import abc
import bz2
import enum
import io
import lzma
import zlib
from collections.abc import Callable
from typing import BinaryIO

import pyarrow as pa

_GZIP_MAGIC = b"\x1f\x8b"
_ZLIB_METHOD = 0x78
"""RFC 1950, 2.2: deflate with the usual window; the first two bytes are a multiple of 31."""

_EITHER = zlib.MAX_WBITS | 32
"""What makes zlib read a header of gzip or of its own."""

_CHUNK_BYTES = 1 << 16

MAX_WINDOW_BYTES = 128 << 20
"""Of what was unpacked, that a stream may refer back to and that must be held. It is what zstd's
own program and library stop at, and twice what `xz -9` writes.
"""

_XZ_BYTES = MAX_WINDOW_BYTES + (1 << 20)
"""Memory of its decoder, with what it needs beside the window."""


class Packing(enum.Enum):
    """How the bytes of a file are packed."""

    NONE = "none"
    GZIP = "gzip"
    ZLIB = "zlib"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZSTD = "zstd"


class DamagedStreamError(Exception):
    """A packed stream that is damaged, ends too early, or needs too much memory."""


def packing_of(beginning: bytes) -> Packing:
    """Tells gzip and zlib by the first bytes of a file; NONE if it is neither."""
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


class PackedFile(io.RawIOBase, abc.ABC):
    """A packed stream in a file, unpacked as it is read, in little memory.

    Attributes:
        stored: The file.
    """

    def __init__(self, stored: BinaryIO) -> None:
        self.stored = stored

    @abc.abstractmethod
    def unpack(self, max_bytes: int) -> bytes:
        """Unpacks some bytes, max_bytes at most; none at the end."""

    def readable(self) -> bool:
        """Says that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Unpacks into a buffer, as io.RawIOBase says; raises as unpack."""
        unpacked = self.unpack(len(buffer))
        buffer[: len(unpacked)] = unpacked
        return len(unpacked)


class ZlibFile(PackedFile):
    """A zlib stream in a file."""

    def __init__(self, stored: BinaryIO) -> None:
        super().__init__(stored)
        self._stream = zlib.decompressobj()

    def unpack(self, max_bytes: int) -> bytes:
        """Unpacks some bytes.

        Raises:
            EOFError: If the file ends before its stream.
            zlib.error: If the stream is damaged.
        """
        while not self._stream.eof:
            packed = self._stream.unconsumed_tail or self.stored.read(_CHUNK_BYTES)
            unpacked = self._stream.decompress(packed, max_bytes)
            if unpacked:
                return unpacked
            if not packed:
                raise EOFError("the zlib stream ended before its end mark")
        return b""


class _StreamsFile(PackedFile):
    """Streams of bzip2 or xz, one behind the other, as pbzip2 and xz write them.

    Zeros may follow each, as xz pads with them.
    """

    def __init__(
        self,
        stored: BinaryIO,
        new_stream: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor],
    ) -> None:
        super().__init__(stored)
        self._new_stream = new_stream
        self._stream = new_stream()
        self._packed = b""

    def unpack(self, max_bytes: int) -> bytes:
        """Unpacks some bytes.

        Raises:
            DamagedStreamError: If a stream is damaged, cut, or needs too much memory.
        """
        while True:
            if self._stream.eof:
                self._packed = self._stream.unused_data
                while not (packed := self._packed.lstrip(b"\0")):
                    if not (packed := self.stored.read(_CHUNK_BYTES)):
                        return b""
                    self._packed = packed
                self._packed = packed
                self._stream = self._new_stream()
            elif self._stream.needs_input and not self._packed:
                self._packed = self.stored.read(_CHUNK_BYTES)
                if not self._packed:
                    raise DamagedStreamError("it ends before its end mark")
            try:
                unpacked = self._stream.decompress(self._packed, max_bytes)
            except (OSError, ValueError, lzma.LZMAError) as error:  # Nothing is read meanwhile.
                raise DamagedStreamError(str(error)) from error
            self._packed = b""
            if unpacked:
                return unpacked


class Bzip2File(_StreamsFile):
    """Streams of bzip2 in a file."""

    def __init__(self, stored: BinaryIO) -> None:
        super().__init__(stored, bz2.BZ2Decompressor)


class XzFile(_StreamsFile):
    """Streams of xz in a file."""

    def __init__(self, stored: BinaryIO) -> None:
        super().__init__(stored, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_BYTES))


class ZstdFile(PackedFile):
    """Frames of zstd in a file, one behind the other; the library bounds their window."""

    def __init__(self, stored: BinaryIO) -> None:
        super().__init__(stored)
        self._source = _Source(stored)
        self._stream = pa.CompressedInputStream(self._source, "zstd")

    def unpack(self, max_bytes: int) -> bytes:
        """Unpacks some bytes.

        Raises:
            DamagedStreamError: If the stream is damaged, cut, or needs too much memory.
            OSError: If the storage fails; trying again may help.
        """
        try:
            # What an error comes behind is lost with it, so that it is little.
            return bytes(self._stream.read(min(max_bytes, _CHUNK_BYTES)))
        except OSError as error:
            if error is self._source.failure:
                raise
            raise DamagedStreamError(str(error)) from error


class _Source(io.RawIOBase):
    """A file that tells what it failed by: Arrow, too, raises an OSError."""

    def __init__(self, stored: BinaryIO) -> None:
        self._stored = stored
        self.failure: OSError | None = None

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stored.read(size)
        except OSError as error:
            self.failure = error
            raise


UNPACKERS: dict[Packing, Callable[[BinaryIO], PackedFile]] = {
    Packing.ZLIB: ZlibFile,
    Packing.BZIP2: Bzip2File,
    Packing.XZ: XzFile,
    Packing.ZSTD: ZstdFile,
}
"""What unpacks each kind of stream; the standard library's GzipFile does gzip."""
