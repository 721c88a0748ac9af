"""A store of objects without directories, in memory: what gs:// is like, without a network."""

import io
from collections.abc import Iterator
from typing import BinaryIO, cast

from apache_beam.io.filesystem import (
    CompressedFile,
    CompressionTypes,
    FileMetadata,
    FileSystem,
)
from google.api_core.exceptions import Forbidden, NotFound

OBJECTS: dict[str, bytes | None] = {}
"""Content by URI; None may not be read. Empty it after use."""


CLOSED: dict[str, Exception] = {}
"""What listing a prefix, or more than it, raises. Empty it after use."""


class MemoryFileSystem(FileSystem):
    @classmethod
    def scheme(cls) -> str:
        return "memory"

    def has_dirs(self) -> bool:
        return False

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        for prefix, error in CLOSED.items():
            if prefix.startswith(dir_or_prefix):
                raise error
        for uri in sorted(OBJECTS):
            if uri.startswith(dir_or_prefix):
                yield self.metadata(uri)

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, len(OBJECTS[path] or b""), 1_600_000_000.5)

    def exists(self, path: str) -> bool:
        return path in OBJECTS

    def open(
        self,
        path: str,
        mime_type: str = "application/octet-stream",
        compression_type: str = CompressionTypes.AUTO,
    ) -> BinaryIO:
        if path not in OBJECTS:
            raise NotFound(path)
        content = OBJECTS[path]
        if content is None:
            raise Forbidden(path)
        compression_type = FileSystem._get_compression_type(path, compression_type)
        if compression_type == CompressionTypes.UNCOMPRESSED:
            return io.BytesIO(content)
        return cast(
            BinaryIO, CompressedFile(io.BytesIO(content), compression_type=compression_type)
        )

    def _unused(self, *arguments: object, **options: object) -> None:
        raise NotImplementedError

    join = split = mkdirs = create = copy = rename = _unused  # type: ignore[assignment]
    size = last_updated = checksum = delete = _unused  # type: ignore[assignment]
