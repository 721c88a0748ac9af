"""Tar framing: the members of an archive, in order, and no more of them than is asked for.

The standard library parses a header, but does not walk the archive: its TarFile takes a damaged
header for the end, reads extended headers of any size, and keeps every member it has seen.

An archive is blocks of 512 bytes. One of a.txt, which holds "cat", and of é.txt, which is empty:

    byte    0  header of a.txt: size "00000000003", in octal, and type "0", a file
          512  "cat" and 509 zeros
         1024  header of type "x", which extends the one behind its content: size "00000000017"
         1536  "15 path=é.txt" and a line end, which are 15 bytes, and zeros
         2048  header of a name in ASCII, "?.txt", for readers that know no extensions: size 0
         2560  zeros to byte 10240; one block of them is a mark that ends the archive

Its members are a.txt at byte 0 and é.txt at byte 1024.

Source: https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html, "pax Interchange
    Format" and "ustar Interchange Format"; https://www.gnu.org/software/tar/manual/html_node/
    Standard.html for GNU's long names and sparse files.
"""

import contextlib
import dataclasses
import gzip
import itertools
import re
import tarfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from transforms.errors import TruncatedFileError
from transforms.files.packing import DamagedStreamError, Packing
from transforms.files.tar_padding import MAX_PADDING_BYTES, Padding
from transforms.files.uris import PART_LOST, REST_LOST, open_to_skim, open_unpacked, stored_offset

MAX_EXTENSION_BYTES = 1 << 20
"""Of a header that extends another, with a long name or pax records; most have a few hundred."""

_PACKINGS = {
    Packing.GZIP: ((".gz", ".tgz"), b"\x1f\x8b"),
    Packing.BZIP2: ((".bz2", ".tbz2", ".tbz"), b"BZh"),
    Packing.XZ: ((".xz", ".txz"), b"\xfd7zXZ\0"),
    Packing.ZSTD: ((".zst", ".tzst"), b"\x28\xb5\x2f\xfd"),
}
"""Ends of the names of packed archives, and how their bytes begin."""

_BLOCK_BYTES = tarfile.BLOCKSIZE
_MAGIC_AT, _MAGIC = 257, b"ustar"  # Of a header, but for those of before 1988.
_GNU_MAGIC = b"ustar  \0"
_CHUNK_BYTES = 1 << 20
_PAX_TYPES = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_EXTENSION_TYPES = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XGLTYPE,
    *_PAX_TYPES,
)
_SPARSE_GOES_ON = 482, 504  # Where GNU's sparse header, and each block after it, says so.
_PAX_SPARSE = "GNU.sparse."


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive.

    Attributes:
        name: Path as stored, without "./" before it; a byte that is not UTF-8 is written as its
            escape.
        offset: Start of its header, in uncompressed bytes.
        size_bytes: Size of its content in the archive.
        is_directory: Whether it is a directory.
        is_file: Whether it is a file stored whole: no link, no device, not sparse.
    """

    name: str
    offset: int
    size_bytes: int
    is_directory: bool
    is_file: bool


class TarArchive:
    """Walks an archive once, forwards.

    Attributes:
        offset: End of what has been read, in uncompressed bytes.
    """

    def __init__(
        self,
        handle: BinaryIO,
        *,
        start: int = 0,
        stop: int | None = None,
        skim_bytes: int | None = None,
    ) -> None:
        """Takes an open file.

        Args:
            handle: The file, unpacked, at start.
            start: Byte at which a member starts, the first to be read.
            stop: Byte at which the first member starts that is not wanted; None reads to the end.
            skim_bytes: Size of the file, if what is not read shall be sought over.
        """
        self.offset = start
        self._handle = handle
        self._stop = stop
        self._skim_bytes = skim_bytes
        self._unread_bytes = 0
        self._padding_bytes = 0

    @property
    def stored_offset(self) -> int:
        """How far it has come, in bytes as they are stored."""
        return stored_offset(self._handle)

    def members(self) -> Iterator[Member]:
        """Yields the members in order, also of archives put one behind the other.

        An empty file has none. Damage hides where the next member starts, and ends the iteration;
        of zeros in the place of members the end tells.

        Raises:
            TruncatedFileError: If the file is damaged, or has no mark at its end: it may be cut.
            OSError: If the storage fails; trying again may help.
        """
        is_ended, end, padding = True, self.offset, Padding(self.offset)
        while self.offset != self._stop and (block := self._read_block(may_end=True)):
            is_ended = not any(block)
            if not is_ended:
                padding.pass_over(end, self.offset - _BLOCK_BYTES)
                yield self._member(block)
                self._skip()
                end = self.offset
            elif self.offset - end > MAX_PADDING_BYTES:
                most = f"{MAX_PADDING_BYTES:,} bytes from byte {end}"
                raise self._damage(f"more zeros than any archive ends in, {most}")
        if padding.hole:
            raise TruncatedFileError(f"{padding.hole}; {PART_LOST}")
        if self._stop is not None:
            if self.offset != self._stop:
                raise self._damage(f"no member ends at byte {self._stop}, as one did before")
        elif not is_ended:
            raise self._damage("the file ends without the mark that ends an archive")
        elif not padding.may_end(end, self.offset):
            raise self._damage(f"more zeros than end an archive of its size, from byte {end}")

    def read(self) -> bytes:
        """Reads the content of the member given last, once, before the next is asked for.

        It is held whole: the caller has looked at its size.

        Raises:
            TruncatedFileError: If the file ends inside it.
            OSError: If the storage fails; trying again may help.
        """
        content = self._read(self._unread_bytes)
        self._unread_bytes = 0
        return content

    def _member(self, block: bytes) -> Member:
        offset = self.offset - _BLOCK_BYTES
        name = ""
        records: dict[str, str] = {}
        while (header := self._header(block)).type in _EXTENSION_TYPES:
            content = self._extension(header)
            if header.type == tarfile.GNUTYPE_LONGNAME:
                name = content.partition(b"\0")[0].decode(errors="backslashreplace")
            elif header.type in _PAX_TYPES:
                records = self._pax_records(content)
            block = self._read_block()
        is_gnu_sparse = header.type == tarfile.GNUTYPE_SPARSE
        if is_gnu_sparse:
            self._pass_sparse_map(block)
        size_bytes = self._size(header, records.get("size"))
        has_content = header.isreg() or header.type not in tarfile.SUPPORTED_TYPES
        self._expect(size_bytes if has_content else 0)
        if not name and block.startswith(_GNU_MAGIC, _MAGIC_AT):  # Times are in the prefix's place.
            name = block[:100].partition(b"\0")[0].decode(errors="backslashreplace").rstrip("/")
        name = records.get(_PAX_SPARSE + "name") or records.get("path") or name or header.name
        is_sparse = is_gnu_sparse or any(key.startswith(_PAX_SPARSE) for key in records)
        return Member(
            name=name.removeprefix("./"),
            offset=offset,
            size_bytes=size_bytes,
            is_directory=header.isdir(),
            is_file=header.isreg() and not is_sparse,
        )

    def _header(self, block: bytes) -> tarfile.TarInfo:
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "backslashreplace")
        except tarfile.HeaderError as error:
            what = f"no header of a tar member ({error})"
            raise self._damage(what, -_BLOCK_BYTES) from error

    def _extension(self, header: tarfile.TarInfo) -> bytes:
        size_bytes = self._size(header, None)
        if size_bytes > MAX_EXTENSION_BYTES:
            raise self._damage(
                f"an extended header of {size_bytes:,} bytes, more than {MAX_EXTENSION_BYTES:,}"
            )
        self._expect(size_bytes)
        content = self.read()
        self._skip()
        return content

    def _pax_records(self, content: bytes) -> dict[str, str]:
        """Parses "length key=value" lines; length counts all of the line."""
        records = {}
        position = 0
        while position < len(content):
            digits = content[position : position + 20].partition(b" ")[0]
            end = position + int(digits) if digits.isdigit() else 0
            line = content[position + len(digits) + 1 : end]
            key, equals, value = line.partition(b"=")
            if not equals or not value.endswith(b"\n"):
                raise self._damage("an extended header that is not written as pax says")
            records[key.decode(errors="replace")] = value[:-1].decode(errors="backslashreplace")
            position = end
        return records

    def _size(self, header: tarfile.TarInfo, by_record: str | None) -> int:
        if by_record is None:
            size_bytes = header.size
        else:
            size_bytes = int(by_record) if re.fullmatch("[0-9]{1,19}", by_record) else -1
        if size_bytes < 0:
            raise self._damage("a header with a size that is no number of bytes")
        return size_bytes

    def _pass_sparse_map(self, block: bytes) -> None:
        # Blocks that map the holes come before the content, and are not counted in its size.
        goes_on, after = _SPARSE_GOES_ON
        while block[goes_on]:
            block = self._read_block()
            goes_on = after

    def _expect(self, size_bytes: int) -> None:
        self._unread_bytes = size_bytes
        self._padding_bytes = -size_bytes % _BLOCK_BYTES

    def _skip(self) -> None:
        """Passes over what is left of a member, to the next header."""
        left = self._unread_bytes + self._padding_bytes
        self._expect(0)
        if self._skim_bytes is not None and self.offset + left <= self._skim_bytes:
            self.offset += left
            self._handle.seek(self.offset)
            return
        while left:  # Not sought: a size may claim more than any file has.
            left -= len(self._read(min(left, _CHUNK_BYTES)))

    def _read_block(self, *, may_end: bool = False) -> bytes:
        return self._read(_BLOCK_BYTES, "a header", may_end=may_end)

    def _read(self, size_bytes: int, what: str = "a member", *, may_end: bool = False) -> bytes:
        try:
            content = self._handle.read(size_bytes)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._damage(f"the gzip stream is damaged ({error})") from error
        except DamagedStreamError as error:
            raise self._damage(f"the compressed stream cannot be read ({error})") from error
        # What is cut inside the mark at its end lacks nothing.
        if len(content) < size_bytes and (any(content) or not may_end):
            raise self._damage(f"the file ends inside {what}")
        self.offset += len(content)
        return content

    def _damage(self, what: str, back: int = 0) -> TruncatedFileError:
        return TruncatedFileError(f"{what}, at byte {self.offset + back}; {REST_LOST}")


@contextlib.contextmanager
def open_tar(uri: str) -> Iterator[TarArchive]:
    """Opens a tar file; see open_unpacked."""
    with open_unpacked(uri, _packing) as stored:
        yield TarArchive(stored)


def skim_tar(uri: str) -> contextlib.AbstractContextManager[BinaryIO | None]:
    """Opens a tar file to find its members; see open_to_skim."""
    return open_to_skim(uri, _packing)


def _packing(uri: str, beginning: bytes) -> Packing:
    """Tells how it is packed: by its first bytes, or by its name if these say nothing.

    What `tar czf a.tar` writes is packed, and what a browser unpacked may still be called a.tar.gz.
    """
    if beginning[_MAGIC_AT:].startswith(_MAGIC):
        return Packing.NONE
    name = uri.lower()
    by_name = (packing for packing, (ends, _) in _PACKINGS.items() if name.endswith(ends))
    by_bytes = (packing for packing, (_, magic) in _PACKINGS.items() if beginning.startswith(magic))
    return next(itertools.chain(by_bytes, by_name), Packing.NONE)
