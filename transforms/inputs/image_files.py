"""Image files, read a batch at a time with overlapped I/O."""

import functools
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, TypeVar

import pyarrow as pa

from transforms.errors import ImageError, UnlistedError, UnstableImageError
from transforms.files.file_uris import path_of_uri
from transforms.files.uris import (
    is_in_memory,
    is_local,
    open_uri,
    read_remote,
    read_within,
    version_of,
)
from transforms.inputs.columns import FileColumns
from transforms.inputs.members import is_member, read_members
from transforms.inputs.part import PartBuilder, ReadPart, check_size
from transforms.records import ImageRef

REMOTE_READS = 16
"""Files read at a time: enough to hide the latency of object storage."""

LOCAL_READS = 4
"""Files of a disk read at a time. What the page cache holds is read by one thread: several take
turns, and twice as long.
"""

READS = 3
"""Tries at a local file that changes while it is read: half of the old and half of the new."""

FRESH_SECONDS = 0.05
"""A file modified so lately may be in the middle of it: file systems count in steps of 10 ms."""


_Content = bytes | ImageError
_Members = Mapping[str, _Content]
_T = TypeVar("_T")


class ImageFiles:
    """Reads image files on a few threads, which it keeps until it is closed."""

    def __init__(
        self, columns: FileColumns, max_image_bytes: int, *, allow_private_hosts: bool = False
    ) -> None:
        self._columns = columns
        self._max_image_bytes = max_image_bytes
        self._read_slowly = functools.partial(_read, allow_private_hosts=allow_private_hosts)
        self._threads = ThreadPoolExecutor(REMOTE_READS, thread_name_prefix="read-image")

    def read(self, refs: Sequence[ImageRef]) -> ReadPart:
        """Reads one batch of files, in order; one that is absent or too large is a failure.

        An empty file is read: what its bytes are is for the decoder to say.

        Raises:
            OSError: If the storage fails; trying again may help.
        """
        part = PartBuilder()
        uris = [ref.uri for ref in refs if is_member(ref.uri)]
        members = dict(read_members(uris, self._columns, self._max_image_bytes))
        at_hand = self._read_at_hand(refs, members)
        rest = refs[len(at_hand) :]
        reads = REMOTE_READS if any(not _is_local(ref) for ref in rest) else LOCAL_READS
        size = -(-len(rest) // reads) or 1
        parts = [rest[start : start + size] for start in range(0, len(rest), size)]
        others = self._threads.map(lambda part: self._read_several(part, members), parts)
        contents = itertools.chain(at_hand, *others)
        for row, (ref, content) in enumerate(zip(refs, contents, strict=True)):
            if isinstance(content, ImageError):
                part.fail(ref.image_id, ref.uri, content)
            else:
                part.add(row, ref.image_id, ref.uri, content)
        return part.finish(_carried_columns(refs, self._columns.carried))

    def close(self) -> None:
        """Ends the reading threads, also where images still wait."""
        self._threads.shutdown(cancel_futures=True)

    def _read_at_hand(self, refs: Sequence[ImageRef], members: _Members) -> list[_Content]:
        """Reads the first images, up to one that has to be waited for."""
        found: list[_Content] = []
        for ref in refs:
            content = members.get(ref.uri)
            if content is None:
                content = _read_or_error(_read_from_memory, ref, self._max_image_bytes)
            if content is None:
                break
            found.append(content)
        return found

    def _read_several(self, refs: Sequence[ImageRef], members: _Members) -> list[_Content]:
        return [
            members[ref.uri]
            if ref.uri in members
            else _read_or_error(self._read_slowly, ref, self._max_image_bytes)
            for ref in refs
        ]


def _read_or_error(
    read: Callable[[ImageRef, int], _T], ref: ImageRef, max_image_bytes: int
) -> _T | ImageError:
    try:
        if ref.unlisted is not None:
            raise UnlistedError(ref.unlisted)
        if ref.size_bytes is not None:
            check_size(ref.size_bytes, max_image_bytes)
        return read(ref, max_image_bytes)
    except ImageError as error:
        return error


def _is_local(ref: ImageRef) -> bool:
    return is_local(path_of_uri(ref.uri))


def _read_from_memory(ref: ImageRef, max_image_bytes: int) -> bytes | None:
    """Returns a local file that is in the page cache and stays as it is, or None."""
    if not _is_local(ref):
        return None
    with open_uri(ref.uri) as handle:
        return _read_stable(handle, max_image_bytes) if is_in_memory(handle) else None


def _read(ref: ImageRef, max_image_bytes: int, *, allow_private_hosts: bool) -> bytes:
    if not _is_local(ref):
        return read_remote(ref.uri, max_image_bytes, allow_private_hosts=allow_private_hosts)
    for _ in range(READS):
        with open_uri(ref.uri) as handle:
            content = _read_stable(handle, max_image_bytes)
        if content is not None:
            return content
        time.sleep(FRESH_SECONDS)
    raise UnstableImageError(
        f"changed each of the {READS} times it was read; wait until whoever writes it is done"
    )


def _read_stable(handle: BinaryIO, max_image_bytes: int) -> bytes | None:
    """Returns a local file's content, or None if it changes at this time."""
    before = version_of(handle)
    content = read_within(handle, max_image_bytes)
    return content if version_of(handle) == before and not _is_fresh(before) else None


def _is_fresh(version: tuple[int, int] | None) -> bool:
    """Whether a local file was modified a moment ago; a time to come says nothing."""
    return version is not None and 0 <= time.time_ns() - version[1] < FRESH_SECONDS * 1e9


def _carried_columns(refs: Sequence[ImageRef], carried: pa.Schema) -> pa.Table:
    # Images from a listing have none, beside a manifest whose images do.
    rows = [ref.carried or (None,) * len(carried) for ref in refs]
    columns = [
        pa.array([row[index] for row in rows], field.type) for index, field in enumerate(carried)
    ]
    return pa.Table.from_arrays(columns, schema=carried)
