"""Makes tar files: as WebDataset writes them, and headers that no writer makes."""

import bz2
import gzip
import io
import lzma
import pathlib
import tarfile
from collections.abc import Callable, Mapping

import pyarrow as pa

Members = Mapping[str, bytes]


def _zstd(content: bytes) -> bytes:
    return bytes(pa.compress(content, "zstd", asbytes=True))


PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".tgz": gzip.compress,
    ".bz2": bz2.compress,
    ".tbz2": bz2.compress,
    ".xz": lzma.compress,
    ".txz": lzma.compress,
    ".zst": _zstd,
}
"""What compresses an archive, by the end of its name."""


def write_tar(path: pathlib.Path, members: Members, format: int = tarfile.PAX_FORMAT) -> None:
    """Writes files into an archive, compressed if its name says so."""
    stream = io.BytesIO()
    with tarfile.TarFile(fileobj=stream, mode="w", format=format) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    written = stream.getvalue()
    pack = PACKERS.get(path.suffix.lower())
    path.write_bytes(pack(written) if pack else written)


def header(name: str, size_bytes: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Makes one header block, which may claim any size."""
    member = tarfile.TarInfo(name)
    member.size = size_bytes
    member.type = kind
    return member.tobuf(tarfile.GNU_FORMAT)[-512:]


def padded(content: bytes) -> bytes:
    """Fills the last block."""
    return content + bytes(-len(content) % 512)


END = bytes(1024)
"""The mark that ends an archive."""
