"""The contents of a zip's members, one at a time, each within the sizes that its directory says.

No byte is of two members: data that overlap are how a small archive becomes a very large one. To
know that, 8 bytes are held of every member.

Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, version 6.3.10, 4.3 and 4.4;
    D. Fifield, "A better zip bomb", WOOT 2019.
"""

import struct
import zlib
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from transforms.errors import CorruptRecordError
from transforms.files.zip_directory import SEE_64, ZipDirectory, ZipMember

_STORED, _DEFLATED = 0, 8
_OTHER_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz", 99: "AES"}

_HEADER = struct.Struct("<4s5H3L2H")
_SIZES_COME_LATER = 8


class ZipArchive:
    """Reads an archive by its directory.

    Attributes:
        directory: The members.
    """

    def __init__(self, handle: BinaryIO) -> None:
        """Takes an open file, and finds its directory; raises as ZipDirectory."""
        self.directory = ZipDirectory(handle)
        self._handle = handle
        self._offsets: npt.NDArray[np.uint64] | None = None

    def read(self, member: ZipMember) -> bytes:
        """Reads the content of a member. It is held whole: the caller has looked at its size.

        Raises:
            CorruptRecordError: If it is damaged, encrypted, compressed in another way than by
                deflate, or shares bytes with another member, as those of zip bombs do.
            TruncatedFileError: If the directory is damaged.
            OSError: If the storage fails; trying again may help.
        """
        if member.is_encrypted:
            raise CorruptRecordError("it is encrypted; wanted one that needs no password")
        if member.method not in (_STORED, _DEFLATED):
            method = _OTHER_METHODS.get(member.method, "another way")
            raise CorruptRecordError(
                f"it is compressed by {method} (method {member.method}); wanted deflate, or none"
            )
        # Deflate makes nothing twice as long, so that what is read is bounded as the image is.
        is_stored = member.method == _STORED
        most = member.size_bytes if is_stored else 2 * member.size_bytes + 1024
        if member.stored_bytes > most or (is_stored and member.stored_bytes < most):
            raise CorruptRecordError(
                f"it has {member.stored_bytes:,} bytes in the archive, which are not to become "
                f"{member.size_bytes:,}"
            )
        start = self._content_start(member)
        stop = start + member.stored_bytes
        if stop > self._next_offset(member):
            raise CorruptRecordError("its bytes are those of another member, too: a zip bomb?")
        content = self._read(start, stop)
        if member.method == _DEFLATED:
            content = _inflated(content, member.size_bytes)
        if zlib.crc32(content) != member.checksum:
            raise CorruptRecordError("it has another checksum than the archive says")
        return content

    def _content_start(self, member: ZipMember) -> int:
        """Reads a member's own header, which must say what the directory does.

        Raises:
            CorruptRecordError: If it does not.
        """
        stop = member.offset + _HEADER.size
        behind = stop + len(member.stored_name)
        header = self._read(member.offset, behind) if behind <= self.directory.start else b""
        if not header.startswith(b"PK\3\4"):
            raise CorruptRecordError(f"no header of it at byte {member.offset}")
        fields = _HEADER.unpack_from(header)
        flags, method = fields[2:4]
        *numbers, name_bytes, extra_bytes = fields[6:]
        said = (member.checksum, member.stored_bytes, member.size_bytes)
        is_same = all(
            number in (wanted, SEE_64) or flags & _SIZES_COME_LATER
            for number, wanted in zip(numbers, said, strict=True)
        )
        if (
            not is_same
            or method != member.method
            or name_bytes != len(member.stored_name)
            or header[_HEADER.size :] != member.stored_name
        ):
            raise CorruptRecordError("its own header says something else than the directory")
        return behind + extra_bytes

    def _next_offset(self, member: ZipMember) -> int:
        """Returns where the next member starts; its own place, if two start there."""
        if self._offsets is None:
            self._offsets = self.directory.offsets()
        first = np.searchsorted(self._offsets, np.uint64(member.offset), "left")
        after = np.searchsorted(self._offsets, np.uint64(member.offset), "right")
        if after - first > 1:
            return member.offset
        return int(self._offsets[after]) if after < len(self._offsets) else self.directory.start

    def _read(self, start: int, stop: int) -> bytes:
        self._handle.seek(start)
        content = self._handle.read(stop - start)
        if len(content) < stop - start:
            raise CorruptRecordError(f"the file ends at byte {start + len(content)} meanwhile")
        return content


def _inflated(content: bytes, size_bytes: int) -> bytes:
    """Unpacks a deflate stream of a size that is known, and never more than a byte beyond.

    Raises:
        CorruptRecordError: If it is damaged, or of another size.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        unpacked = stream.decompress(content, size_bytes + 1)
    except zlib.error as error:
        raise CorruptRecordError(f"its deflate stream is damaged ({error})") from error
    if len(unpacked) != size_bytes or not stream.eof:
        raise CorruptRecordError(f"its deflate stream does not become {size_bytes:,} bytes")
    return unpacked
