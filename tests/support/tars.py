"""Makes tar files: as WebDataset writes them, and headers that no writer makes."""

import gzip
import io
import pathlib
import tarfile
from collections.abc import Mapping

Members = Mapping[str, bytes]


def write_tar(path: pathlib.Path, members: Members, format: int = tarfile.PAX_FORMAT) -> None:
    """Writes files into an archive, through gzip if its name says so."""
    stream = io.BytesIO()
    with tarfile.TarFile(fileobj=stream, mode="w", format=format) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    written = stream.getvalue()
    path.write_bytes(gzip.compress(written) if path.suffix in (".gz", ".tgz") else written)


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
