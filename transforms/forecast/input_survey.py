"""What a run would read, listed and counted before it, and some of its images drawn."""

import array
import collections
import dataclasses
import functools
import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from transforms.boxes import WITHOUT_BOXES, name_box
from transforms.inputs.columns import FileColumns
from transforms.inputs.entries import ImageFile, Skipped, Unlisted
from transforms.inputs.listing import list_telling_empty
from transforms.inputs.manifests import read_manifest
from transforms.inputs.passed_over import add_up, note
from transforms.inputs.source import Source
from transforms.lifecycle.recall import Unseen, recall, to_unlisted_ref
from transforms.records import ImageRef, InputFile, PassedOver
from transforms.results import ShardResult
from transforms.runs.image_ids import digest_ids
from transforms.runs.row_ids import number_rows, place_in_list
from transforms.steps.match_inputs import to_image_ref
from transforms.steps.plan_shards import (
    check_matched_once,
    check_not_empty,
    place_of_box,
    sorted_by_id,
)

_Found = ImageRef | InputFile | Skipped | Unseen | Source


@dataclasses.dataclass(frozen=True, kw_only=True)
class Survey:
    """All inputs of a run, counted.

    Attributes:
        rows: Rows that are listed: images of directories, globs and manifests; of manifests with
            boxes, these.
        images: Images of these rows.
        image_bytes: Bytes of the images whose sizes are listed.
        unsized: Images whose sizes are not, as in manifests of remote images.
        files: TFRecord, Parquet, tar and zip files, in order of uri.
        skipped: What in directories is no image.
        unseen: Directories that cannot be listed; each counts as an image.
        empty: Inputs that hold nothing.
        drawn: Some of the listed rows: those whose ids have the smallest digests. The same ones
            every time, and spread over the whole listing.
    """

    rows: int
    images: int
    image_bytes: int
    unsized: int
    files: tuple[InputFile, ...]
    skipped: tuple[PassedOver, ...]
    unseen: tuple[Unseen, ...]
    empty: tuple[str, ...]
    drawn: tuple[ImageRef, ...]


def take_survey(
    sources: tuple[Source, ...],
    manifests: tuple[str, ...],
    columns: FileColumns,
    *,
    allow_private_hosts: bool = False,
    draw: int,
    is_wanted: Callable[[ImageRef], bool],
    previous: Sequence[ShardResult] = (),
) -> Survey:
    """Lists every input, as a run does; opens no image.

    Holds eight bytes a row. Of boxes in lists it holds 16 more, and about 90 for each of their
    images.

    Args:
        sources: The classified --input patterns.
        manifests: URIs of manifests.
        columns: Columns to take from files, and the carried ones.
        allow_private_hosts: Whether manifests on the web may be at addresses that are not public.
        draw: Rows to draw.
        is_wanted: Callback, told every listed row; returns whether it may be drawn.
        previous: Shards of the run before, from which comes what cannot be listed now.

    Raises:
        InputError: If there is nothing to read, a file is matched twice, an image_id is not unique,
            or an input cannot be listed.
    """
    images = _Images(shared=columns.boxes is not None)
    files: list[InputFile] = []
    skipped: dict[str, PassedOver] = {}
    digests = bytearray()
    lottery = _Lottery(draw)
    unseen: list[Unseen] = []
    empty: list[str] = []
    listed = functools.partial(
        _listed, sources, manifests, columns, previous, allow_private_hosts=allow_private_hosts
    )
    for found in listed():
        match found:
            case ImageRef():
                digest = digest_ids([found.image_id])
                digests += digest
                images.add(found)
                if is_wanted(found) and found.unlisted is None:
                    lottery.enter(digest, found)
            case InputFile():
                files.append(found)
            case Skipped():
                note(skipped, found)
            case Unseen():
                unseen.append(found)
            case Source():
                empty.append(found.pattern)
    every = np.frombuffer(digests, np.uint64)
    check_not_empty(len(every), files)
    check_matched_once(files)
    if repeated := _repeated(every):
        _refuse_copies(repeated, listed())
    images.finish()
    return Survey(
        rows=len(every),
        images=images.count,
        image_bytes=images.size_bytes,
        unsized=images.unsized,
        files=tuple(sorted(files, key=lambda file: file.uri)),
        skipped=tuple(add_up(skipped.values())),
        unseen=tuple(unseen),
        empty=tuple(empty),
        drawn=lottery.winners(),
    )


class _Images:
    """Counts images and adds up their bytes, also where several rows have one."""

    def __init__(self, *, shared: bool) -> None:
        self.count = self.size_bytes = self.unsized = 0
        self._shared = shared
        self._uris = bytearray()
        self._sizes = array.array("q")

    def add(self, ref: ImageRef) -> None:
        """Adds a row's image."""
        if self._shared:
            self._uris += digest_ids([ref.uri])
            self._sizes.append(-1 if ref.size_bytes is None else ref.size_bytes)
        else:
            self.count += 1
            self.size_bytes += ref.size_bytes or 0
            self.unsized += ref.size_bytes is None

    def finish(self) -> None:
        """Counts those that rows share, once each."""
        _, firsts = np.unique(np.frombuffer(self._uris, np.uint64), return_index=True)
        sizes = np.frombuffer(self._sizes, np.int64)[firsts]
        self.count += len(sizes)
        self.size_bytes += int(sizes.clip(0).sum())
        self.unsized += int((sizes < 0).sum())


class _Lottery:
    """Keeps the images whose digests are the smallest."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._heap: list[tuple[int, int, ImageRef]] = []  # Largest digest first.
        self._entered = 0

    def enter(self, digest: bytes, ref: ImageRef) -> None:
        entry = -int.from_bytes(digest, "big"), self._entered, ref
        self._entered += 1
        if len(self._heap) < self._count:
            heapq.heappush(self._heap, entry)
        elif self._heap and entry > self._heap[0]:
            heapq.heapreplace(self._heap, entry)

    def winners(self) -> tuple[ImageRef, ...]:
        return tuple(ref for _, _, ref in sorted(self._heap, reverse=True))


def _listed(
    sources: tuple[Source, ...],
    manifests: tuple[str, ...],
    columns: FileColumns,
    previous: Sequence[ShardResult],
    *,
    allow_private_hosts: bool,
) -> Iterator[_Found]:
    unseen: dict[str, list[Unseen]] = {}
    for source in sources:
        for found in list_telling_empty(source):
            match found:
                case ImageFile() if columns.boxes is not None:
                    yield Skipped(found.uri, WITHOUT_BOXES)
                case ImageFile():
                    yield to_image_ref(found, columns.image_id_from, columns.stored)
                case Unlisted():
                    unseen.setdefault(found.uri, []).append(Unseen(source, found))
                case _:
                    yield found
    for first, *_ in unseen.values():
        yield first
        yield to_unlisted_ref(first.directory)
    every = [one for several in unseen.values() for one in several]
    for result in previous if every else ():
        for again in recall(result, every, columns.image_id_from):
            if isinstance(again, ImageFile):
                yield to_image_ref(again, columns.image_id_from, columns.stored)
            else:
                yield again
    lists = [
        read_manifest(
            uri,
            columns.stored,
            columns.image_id_from,
            uri_column=columns.uri_column,
            boxes=columns.boxes,
            allow_private_hosts=allow_private_hosts,
        )
        for uri in manifests
    ]
    # Rows of one image in several lists are numbered as sorted_by_id does it.
    if columns.boxes is not None:
        yield from _number_boxes(heapq.merge(*lists, key=place_of_box))
    elif columns.tells_rows_apart:
        yield from number_rows(heapq.merge(*lists, key=place_in_list))
    else:
        yield from itertools.chain.from_iterable(lists)


def _number_boxes(refs: Iterable[ImageRef]) -> Iterator[ImageRef | Skipped]:
    """Gives boxes their ids, a.jpg#box-0, a.jpg#box-1; those of two files are not told apart."""
    numbers: collections.Counter[int] = collections.Counter()  # By digests, which are small.
    for ref in refs:
        if ref.box is None:
            yield Skipped(ref.uri, WITHOUT_BOXES)
            continue
        image = int.from_bytes(digest_ids([f"{ref.image_id}\0{ref.uri}"]), "big")
        box_id = name_box(ref.image_id, numbers[image])
        yield dataclasses.replace(ref, image_id=box_id, box=None)
        numbers[image] += 1


def _repeated(digests: npt.NDArray[np.uint64]) -> frozenset[bytes]:
    values, counts = np.unique(digests, return_counts=True)
    return frozenset(value.tobytes() for value in values[counts > 1])


def _refuse_copies(repeated: frozenset[bytes], listed: Iterator[_Found]) -> None:
    """Raises InputError for two images of one id; digests alone may be equal by chance."""
    refs = (found for found in listed if isinstance(found, ImageRef))
    sorted_by_id(ref for ref in refs if digest_ids([ref.image_id]) in repeated)
