"""Makes zip files: as the standard library writes them, and parts that no writer makes."""

import binascii
import pathlib
import struct
import zipfile
from collections.abc import Mapping


def write_zip(
    path: pathlib.Path, members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED
) -> None:
    """Writes files into an archive."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def stored(name: bytes, content: bytes, extra: bytes = b"") -> bytes:
    """Makes a header and what is stored behind it."""
    checksum, size = binascii.crc32(content), len(content)
    numbers = (20, 0, 0, 0, 0, checksum, size, size, len(name), len(extra))
    return struct.pack("<4s5H3L2H", b"PK\3\4", *numbers) + name + extra + content


def entry(
    name: bytes,
    content: bytes,
    offset: int,
    *,
    flags: int = 0,
    made_by: int = 0,
    extra: bytes = b"",
    sizes: tuple[int, int] | None = None,
) -> bytes:
    """Makes an entry of a directory, of a member that is stored as it is; sizes may lie."""
    numbers = (made_by << 8 | 20, 20, flags, 0, 0, 0, binascii.crc32(content))
    lengths = (len(name), len(extra), 0, 0, 0, 0, offset)
    sizes = sizes or (len(content), len(content))
    return struct.pack("<4s6H3L5H2L", b"PK\1\2", *numbers, *sizes, *lengths) + name + extra


def end(directory: bytes, offset: int, comment: bytes = b"") -> bytes:
    """Makes the record that ends an archive."""
    numbers = (0, 0, 0, 0, len(directory), offset, len(comment))
    return struct.pack("<4s4H2LH", b"PK\5\6", *numbers) + comment
