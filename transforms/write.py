"""WriteShards: batches in order -> one staged data file a shard."""

import dataclasses
import json
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import PCollection

from transforms.errors import RunError
from transforms.image_ids import digest_ids
from transforms.output_file import OutputFile
from transforms.records import Failure, OutputRows, ShardResult, Step
from transforms.schemas import IMAGE_ID
from transforms.tally import TALLY


def failure_line(failure: Failure) -> str:
    """Returns one line of failures.jsonl, with its newline."""
    return json.dumps(dataclasses.asdict(failure), ensure_ascii=False) + "\n"


class ShardFile:
    """One shard being written: checks order and accounting as batches come in."""

    def __init__(
        self, staging: str, stem: str, output_format: str, digests: bool, first: OutputRows
    ) -> None:
        # A retried or speculative attempt writes its own file; publishing picks one.
        attempt = f"{stem}-{first.shard}.{uuid.uuid4().hex}"
        path = FileSystems.join(staging, f"{attempt}.{output_format}")
        self.shard = first.shard
        self._output = OutputFile(path, first.rows.schema, output_format)
        self._failures_path = FileSystems.join(staging, f"{attempt}.failures.jsonl")
        self._failures: list[Failure] = []
        self._digests: list[bytes] | None = [] if digests else None
        self._seconds: defaultdict[Step, float] = defaultdict(float)
        self._next_index = 0
        self._warnings = first.warnings

    def write(self, batch: OutputRows) -> None:
        """Adds the next batch.

        Raises:
            RuntimeError: If a batch is missing, out of order, or lost an image on its way.
        """
        if (batch.shard, batch.index) != (self.shard, self._next_index):
            raise RuntimeError(
                f"got batch {batch.index} of shard {batch.shard}, wanted batch {self._next_index} "
                f"of shard {self.shard}: the runner does not keep a shard's batches in one bundle"
            )
        accounted = batch.rows.num_rows + len(batch.failures)
        if accounted != batch.matched:
            raise RuntimeError(
                f"shard {batch.shard}, batch {batch.index}: {batch.matched} images went in, "
                f"{batch.rows.num_rows} rows and {len(batch.failures)} failures came out"
            )
        started = time.perf_counter()
        self._output.write(batch.rows)
        if self._digests is not None:
            self._digests.append(digest_ids(batch.rows.column(IMAGE_ID).to_pylist()))
        self._failures.extend(batch.failures)
        self._next_index += 1
        for step, seconds in batch.seconds.items():
            self._seconds[step] += seconds
        self._seconds[Step.WRITE] += time.perf_counter() - started

    def close(self) -> ShardResult:
        """Ends the file and returns what was written."""
        started = time.perf_counter()
        size_bytes, sha256 = self._output.close()
        failures = Counter(f"{f.step}/{f.error_type}" for f in self._failures)
        if self._failures:
            with FileSystems.create(self._failures_path, "application/json") as stream:
                for failure in self._failures:
                    stream.write(failure_line(failure).encode())
        self._seconds[Step.WRITE] += time.perf_counter() - started
        return ShardResult(
            shard=self.shard,
            path=self._output.path,
            size_bytes=size_bytes,
            sha256=sha256,
            rows=self._output.rows,
            failures_path=self._failures_path if self._failures else None,
            failures=dict(failures),
            id_digests=b"".join(self._digests or ()),
            seconds=dict(self._seconds),
            warnings=self._warnings,
        )

    def abandon(self) -> None:
        """Lets go of a file that a failed bundle leaves."""
        self._output.abandon()


class _WriteShard(beam.DoFn):
    def __init__(self, staging: str, stem: str, output_format: str, digests: bool) -> None:
        self._digests = digests
        self._staging = staging
        self._stem = stem
        self._output_format = output_format
        self._file: ShardFile | None = None
        self._written = Metrics.counter("WriteShards", "images_written")
        self._failed = Metrics.counter("WriteShards", "images_failed")

    def start_bundle(self) -> None:
        self._abandon()

    def process(self, batch: OutputRows) -> Iterator[ShardResult]:
        try:
            if self._file is None:
                self._file = ShardFile(
                    self._staging, self._stem, self._output_format, self._digests, batch
                )
            self._file.write(batch)
            result = self._file.close() if batch.is_last else None
        except OSError as error:
            raise RunError(
                f"cannot write shard {batch.shard} to {self._staging}: {error.strerror or error}; "
                "nothing is published"
            ) from error
        self._count(batch)
        if result is not None:
            self._file = None
            yield result

    def finish_bundle(self) -> None:
        if self._file is not None:
            shard = self._file.shard
            self._abandon()
            raise RuntimeError(
                f"shard {shard} is not whole at the end of its bundle: "
                "the runner does not keep a shard's batches in one bundle"
            )

    def teardown(self) -> None:
        self._abandon()

    def _abandon(self) -> None:
        if self._file is not None:
            self._file.abandon()
            self._file = None

    def _count(self, batch: OutputRows) -> None:
        self._written.inc(batch.rows.num_rows)
        self._failed.inc(len(batch.failures))
        TALLY.add(written=batch.rows.num_rows, failed=len(batch.failures))


@beam.typehints.with_input_types(OutputRows)
@dataclasses.dataclass(eq=False)
class WriteShards(beam.PTransform[PCollection[OutputRows], PCollection[ShardResult]]):
    """Writes each shard's batches to one staged file.

    Relies on a shard's batches arriving in order in one bundle, which fusion gives; it checks, and
    fails loudly if not. Safe to re-run: every attempt writes a file of its own.

    Attributes:
        staging: Directory that no reader looks into.
        stem: What the files hold: "embeddings" or "classifications".
        output_format: "parquet" or "tfrecord".
        digests: Whether results carry digests of the ids, for CheckUniqueIds.
    """

    staging: str
    stem: str
    output_format: str
    digests: bool

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, batches: PCollection[OutputRows]) -> PCollection[ShardResult]:
        """Returns one result a shard."""
        return batches | "WriteShard" >> beam.ParDo(
            _WriteShard(self.staging, self.stem, self.output_format, self.digests)
        ).with_output_types(ShardResult)
