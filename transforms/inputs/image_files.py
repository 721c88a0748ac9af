"""Image files, read a batch at a time with overlapped I/O."""

import contextlib
import functools
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, TypeVar

import pyarrow as pa

from transforms.errors import ImageError, UnavailableError, UnlistedError, UnstableImageError
from transforms.files.file_uris import path_of_uri
from transforms.files.flight import FLIGHT
from transforms.files.pace import Pace
from transforms.files.read_ahead import Read
from transforms.files.uris import (
    is_in_memory,
    is_local,
    open_uri,
    read_remote,
    read_within,
    version_of,
)
from transforms.files.web.storage import web_storage
from transforms.files.web.tries import try_again
from transforms.files.web.urls import is_web_uri
from transforms.inputs.columns import FileColumns
from transforms.inputs.members import is_member, read_members
from transforms.inputs.part import BATCH_BYTES, PartBuilder, ReadPart, check_size, is_full
from transforms.records import ImageRef

LOCAL_READS = 4
"""Files of a disk read at a time. What the page cache holds is read by one thread: several take
turns, and twice as long.
"""

READS = 3
"""Tries at a local file that changes while it is read: half of the old and half of the new; and at
one that the disk does not give.
"""

FRESH_SECONDS = 0.05
"""A file modified so lately may be in the middle of it: file systems count in steps of 10 ms."""


_PACE = Pace()
_WEB_PACE = Pace(may_hedge=False)
"""Of all images that this process reads. Nobody's server is asked twice at once."""

_Content = bytes | ImageError
_Members = Mapping[str, _Content]
_T = TypeVar("_T")


class ImageFiles:
    """Reads image files: remote ones ahead, local ones on a few threads of its own."""

    def __init__(
        self, columns: FileColumns, max_image_bytes: int, *, allow_private_hosts: bool = False
    ) -> None:
        self._columns = columns
        self._max_image_bytes = max_image_bytes
        self._allow_private_hosts = allow_private_hosts
        self._threads = ThreadPoolExecutor(LOCAL_READS, thread_name_prefix="read-image")

    def read(self, refs: Sequence[ImageRef]) -> ReadPart:
        """Reads files as one batch; see read_batches."""
        (part,) = self._read_cut(refs, [refs], {}, most_bytes=math.inf)
        return part

    def read_batches(
        self,
        refs: Sequence[ImageRef],
        batch_size: int,
        versions: dict[str, str | None] | None = None,
    ) -> Iterator[ReadPart]:
        """Reads files, in order; one that is absent, too large or unavailable is a failure.

        Boxes of one image follow one another. It is read once, and a batch holds all of them,
        unless they are more than a batch.

        Remote files are read ahead of the batch that they are in. An empty file is read: what its
        bytes are is for the decoder to say. One on the web is not read if its version and content
        are known, and its server says that it is as it was.

        Args:
            refs: The files.
            batch_size: Files a batch at most; BATCH_BYTES end one, too, by the listing or, of what
                is in no listing, by what was read.
            versions: Where to note the version of each file that the web gave, by image_id; it is
                complete once the last batch is read.
        """
        return self._read_cut(refs, _cut(refs, batch_size), {} if versions is None else versions)

    def _read_cut(
        self,
        refs: Sequence[ImageRef],
        batches: Iterable[Sequence[ImageRef]],
        versions: dict[str, str | None],
        most_bytes: float = BATCH_BYTES,
    ) -> Iterator[ReadPart]:
        """Reads files that are cut into batches; so many bytes read cut one once more."""
        firsts = [next(boxes) for _, boxes in itertools.groupby(refs, _read_as)]
        first_ids = {id(ref) for ref in firsts}
        remote = [ref for ref in firsts if self._is_read_ahead(ref)]
        remote_ids = {id(ref) for ref in remote}
        unchanged: set[int] = set()
        reads = (Read(self._call(ref, versions, unchanged), ref.size_bytes) for ref in remote)
        pace = _WEB_PACE if any(is_web_uri(ref.uri) for ref in remote) else _PACE
        with contextlib.closing(FLIGHT.read_ahead(reads, pace)) as ahead:
            for batch in batches:
                to_read = [ref for ref in batch if id(ref) in first_ids]
                found = self._read_local([ref for ref in to_read if id(ref) not in remote_ids])
                contents: list[_Content] = []
                start = read_bytes = 0
                for place, ref in enumerate(batch):
                    if id(ref) in first_ids:
                        if read_bytes >= most_bytes:
                            yield self._to_part(batch[start:place], contents, unchanged)
                            contents, start, read_bytes = [], place, 0
                        first, content = ref, next(ahead if id(ref) in remote_ids else found)
                        read_bytes += len(content) if isinstance(content, bytes) else 0
                    elif first.image_id in versions:
                        versions[ref.image_id] = versions[first.image_id]
                    if id(first) in unchanged:
                        unchanged.add(id(ref))
                    contents.append(content)
                yield self._to_part(batch[start:], contents, unchanged)

    def close(self) -> None:
        """Ends the reading threads, also where images still wait."""
        self._threads.shutdown(cancel_futures=True)

    def _is_read_ahead(self, ref: ImageRef) -> bool:
        if "://" not in ref.uri or _is_local(ref) or is_member(ref.uri) or ref.unlisted is not None:
            return False
        return (ref.size_bytes or 0) <= self._max_image_bytes

    def _call(
        self, ref: ImageRef, versions: dict[str, str | None], unchanged: set[int]
    ) -> Callable[[], bytes]:
        if is_web_uri(ref.uri):
            return functools.partial(self._read_web, ref, versions, unchanged)
        return functools.partial(read_remote, ref.uri, self._max_image_bytes, ref.size_bytes)

    def _read_web(
        self, ref: ImageRef, versions: dict[str, str | None], unchanged: set[int]
    ) -> bytes:
        known = ref.version if ref.content_sha256 is not None else None
        web = web_storage(allow_private_hosts=self._allow_private_hosts)
        found = try_again(lambda: web.read_if_changed(ref.uri, self._max_image_bytes, known))
        versions[ref.image_id] = found.version
        if found.content is None:
            unchanged.add(id(ref))
        return found.content or b""

    def _read_local(self, refs: Sequence[ImageRef]) -> Iterator[_Content]:
        """Reads what is not read ahead: local files, and members of files wherever these are."""
        uris = [ref.uri for ref in refs if is_member(ref.uri)]
        members = dict(read_members(uris, self._columns, self._max_image_bytes))
        at_hand = self._read_at_hand(refs, members)
        rest = refs[len(at_hand) :]
        size = -(-len(rest) // LOCAL_READS) or 1
        parts = [rest[start : start + size] for start in range(0, len(rest), size)]
        others = self._threads.map(lambda part: self._read_several(part, members), parts)
        return itertools.chain(at_hand, *others)

    def _to_part(
        self, refs: Sequence[ImageRef], contents: Sequence[_Content], unchanged: set[int]
    ) -> ReadPart:
        part = PartBuilder()
        for row, (ref, content) in enumerate(zip(refs, contents, strict=True)):
            if isinstance(content, ImageError):
                part.fail(ref.image_id, ref.uri, content)
            elif id(ref) in unchanged:
                assert ref.content_sha256 is not None, "only then is a condition sent"
                part.add_known(row, ref.image_id, ref.uri, ref.content_sha256)
            else:
                part.add(row, ref.image_id, ref.uri, content)
        return part.finish(_carried_columns(refs, self._columns.carried))

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
            else _read_or_error(_read, ref, self._max_image_bytes)
            for ref in refs
        ]


def _read_as(ref: ImageRef) -> tuple[str, str | None, bool]:
    """Returns what boxes of one image have in common, if one read is enough for all."""
    return ref.uri, ref.version, ref.content_sha256 is None


def _cut(refs: Sequence[ImageRef], batch_size: int) -> Iterator[list[ImageRef]]:
    """Cuts images into batches, between images where that can be.

    Of images a, b and c with 2, 3 and 7 boxes, and batches of 4:

        a0 a1 | b0 b1 b2 | c0 c1 c2 c3 | c4 c5 c6
    """
    batch: list[ImageRef] = []
    total_bytes = 0
    for _, group in itertools.groupby(refs, _read_as):
        boxes = list(group)
        if batch and len(batch) + len(boxes) > batch_size:
            yield batch
            batch, total_bytes = [], 0
        batch += boxes
        total_bytes += boxes[0].size_bytes or 0
        while is_full(len(batch), total_bytes, batch_size):
            yield batch[:batch_size]
            batch, total_bytes = batch[batch_size:], 0
    if batch:
        yield batch


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
    try:
        with open_uri(ref.uri) as handle:
            return _read_stable(handle, max_image_bytes) if is_in_memory(handle) else None
    except UnavailableError:  # It is tried again like those that are waited for.
        return None


def _read(ref: ImageRef, max_image_bytes: int) -> bytes:
    failed: ImageError = UnstableImageError(
        f"changed each of the {READS} times it was read; wait until whoever writes it is done"
    )
    for _ in range(READS):
        try:
            with open_uri(ref.uri) as handle:
                content = _read_stable(handle, max_image_bytes)
        except UnavailableError as error:
            failed = UnavailableError(f"{error}; not read in {READS} tries")
        else:
            if content is not None:
                return content
        time.sleep(FRESH_SECONDS)
    raise failed


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
