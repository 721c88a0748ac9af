"""The text of a manifest: out of gzip, in UTF-8 or UTF-16, and never more of it than is allowed.

The first bytes tell, not the name: a web server may have unpacked a .csv.gz.

    1f 8b ...           gzip: what is in it, told again by its own first bytes
    ff fe, or fe ff     UTF-16, as a spreadsheet saves "Unicode text"
    anything else       UTF-8, with a byte order mark or without
"""

import codecs
import gzip
import io
import itertools
import zlib
from collections.abc import Iterator

from transforms.errors import InputError
from transforms.files.packing import Packing, packing_of

MAX_LINE_BYTES = 1 << 20
"""Longest line, or JSON object, of a manifest; what has a longer one is no manifest."""

FREE_BYTES = 64 << 20
MAX_RATIO = 200
"""Text that gzip may give in any case, and beyond that for each byte of the file.

Lists of a million paths give 10 to 22; zeros give 1,000.
"""

_CHUNK_BYTES = 1 << 16
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def text_lines(handle: io.BufferedReader, uri: str) -> Iterator[str]:
    """Reads a text manifest a line at a time, each with its line end.

    Raises:
        InputError: If a line is longer than MAX_LINE_BYTES or not UTF-8, or the file is damaged,
            gives more than is allowed, or is in another encoding.
    """
    text = _as_utf8(handle, uri)
    for number in itertools.count(1):
        line = text.readline(MAX_LINE_BYTES + 1)
        if not line:
            return
        if len(line) > MAX_LINE_BYTES:
            raise InputError(f"{uri}:{number}: longer than {MAX_LINE_BYTES:,} bytes")
        try:
            # A spreadsheet begins its csv with the three bytes of a byte order mark.
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{uri}:{number}: not UTF-8: {error}; save it as UTF-8") from error


def text_chunks(handle: io.BufferedReader, uri: str) -> Iterator[str]:
    """Reads a text manifest in pieces of up to 64 KiB, wherever its lines end.

    Raises:
        InputError: As text_lines, but for the length of a line.
    """
    text = _as_utf8(handle, uri)
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    is_at_end = False
    while not is_at_end:
        chunk = text.read(_CHUNK_BYTES)
        is_at_end = not chunk
        try:
            yield decoder.decode(chunk, final=is_at_end)
        except UnicodeDecodeError as error:
            raise InputError(f"{uri}: not UTF-8: {error}; save it as UTF-8") from error


def _as_utf8(handle: io.BufferedReader, uri: str) -> io.BufferedReader:
    if packing_of(handle.peek(2)) is Packing.GZIP:
        handle = _buffered(_Unpacked(handle, uri))
    beginning = handle.peek(4)[:4]
    if beginning.startswith(_UTF16_MARKS) and beginning[2:] != b"\0\0":
        return _buffered(_Utf8OfUtf16(handle, uri))
    if b"\0" in beginning:
        raise InputError(
            f"{uri}: begins with zero bytes, as UTF-32 has, or UTF-16 without a byte order mark; "
            "wanted UTF-8, or UTF-16 with that mark: save it as UTF-8"
        )
    return handle


def _buffered(raw: io.RawIOBase) -> io.BufferedReader:
    return io.BufferedReader(raw, buffer_size=_CHUNK_BYTES)


class _Unpacked(io.RawIOBase):
    """What is in a gzip file, as long as it is in proportion."""

    def __init__(self, packed: io.BufferedReader, uri: str) -> None:
        self._packed = packed
        self._uri = uri
        self._stream = gzip.GzipFile(fileobj=packed)
        self._unpacked_bytes = 0

    def readable(self) -> bool:
        """Says that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Unpacks into a buffer, as io.RawIOBase says.

        Raises:
            InputError: If the file is damaged, or gives too much.
        """
        try:
            content = self._stream.read1(len(buffer))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"{self._uri}: damaged gzip: {error}; put the whole file there") from (
                error
            )
        self._unpacked_bytes += len(content)
        most = FREE_BYTES + MAX_RATIO * self._packed.tell()
        if self._unpacked_bytes > most:
            raise InputError(
                f"{self._uri}: its gzip gives more than {MAX_RATIO} times its bytes, which no list "
                "does; if you trust it, unpack it first"
            )
        buffer[: len(content)] = content
        return len(content)


class _Utf8OfUtf16(io.RawIOBase):
    """Text in UTF-16, as UTF-8."""

    def __init__(self, stored: io.BufferedReader, uri: str) -> None:
        self._stored = stored
        self._uri = uri
        self._decoder = codecs.getincrementaldecoder("utf-16")()
        self._read_bytes = 0
        self._left = b""

    def readable(self) -> bool:
        """Says that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Writes the next of the text into a buffer, as io.RawIOBase says.

        Raises:
            InputError: If it is not UTF-16.
        """
        is_at_end = False
        while not self._left and not is_at_end:
            chunk = self._stored.read(_CHUNK_BYTES)
            is_at_end = not chunk
            try:
                self._left = self._decoder.decode(chunk, final=is_at_end).encode()
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{self._uri}: begins as UTF-16, and is none after byte {self._read_bytes:,}: "
                    f"{error.reason}; save it as UTF-8"
                ) from error
            self._read_bytes += len(chunk)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count
