"""ReadImages: a shard -> its images' bytes, a batch at a time."""

import collections
import dataclasses
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection

from transforms.batches import EncodedImages, SharedImages
from transforms.failure import Step
from transforms.files.flight import FLIGHT
from transforms.files.read_ahead import RETRIES
from transforms.files.read_limits import DEFAULT_READ_LIMITS, ReadLimits
from transforms.inputs.boxes_of_files import split_boxes
from transforms.inputs.columns import FileColumns
from transforms.inputs.image_files import ImageFiles
from transforms.inputs.kinds import FILE_KINDS
from transforms.inputs.part import ReadPart
from transforms.lifecycle.row_reads import RowReads
from transforms.lifecycle.run_batches import RunBatches, shard_to_read
from transforms.lifecycle.shared_cuts import Cut, together
from transforms.records import ImageRef, InputFile, Shard, ShardKind
from transforms.schemas import read_schema
from transforms.steps.tally import TALLY

ALONE = 0
"""Place of a run that reads a shard alone."""


class _TimedCut(NamedTuple):
    cut: Cut | None
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadPolicy:
    """How shards are read.

    Attributes:
        columns: Columns to take from files of images, and the carried ones.
        batch_size: Images a batch at most; files of BATCH_BYTES end one, too.
        max_image_bytes: Largest encoded image that is read, in bytes.
        computed_columns: Columns of the output that a row of a predecessor spares the work for.
        deduplicate: Whether images of one shard that have the same bytes are given to the model
            once.
        allow_private_hosts: Whether servers of the web may have addresses that are not public.
        images_per_file: Images of a file that are enough, or boxes of these, in whole batches;
            None reads it whole.
        limits: What reading from remote stores may take.
    """

    columns: FileColumns
    batch_size: int
    max_image_bytes: int
    computed_columns: tuple[str, ...] = ()
    deduplicate: bool = False
    allow_private_hosts: bool = False
    images_per_file: int | None = None
    limits: ReadLimits = DEFAULT_READ_LIMITS


class ShardReader:
    """Reads shards of every kind; holds the threads that read ahead."""

    def __init__(self, policy: ReadPolicy) -> None:
        FLIGHT.allow(policy.limits)
        self._policy = policy
        self._image_files = ImageFiles(
            policy.columns,
            policy.max_image_bytes,
            allow_private_hosts=policy.allow_private_hosts,
        )
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="read-ahead")

    def read(self, shard: Shard) -> Iterator[EncodedImages]:
        """Yields the shard's batches in order; an empty shard yields one empty batch."""
        for images in self.read_shared({ALONE: shard}, {ALONE: self._policy.computed_columns}):
            yield images.batches[ALONE]

    def read_shared(
        self, shards: Mapping[int, Shard], computed: Mapping[int, Sequence[str]]
    ) -> Iterator[SharedImages]:
        """Reads a shard that several runs have; yields the batches of each in order.

        Args:
            shards: The shard as each run has it, by the run's place: the same images or files.
            computed: Columns of a run's output that a row of a predecessor spares the work for,
                by its place.
        """
        retries: collections.Counter[str] = collections.Counter()
        versions: dict[str, str | None] = {}
        runs: dict[int, RunBatches] = {}
        cuts = self._cuts(shards, computed, versions, runs)
        read_next = functools.partial(_timed_next, cuts, retries)
        # A batch is given when it is known whether another one comes: two are read by then, and a
        # third is read while it is used.
        ahead = self._ahead.submit(read_next)
        given: collections.Counter[int] = collections.Counter()
        indices: collections.Counter[int] = collections.Counter()
        while (current := ahead.result()).cut is not None:
            ahead = self._ahead.submit(read_next)
            cut = current.cut
            batches = {}
            for run, part in cut.parts.items():
                shard = shards[run]
                given[run] += part.matched
                if shard.kind is not ShardKind.IMAGES:
                    TALLY.add(total=part.matched)
                is_last = cut.is_last
                batches[run] = EncodedImages(
                    shard=shard.key,
                    index=indices[run],
                    is_last=is_last,
                    matched=part.matched,
                    rows=part.rows,
                    failures=part.failures,
                    encoded=part.encoded,
                    seconds={Step.READ: current.seconds / len(cut.parts)},
                    plan=_with_versions(shard, runs[run].versions(versions)) if is_last else None,
                    reused=part.reused,
                    retries=dict(retries) if is_last else {},
                    skipped=runs[run].skipped if is_last else (),
                )
                indices[run] += 1
            yield SharedImages(batches)
        for run, shard in shards.items():
            if shard.kind is ShardKind.IMAGES and given[run] != len(shard.refs):
                raise RuntimeError(
                    f"shard {shard.key}: {len(shard.refs)} images were planned, {given[run]} were "
                    "read"
                )

    def close(self) -> None:
        """Ends the threads that read ahead, and those that read image files."""
        self._ahead.shutdown(cancel_futures=True)
        self._image_files.close()

    def _cuts(
        self,
        shards: Mapping[int, Shard],
        computed: Mapping[int, Sequence[str]],
        versions: dict[str, str | None],
        runs: dict[int, RunBatches],
    ) -> Iterator[Cut]:
        """Reads what any run must read, and cuts it into the batches of each."""
        policy = self._policy
        for run, shard in shards.items():
            runs[run] = RunBatches(
                shard,
                policy.columns.carried,
                computed[run],
                policy.batch_size,
                deduplicate=policy.deduplicate,
                shares_rows=policy.columns.tells_rows_apart,
                has_boxes=policy.columns.boxes is not None,
            )
        # Of each run the last batch so far, of which nobody knows yet whether it is the last.
        kept = {run: batches.begin() for run, batches in runs.items()}
        for part, file in self._read(shard_to_read(list(runs.values())), versions):
            for run, batches in runs.items():
                kept[run] += batches.take(part, file)
            yield from together({run: parts[:-1] for run, parts in kept.items()})
            kept = {run: parts[-1:] for run, parts in kept.items()}
        for run, batches in runs.items():
            kept[run] = [*kept[run], *batches.end()] or [self._empty_part()]
        yield from together({run: parts[:-1] for run, parts in kept.items()})
        yield from together({run: parts[-1:] for run, parts in kept.items()}, are_last=True)

    def _read(
        self, shard: Shard, versions: dict[str, str | None]
    ) -> Iterator[tuple[ReadPart, InputFile | None]]:
        """Reads a shard's images; says of each part what file it is of."""
        if shard.kind is ShardKind.IMAGES:
            for part in self._read_listed(shard.refs, versions):
                yield part, None
            return
        for file in shard.files:
            for part in self._read_file(file):
                yield part, file

    def _read_listed(
        self, refs: Sequence[ImageRef], versions: dict[str, str | None]
    ) -> Iterator[ReadPart]:
        """Reads listed images; those that rows share, once."""
        if not self._policy.columns.tells_rows_apart:
            return self._read_images(refs, versions)
        shared = RowReads(refs, self._policy.columns.carried)
        return map(shared.spread, self._read_images(shared.firsts, versions))

    def _read_images(
        self, refs: Sequence[ImageRef], versions: dict[str, str | None]
    ) -> Iterator[ReadPart]:
        return self._image_files.read_batches(refs, self._policy.batch_size, versions)

    def _read_file(self, file: InputFile) -> Iterator[ReadPart]:
        policy = self._policy
        read = FILE_KINDS[file.kind].read
        parts = read(file, policy.columns.by_image, policy.batch_size, policy.max_image_bytes)
        if policy.columns.boxes is not None:
            parts = (boxes for part in parts for boxes in split_boxes(part, policy.columns))
        if policy.images_per_file is not None:
            parts = _first(parts, policy.images_per_file)
        return parts

    def _empty_part(self) -> ReadPart:
        schema = read_schema(self._policy.columns.carried)
        return ReadPart(pa.RecordBatch.from_pylist([], schema=schema), (), ())


def _with_versions(shard: Shard, versions: Mapping[str, str | None]) -> Shard:
    """Returns a shard with the versions that only reading told, for the next refresh."""
    if not versions:
        return shard
    refs = tuple(
        dataclasses.replace(ref, version=versions[ref.image_id])
        if ref.image_id in versions
        else ref
        for ref in shard.refs
    )
    return dataclasses.replace(shard, refs=refs)


def _first(parts: Iterator[ReadPart], images: int) -> Iterator[ReadPart]:
    """Yields batches until they have so many images; at least one."""
    given = 0
    for part in parts:
        yield part
        given += part.matched + len(part.without_boxes)
        if given >= images:
            return


def _timed_next(cuts: Iterator[Cut], retries: collections.Counter[str]) -> _TimedCut:
    started = time.perf_counter()
    RETRIES.set(retries)
    return _TimedCut(next(cuts, None), time.perf_counter() - started)


class _ReadShard(beam.DoFn):
    def __init__(self, policy: ReadPolicy) -> None:
        self._policy = policy
        self._reader: ShardReader | None = None

    def setup(self) -> None:
        self._reader = ShardReader(self._policy)

    def process(self, shard: Shard) -> Iterator[EncodedImages]:
        assert self._reader is not None, "setup runs before process"
        yield from self._reader.read(shard)

    def teardown(self) -> None:
        if self._reader is not None:
            self._reader.close()


@beam.typehints.with_input_types(Shard)
@dataclasses.dataclass(eq=False)
class ReadImages(beam.PTransform[PCollection[Shard], PCollection[EncodedImages]]):
    """Reads each shard's images, a batch at a time, in order.

    What cannot be read becomes a failure of its batch, also what a remote store did not give in
    time. Only the failure of a local disk propagates: the runner then retries the shard.

    Attributes:
        policy: Columns and limits of the reading.
    """

    policy: ReadPolicy

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, shards: PCollection[Shard]) -> PCollection[EncodedImages]:
        """Returns the batches; at least one a shard."""
        return shards | "ReadShard" >> beam.ParDo(_ReadShard(self.policy)).with_output_types(
            EncodedImages
        )
