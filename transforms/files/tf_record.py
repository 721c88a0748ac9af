"""TFRecord framing: records in a file, each with checksums of its length and its data.

The record b"cat" is 19 bytes, in hexadecimal:

    03 00 00 00 00 00 00 00  b0 99 49 0e  63 61 74  86 fd d1 6f
    length                   its CRC      "cat"     CRC of "cat"

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details":
    uint64 length, uint32 masked CRC-32C of length, byte data[length], uint32 masked CRC-32C of
    data, all little-endian; masked = ((crc >> 15) | (crc << 17)) + 0xa282ead8.
"""

import contextlib
import dataclasses
import gzip
import re
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Protocol

import google_crc32c

from transforms.errors import (
    CorruptRecordError,
    FileTooLargeError,
    ImageError,
    TruncatedFileError,
)
from transforms.files.packing import Packing, inflate_beginning, packing_of
from transforms.files.uris import REST_LOST, open_to_skim, open_unpacked

_HEADER = struct.Struct("<QI")
_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_GZIP_NAME = re.compile(r"\.gz(-\d+-of-\d+)?$", re.IGNORECASE)
_CHUNK_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One record whose checksums are right.

    Attributes:
        index: Place in the file, counted from 0; damaged records count.
        offset: Start of its frame, in uncompressed bytes.
        data: Content, without the frame.
    """

    index: int
    offset: int
    data: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class DamagedRecord:
    """One record that cannot be given, or the rest of the file from there on.

    Attributes:
        index: Place in the file, counted from 0.
        offset: Start of its frame, in uncompressed bytes.
        error: Reason that it cannot be given.
    """

    index: int
    offset: int
    error: ImageError


class SupportsWrite(Protocol):
    """Anything that a record can be written to."""

    def write(self, data: bytes, /) -> int:
        """Writes data and returns its length."""


class _EndOfReadableError(Exception):
    """Nothing after this point can be found."""


def open_tfrecord(uri: str) -> contextlib.AbstractContextManager[BinaryIO]:
    """Opens a TFRecord file; see open_unpacked."""
    return open_unpacked(uri, _packing)


def skim_tfrecord(uri: str) -> contextlib.AbstractContextManager[BinaryIO | None]:
    """Opens a TFRecord file to find its records; see open_to_skim."""
    return open_to_skim(uri, _packing)


def record_offsets(handle: BinaryIO, size_bytes: int) -> Iterator[int]:
    """Finds where each record starts, and reads nothing but their headers.

    It ends where the file does, or where damage hides the next record.

    Args:
        handle: The file, not packed, at its start.
        size_bytes: Size of the file.

    Raises:
        OSError: If the storage fails; trying again may help.
    """
    offset = 0
    while offset < size_bytes:
        try:
            length = _checked_length(handle.read(_HEADER.size))
        except _EndOfReadableError:
            return
        yield offset
        offset += _HEADER.size + length + _CHECKSUM.size
        handle.seek(min(offset, size_bytes))


def is_tfrecord(beginning: bytes) -> bool:
    """Tells a TFRecord by a file's first bytes, also through gzip or zlib.

    Twelve bytes prove it: a length, and the checksum of that.
    """
    if _begins_a_record(beginning):
        return True
    if packing_of(beginning) is Packing.NONE:
        return False
    try:
        return _begins_a_record(inflate_beginning(beginning, _HEADER.size))
    except zlib.error:
        return False


def _begins_a_record(beginning: bytes) -> bool:
    header = beginning[: _HEADER.size]
    is_whole = len(header) == _HEADER.size
    return is_whole and _masked_checksum(header[: _LENGTH.size]) == header[_LENGTH.size :]


def _packing(uri: str, beginning: bytes) -> Packing:
    """Tells how a file is packed: by a record at its beginning or inside of it, or its name."""
    if _begins_a_record(beginning):
        return Packing.NONE
    if _GZIP_NAME.search(uri):
        return Packing.GZIP
    if not is_tfrecord(beginning):
        return Packing.NONE
    return packing_of(beginning)


def read_records(
    handle: BinaryIO,
    *,
    max_record_bytes: int,
    index: int = 0,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[Record | DamagedRecord]:
    """Reads records in order, checking their checksums.

    Damaged data costs one record. A damaged length, a cut file or a broken gzip stream hides where
    the next record starts: it ends the file with one DamagedRecord.

    Args:
        handle: Opened by open_tfrecord; at start.
        max_record_bytes: Larger records are passed over without being held in memory.
        index: Index of the first record to read.
        start: Byte at which it starts.
        stop: Byte at which the first record starts that is not wanted; None reads to the end.

    Raises:
        OSError: If the storage fails; trying again may help.
    """
    offset = start
    while offset != stop:
        try:
            header = handle.read(_HEADER.size)
            if not header and stop is None:
                return
            length = _checked_length(header)
            next_offset = offset + _HEADER.size + length + _CHECKSUM.size
            if stop is not None and next_offset > stop:
                raise _EndOfReadableError(f"no record ends at byte {stop}, as one did before")
            data = _read_data(handle, length, max_record_bytes)
        except _EndOfReadableError as end:
            yield DamagedRecord(index, offset, TruncatedFileError(f"{end}; {REST_LOST}"))
            return
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            reason = f"the gzip stream is damaged ({error}; offsets are after decompression)"
            yield DamagedRecord(index, offset, TruncatedFileError(f"{reason}; {REST_LOST}"))
            return
        if isinstance(data, bytes):
            yield Record(index, offset, data)
        else:
            yield DamagedRecord(index, offset, data)
        index += 1
        offset = next_offset


def write_record(handle: SupportsWrite, data: bytes) -> None:
    """Writes a record in its frame: the length, the data, and a checksum of each."""
    length = _LENGTH.pack(len(data))
    handle.write(length + _masked_checksum(length) + data + _masked_checksum(data))


def _masked_checksum(data: bytes) -> bytes:
    return _mask(google_crc32c.value(data))


def _mask(checksum: int) -> bytes:
    rotated = (checksum >> 15) | (checksum << 17)
    return _CHECKSUM.pack((rotated + 0xA282EAD8) & 0xFFFFFFFF)


def _checked_length(header: bytes) -> int:
    if len(header) < _HEADER.size:
        raise _EndOfReadableError("the file ends inside a record's header")
    if _masked_checksum(header[: _LENGTH.size]) != header[_LENGTH.size :]:
        raise _EndOfReadableError("the checksum of the record's length is wrong")
    (length,) = _LENGTH.unpack_from(header)
    return length


def _read_data(handle: BinaryIO, length: int, max_record_bytes: int) -> bytes | ImageError:
    # A record that is too large is read for its checksum all the same, a chunk at a time: the next
    # one starts behind it.
    held, checksum, remaining = [], 0, length
    while remaining:
        chunk = handle.read(min(remaining, _CHUNK_BYTES))
        if not chunk:
            raise _EndOfReadableError(f"the file ends inside a record of {length:,} bytes")
        checksum = google_crc32c.extend(checksum, chunk)
        remaining -= len(chunk)
        if length <= max_record_bytes:
            held.append(chunk)
    footer = handle.read(_CHECKSUM.size)
    if len(footer) < _CHECKSUM.size:
        raise _EndOfReadableError("the file ends inside a record's checksum")
    if footer != _mask(checksum):
        return CorruptRecordError("the checksum of the record's data is wrong")
    if length > max_record_bytes:
        return FileTooLargeError(f"a record of {length:,} bytes, more than {max_record_bytes:,}")
    return b"".join(held)
