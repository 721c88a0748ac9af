"""WriteShards: batches in order -> one staged data file a shard."""

import dataclasses
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

import apache_beam as beam
import pyarrow as pa
from apache_beam.pvalue import PCollection

from transforms.batches import OutputRows, ReusedRows
from transforms.failure import Failure, Step
from transforms.files.atomic_files import sync
from transforms.files.file_systems import FileSystems
from transforms.lifecycle.gathered_rows import check_accounted, gather_rows
from transforms.lifecycle.staging import commit, writing_shard
from transforms.records import PassedOver, Shard, ShardKind, WrittenFile
from transforms.results import ShardResult
from transforms.runs.data_writer import OutputFile
from transforms.runs.file_accounts import account_for_files, file_of
from transforms.runs.image_ids import digest_ids
from transforms.runs.inputs_file import write_inputs
from transforms.schemas import IMAGE_ID, URI
from transforms.steps.tally import TALLY


@dataclasses.dataclass(frozen=True, kw_only=True)
class StagingTarget:
    """Where and how shards are written.

    Attributes:
        staging: Directory that no reader looks into.
        output_format: Name of the format, one of transforms.runs.formats.FORMATS, in which file
            names end.
        carried: The carried columns.
        digests: Whether results carry digests of the ids, for CheckUniqueIds.
    """

    staging: str
    output_format: str
    carried: pa.Schema
    digests: bool


class ShardFile:
    """One shard being written: checks order and accounting as batches come in.

    Attributes:
        shard: Place of the shard.
        reasons: Failures that batches came with, by "step/error_type".
    """

    def __init__(self, target: StagingTarget, first: OutputRows) -> None:
        # A retried or speculative attempt writes its own files; its commit record picks it.
        attempt = f"{first.shard}.{uuid.uuid4().hex}"
        path = FileSystems.join(target.staging, f"{attempt}.{target.output_format}")
        self.shard = first.shard
        self._target = target
        self._output = OutputFile(path, first.rows.schema, target.output_format)
        # Not the data file's stem: a format of data files may end in .arrow, too.
        self._inputs_path = FileSystems.join(target.staging, f"{attempt}.inputs.arrow")
        self._is_gathered = first.reused is not None
        self._computed: list[pa.RecordBatch] = []
        self._reused: list[ReusedRows] = []
        self._failures: list[Failure] = []
        self.reasons: Counter[str] = Counter()
        self._rows_of_file: Counter[str] = Counter()
        self._digests: list[bytes] = []
        self._seconds: defaultdict[Step, float] = defaultdict(float)
        self._next_index = 0
        self._warnings = first.warnings
        self._range_doubt = first.range_doubt
        self._engine = first.engine
        self._plan: Shard | None = None
        self._retries: Mapping[str, int] = {}
        self._skipped: tuple[PassedOver, ...] = ()

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
        if batch.accounted != batch.matched:
            raise RuntimeError(
                f"shard {batch.shard}, batch {batch.index}: {batch.matched} images went in, "
                f"{batch.accounted - len(batch.failures)} rows and {len(batch.failures)} failures "
                "came out"
            )
        started = time.perf_counter()
        if self._is_gathered:
            assert batch.reused is not None, "every batch of such a shard has it"
            self._computed.append(batch.rows)
            self._reused.append(batch.reused)
        else:
            self._write_rows(batch.rows)
        self._failures.extend(batch.failures)
        self.reasons.update(failure.reason for failure in batch.failures)
        self._next_index += 1
        self._plan = batch.plan
        self._range_doubt = batch.range_doubt
        self._retries = batch.retries
        self._skipped = batch.skipped
        self._engine = batch.engine
        for step, seconds in batch.seconds.items():
            self._seconds[step] += seconds
        self._seconds[Step.WRITE] += time.perf_counter() - started

    def close(self) -> ShardResult:
        """Ends the file, commits the shard, and returns what was written."""
        assert self._plan is not None, "the last batch of a shard has its plan"
        started = time.perf_counter()
        changes = self._write_gathered() if self._is_gathered else {}
        size_bytes, sha256 = self._output.close()
        sync(self._output.path)
        inputs = write_inputs(self._inputs_path, self._plan, self._failures, self._target.carried)
        failures = Counter(failure.reason for failure in self._failures)
        self._seconds[Step.WRITE] += time.perf_counter() - started
        if len(self._plan.files) == 1:
            self._rows_of_file[self._plan.files[0].uri] = self._output.rows
        result = ShardResult(
            shard=self.shard,
            kind=self._plan.kind,
            files=account_for_files(self._plan.files, self._rows_of_file, self._failures),
            fingerprint=self._plan.fingerprint,
            data=WrittenFile(self._output.path, size_bytes, sha256),
            inputs=inputs,
            rows=self._output.rows,
            failures=dict(failures),
            changes=changes,
            id_digests=b"".join(self._digests),
            seconds=dict(self._seconds),
            warnings=self._warnings,
            range_doubt=self._range_doubt,
            engine=self._engine,
            retries=self._retries,
            skipped=self._skipped,
        )
        commit(self._target.staging, result)
        return result

    def abandon(self) -> None:
        """Lets go of a file that a failed bundle leaves."""
        self._output.abandon()

    def _write_rows(self, rows: pa.RecordBatch) -> None:
        self._output.write(rows)
        if self._target.digests and not self.shard.is_canaries:
            self._digests.append(digest_ids(rows.column(IMAGE_ID).to_pylist()))

    def _write_gathered(self) -> Mapping[str, int]:
        assert self._plan is not None, "the last batch of a shard has its plan"
        reused = ReusedRows.joined(self._reused)
        rows, failures = gather_rows(
            pa.Table.from_batches(self._computed),
            reused.completed(),
            reused.duplicates,
            self._failures,
            self._plan.kind,
        )
        self._failures = list(failures)
        if self._plan.kind is ShardKind.IMAGES:
            planned = [ref.image_id for ref in self._plan.refs]
            check_accounted(rows, self._failures, planned, self.shard)
        if len(self._plan.files) > 1:  # Only those of several files are told apart.
            self._rows_of_file.update(map(file_of, rows.column(URI).to_pylist()))
        for batch in rows.to_batches():
            self._write_rows(batch)
        return {change.value: count for change, count in reused.changes.items()}


class _WriteShard(beam.DoFn):
    def __init__(self, target: StagingTarget) -> None:
        self._target = target
        self._file: ShardFile | None = None

    def start_bundle(self) -> None:
        self._abandon()

    def process(self, batch: OutputRows) -> Iterator[ShardResult]:
        started = time.perf_counter()
        with writing_shard(self._target.staging, batch.shard):
            if self._file is None:
                self._file = ShardFile(self._target, batch)
            self._file.write(batch)
            result = self._file.close() if batch.is_last else None
        _count(batch, time.perf_counter() - started)
        if result is not None:
            _count_twins(self._file, result)
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


def _count(batch: OutputRows, write_seconds: float) -> None:
    """Counts a batch; the canaries are no images of the run."""
    TALLY.add_seconds({**batch.seconds, Step.WRITE: write_seconds})
    if not batch.shard.is_canaries:
        TALLY.add_batch(batch)


def _count_twins(file: ShardFile, result: ShardResult) -> None:
    """Counts as failed what was counted as written: images of the same bytes as a failed one."""
    twins = Counter(result.failures) - file.reasons
    if twins and not file.shard.is_canaries:
        TALLY.add(written=-twins.total(), failed=twins.total())
        TALLY.add_failures(twins)


@beam.typehints.with_input_types(OutputRows)
@dataclasses.dataclass(eq=False)
class WriteShards(beam.PTransform[PCollection[OutputRows], PCollection[ShardResult]]):
    """Writes each shard's batches to one staged file, and commits it.

    Relies on a shard's batches arriving in order in one bundle, which fusion gives; it checks, and
    fails loudly if not. Safe to re-run: every attempt writes files of its own.

    Attributes:
        target: Directory and format to write in.
    """

    target: StagingTarget

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, batches: PCollection[OutputRows]) -> PCollection[ShardResult]:
        """Returns one result a shard."""
        return batches | "WriteShard" >> beam.ParDo(_WriteShard(self.target)).with_output_types(
            ShardResult
        )
