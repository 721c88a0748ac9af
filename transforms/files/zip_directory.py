"""The directory of a zip, which is at its end, gone through as it is read.

The standard library's ZipFile holds an object of 700 bytes for every member; ImageNet as Kaggle
packs it has two million.

An archive of a.txt, which holds "cat", stored as it is:

    byte  0  header of a.txt: its sizes, and its name behind it
         35  "cat"
         38  the directory: an entry of a.txt, with its sizes and that its header is at byte 0
         89  the record that ends it: one entry, 51 bytes, from byte 38 on

Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, version 6.3.10, 4.3 and 4.5;
    https://libzip.org/specifications/extrafld.txt, "Info-ZIP Unicode Path Extra Field".
"""

import array
import contextlib
import dataclasses
import os
import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from transforms.errors import TruncatedFileError
from transforms.files.uris import REST_LOST

MAX_DIRECTORY_BYTES = 512 << 20
"""Of a directory; those of several million members have as many."""

_ENTRY = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END_LOCATOR_64 = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_MAX_COMMENT_BYTES = 0xFFFF
SEE_64 = 0xFFFFFFFF
"""What a field of 32 bits holds whose value is in an extra one of 64."""

_IS_ENCRYPTED, _IS_UTF8 = 1, 1 << 11
_UNIX = 3
_EXTRA_64, _EXTRA_UNICODE_PATH = 0x0001, 0x7075
_CHUNK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class ZipMember:
    """One member, by the directory.

    Attributes:
        name: Path as stored, without "./" before it, in UTF-8 or code page 437.
        stored_name: Bytes of it.
        place: Byte at which its entry starts in the directory.
        offset: Byte of the file at which its header starts.
        stored_bytes: Size of its content in the archive.
        size_bytes: Size of its content, unpacked.
        checksum: CRC-32 of its content, unpacked.
        method: Number of the way in which it is compressed.
        is_encrypted: Whether a password is needed.
        is_file: Whether it is a plain file: no directory, no link.
    """

    name: str
    stored_name: bytes
    place: int
    offset: int
    stored_bytes: int
    size_bytes: int
    checksum: int
    method: int
    is_encrypted: bool
    is_file: bool


class ZipDirectory:
    """Goes through the directory of an archive, as often as it is asked to.

    Attributes:
        start: Byte of the file at which it starts, and the members end.
    """

    def __init__(self, handle: BinaryIO) -> None:
        """Takes an open file, and finds its directory.

        Raises:
            TruncatedFileError: If there is none: the file is cut, or no zip.
            OSError: If the storage fails; trying again may help.
        """
        self._handle = handle
        self.start, self._stop, self._prefix_bytes = self._find()

    def members(self, start: int | None = None, stop: int | None = None) -> Iterator[ZipMember]:
        """Yields the members in the order of the directory.

        Args:
            start: Place of the first; None begins with the directory.
            stop: Place of the first that is not wanted; None goes on to the directory's end.

        Raises:
            TruncatedFileError: If the directory is damaged.
            OSError: If the storage fails; trying again may help.
        """
        for place, fields, tail in self._entries(start, stop):
            yield self._member(place, fields, tail)

    def offsets(self) -> npt.NDArray[np.uint64]:
        """Returns the byte at which each member's header starts, or `start` if that is beyond it.

        Returns:
            Ascending bytes of the file, of shape [members].

        Raises:
            TruncatedFileError: If the directory is damaged.
            OSError: If the storage fails; trying again may help.
        """
        found = array.array("Q")
        for place, fields, tail in self._entries(None, None):
            offset = fields[-1]
            if offset == SEE_64:
                *_, offset = self._numbers(place, fields, _extra_fields(tail[fields[9] :]))
            found.append(min(self._prefix_bytes + offset, self.start))
        return np.sort(np.frombuffer(found, np.uint64))

    def _find(self) -> tuple[int, int, int]:
        """Returns where it is, and the bytes before what its offsets count from."""
        file_bytes = self._handle.seek(0, os.SEEK_END)
        tail_start = max(0, file_bytes - _END.size - _MAX_COMMENT_BYTES)
        tail = self._read(tail_start, file_bytes)
        found = len(tail)
        while (found := tail.rfind(b"PK\5\6", 0, found)) >= 0:
            if found + _END.size <= len(tail):
                fields = _END.unpack_from(tail, found)
                if found + _END.size + fields[-1] == len(tail):
                    break
        else:
            raise self._damage("no directory at its end: it is cut, or no zip")
        _, disk, first_disk, _, count, size_bytes, offset, _ = fields
        stop = tail_start + found
        if 0xFFFF in (disk, first_disk, count) or SEE_64 in (size_bytes, offset):
            at = stop - _END_LOCATOR_64.size
            locator = self._read(at, stop) if at >= _END_64.size else b""
            if locator.startswith(b"PK\6\7"):  # Else the numbers are meant as they are.
                stop = at - _END_64.size
                end = _END_64.unpack(self._read(stop, at))
                if end[0] != b"PK\6\6":
                    raise self._damage("no record of 64 bits that ends the directory")
                disk, first_disk, size_bytes, offset = end[4], end[5], end[8], end[9]
        if disk or first_disk:
            raise self._damage("it is the last of several files that one archive was split into")
        # Archives that unpack themselves have a program before what their offsets count from.
        prefix_bytes = stop - size_bytes - offset
        if prefix_bytes < 0:
            raise self._damage("the directory does not end where it says: bytes are missing")
        if size_bytes > MAX_DIRECTORY_BYTES:
            raise self._damage(
                f"a directory of {size_bytes:,} bytes, more than {MAX_DIRECTORY_BYTES:,}"
            )
        return stop - size_bytes, stop, prefix_bytes

    def _entries(
        self, start: int | None, stop: int | None
    ) -> Iterator[tuple[int, tuple[int, ...], bytes]]:
        """Yields each entry's place, its numbers, and its name and extra fields behind them."""
        place = self.start if start is None else start
        end = self._stop
        last = end if stop is None else stop
        chunk_start, chunk = place, b""
        while place < last:
            at = place - chunk_start
            # An entry has no more than three times 64 kB behind it.
            if len(chunk) - at < _ENTRY.size + 3 * 0xFFFF and chunk_start + len(chunk) < end:
                chunk_start, at = place, 0
                chunk = self._read(place, min(place + _CHUNK_BYTES, end))
            if len(chunk) - at < _ENTRY.size or not chunk.startswith(b"PK\1\2", at):
                raise self._damage(f"the directory is damaged at byte {place}")
            fields = _ENTRY.unpack_from(chunk, at)[1:]
            name_bytes, extra_bytes, comment_bytes = fields[9:12]
            behind = at + _ENTRY.size
            size_bytes = _ENTRY.size + name_bytes + extra_bytes + comment_bytes
            if place + size_bytes > end:
                raise self._damage(f"the directory is damaged at byte {place}")
            yield place, fields, chunk[behind : behind + name_bytes + extra_bytes]
            place += size_bytes

    def _member(self, place: int, fields: tuple[int, ...], tail: bytes) -> ZipMember:
        made_by, _, flags, method, _, _, checksum, _, _, name_bytes, *_, attributes, _ = fields
        stored_name, extra = tail[:name_bytes], _extra_fields(tail[name_bytes:])
        size, stored, offset = self._numbers(place, fields, extra)
        is_of_unix = made_by >> 8 == _UNIX
        name = _name(
            stored_name, extra.get(_EXTRA_UNICODE_PATH, b""), bool(flags & _IS_UTF8), is_of_unix
        )
        is_plain = not is_of_unix or stat.S_IFMT(attributes >> 16) in (0, stat.S_IFREG)
        return ZipMember(
            name=name.removeprefix("./"),
            stored_name=stored_name,
            place=place,
            offset=self._prefix_bytes + offset,
            stored_bytes=stored,
            size_bytes=size,
            checksum=checksum,
            method=method,
            is_encrypted=bool(flags & _IS_ENCRYPTED),
            is_file=is_plain and not name.endswith("/"),
        )

    def _numbers(
        self, place: int, fields: tuple[int, ...], extra: Mapping[int, bytes]
    ) -> tuple[int, int, int]:
        """Returns a member's size, unpacked and in the archive, and its offset."""
        own = (fields[8], fields[7], fields[-1])
        numbers = _numbers_of_64_bits(own, extra.get(_EXTRA_64, b"")) if SEE_64 in own else own
        if numbers is None:
            raise self._damage(f"the directory is damaged at byte {place}")
        return numbers

    def _read(self, start: int, stop: int) -> bytes:
        self._handle.seek(start)
        content = self._handle.read(stop - start)
        if len(content) < stop - start:
            raise self._damage(f"the file ends at byte {start + len(content)} meanwhile")
        return content

    def _damage(self, what: str) -> TruncatedFileError:
        return TruncatedFileError(f"{what}; {REST_LOST}")


def _extra_fields(extra: bytes) -> dict[int, bytes]:
    """Splits extra fields, each a number, a size and its bytes; ends where they are damaged."""
    fields: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(extra):
        number, size_bytes = struct.unpack_from("<2H", extra, at)
        fields.setdefault(number, extra[at + 4 : at + 4 + size_bytes])
        at += 4 + size_bytes
    return fields


def _numbers_of_64_bits(numbers: tuple[int, int, int], extra: bytes) -> tuple[int, int, int] | None:
    """Puts the numbers of an extra field in the place of those that refer to it; None if it ends.

    Of (0xFFFFFFFF, 7, 0xFFFFFFFF) and the numbers 5,000,000,000 and 9 it makes
    (5,000,000,000, 7, 9).
    """
    found = []
    at = 0
    for number in numbers:
        if number == SEE_64:
            if at + 8 > len(extra):
                return None
            (number,) = struct.unpack_from("<Q", extra, at)
            at += 8
        found.append(number)
    return found[0], found[1], found[2]


def _name(stored: bytes, unicode_path: bytes, is_utf8: bool, is_of_unix: bool) -> str:
    if is_utf8:
        return stored.decode(errors="backslashreplace")
    # A version, the checksum of the name that it stands for, and the name in UTF-8.
    checksum = zlib.crc32(stored).to_bytes(4, "little")
    if unicode_path.startswith(b"\1" + checksum):
        return unicode_path[5:].decode(errors="backslashreplace")
    if is_of_unix:  # There programs write names as they are, which are UTF-8 now, and say nothing.
        with contextlib.suppress(UnicodeDecodeError):
            return stored.decode()
    return stored.decode("cp437")
