"""ReadImages: a shard -> its images' bytes, a batch at a time."""

import collections
import dataclasses
import functools
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection

from transforms.batches import EncodedImages
from transforms.failure import Step
from transforms.files.flight import FLIGHT
from transforms.files.read_ahead import RETRIES
from transforms.files.read_limits import DEFAULT_READ_LIMITS, ReadLimits
from transforms.inputs.columns import FileColumns
from transforms.inputs.image_files import ImageFiles
from transforms.inputs.kinds import FILE_KINDS
from transforms.inputs.part import ReadPart
from transforms.lifecycle.refill import refill
from transforms.lifecycle.reuse import ShardReuse
from transforms.lifecycle.shared_reads import SharedReads
from transforms.records import ImageRef, InputFile, Shard, ShardKind
from transforms.schemas import read_schema
from transforms.steps.tally import TALLY

BATCHES_AHEAD = 2
"""Batches read while another is used: one to tell which is the last, one for overlap."""


class _TimedPart(NamedTuple):
    part: ReadPart | None
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
        shares_rows: Whether rows of one image, which --image_id_from tells apart, are read once,
            and given to the model once.
        allow_private_hosts: Whether servers of the web may have addresses that are not public.
        images_per_file: Images of a file that are enough, in whole batches; None reads it whole.
        limits: What reading from remote stores may take.
    """

    columns: FileColumns
    batch_size: int
    max_image_bytes: int
    computed_columns: tuple[str, ...] = ()
    deduplicate: bool = False
    shares_rows: bool = False
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
        retries: collections.Counter[str] = collections.Counter()
        versions: dict[str, str | None] = {}
        read_next = functools.partial(_timed_next, self._parts(shard, versions), retries)
        ahead: collections.deque[Future[_TimedPart]] = collections.deque(
            self._ahead.submit(read_next) for _ in range(BATCHES_AHEAD)
        )
        given = 0
        for index in itertools.count():
            current = ahead.popleft().result()
            if current.part is None and index:
                break
            ahead.append(self._ahead.submit(read_next))
            part = current.part or self._empty_part()
            given += part.matched
            if shard.kind is not ShardKind.IMAGES:
                TALLY.add(total=part.matched)
            is_last = ahead[0].result().part is None
            yield EncodedImages(
                shard=shard.key,
                index=index,
                is_last=is_last,
                matched=part.matched,
                rows=part.rows,
                failures=part.failures,
                encoded=part.encoded,
                seconds={Step.READ: current.seconds},
                plan=_with_versions(shard, versions) if is_last else None,
                reused=part.reused,
                retries=dict(retries) if is_last else {},
            )
        if shard.kind is ShardKind.IMAGES and given != len(shard.refs):
            raise RuntimeError(
                f"shard {shard.key}: {len(shard.refs)} images were planned, {given} were read"
            )

    def close(self) -> None:
        """Ends the threads that read ahead, and those that read image files."""
        self._ahead.shutdown(cancel_futures=True)
        self._image_files.close()

    def _parts(self, shard: Shard, versions: dict[str, str | None]) -> Iterator[ReadPart]:
        policy = self._policy
        is_gathered = policy.deduplicate or policy.shares_rows or len(shard.files) > 1
        if shard.predecessor is None and not is_gathered:
            return self._read(shard, versions)
        return refill(self._sifted(shard, versions), policy.batch_size)

    def _sifted(self, shard: Shard, versions: dict[str, str | None]) -> Iterator[ReadPart]:
        """Reads what must be read of a shard that is gathered before it is written."""
        policy = self._policy
        reuse = ShardReuse(
            shard,
            policy.columns.carried,
            policy.computed_columns,
            deduplicate=policy.deduplicate or policy.shares_rows,
            has_rows=policy.shares_rows,
        )
        to_read, known = reuse.before_reading()
        versions.update(reuse.kept_versions)
        yield known
        yield from map(reuse.after_reading, self._read(to_read, versions))
        yield reuse.after_the_last()

    def _read(self, shard: Shard, versions: dict[str, str | None]) -> Iterator[ReadPart]:
        if shard.kind is ShardKind.IMAGES:
            if self._policy.shares_rows:
                shared = SharedReads(shard.refs, self._policy.columns.carried)
                return map(shared.spread, self._read_images(shared.firsts, versions))
            return self._read_images(shard.refs, versions)
        return itertools.chain.from_iterable(map(self._read_file, shard.files))

    def _read_images(
        self, refs: Sequence[ImageRef], versions: dict[str, str | None]
    ) -> Iterator[ReadPart]:
        return self._image_files.read_batches(refs, self._policy.batch_size, versions)

    def _read_file(self, file: InputFile) -> Iterator[ReadPart]:
        policy = self._policy
        read = FILE_KINDS[file.kind].read
        parts = read(file, policy.columns, policy.batch_size, policy.max_image_bytes)
        return parts if policy.images_per_file is None else _first(parts, policy.images_per_file)

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
        given += part.matched
        if given >= images:
            return


def _timed_next(parts: Iterator[ReadPart], retries: collections.Counter[str]) -> _TimedPart:
    started = time.perf_counter()
    RETRIES.set(retries)
    return _TimedPart(next(parts, None), time.perf_counter() - started)


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
