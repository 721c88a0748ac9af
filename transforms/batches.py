"""Batches, the elements that travel inside a shard: as read, as pixels, as predictions, as rows.

A batch keeps its shard's order: `rows` holds the images that are still good, `failures` the ones
that are not, and together they account for `matched` inputs.
"""

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.boxes import distinct_sizes
from transforms.errors import ImageError
from transforms.failure import Failure, Step
from transforms.records import Change, PassedOver, Shard, ShardKey
from transforms.results import EngineReport
from transforms.schemas import IMAGE_ID, URI


@dataclasses.dataclass(frozen=True, slots=True)
class ReusedRows:
    """Inputs whose row is known without the model.

    Attributes:
        kept: Inputs that keep a row of the predecessor, as read.
        duplicates: Rows as read, and `duplicate_of`: the image_id in the same shard whose content
            is the same.
        changes: Number of inputs of each kind of change.
        rows: Number of the predecessor's row for each of kept.
        take: Callback from such numbers to the columns that would be computed, as they were
            written. They may be of many files, so they wait for the end of the shard.
    """

    kept: pa.Table
    duplicates: pa.Table
    changes: Mapping[Change, int] = dataclasses.field(default_factory=dict)
    rows: tuple[int, ...] = ()
    take: Callable[[Sequence[int]], pa.Table] | None = None

    @classmethod
    def joined(cls, parts: Sequence["ReusedRows"]) -> "ReusedRows":
        """Adds up what the batches of a shard reuse; at least one."""
        changes: collections.Counter[Change] = collections.Counter()
        for part in parts:
            changes.update(part.changes)
        return cls(
            pa.concat_tables([part.kept for part in parts]),
            pa.concat_tables([part.duplicates for part in parts]),
            dict(changes),
            tuple(row for part in parts for row in part.rows),
            parts[0].take,
        )

    def completed(self) -> pa.Table:
        """Returns what is kept with the columns of its rows."""
        found = self.kept
        if self.take is not None:
            taken = self.take(self.rows)
            for field, column in zip(taken.schema, taken.columns, strict=True):
                found = found.append_column(field, column)
        return found

    def emptied(self) -> "ReusedRows":
        """Returns nothing reused, in tables of the same columns."""
        return ReusedRows(self.kept.slice(0, 0), self.duplicates.slice(0, 0), take=self.take)

    @property
    def num_rows(self) -> int:
        """Number of inputs whose row is known: kept ones and duplicates."""
        return self.kept.num_rows + self.duplicates.num_rows

    @property
    def size_bytes(self) -> int:
        """Size of both tables, in bytes."""
        return self.kept.nbytes + self.duplicates.nbytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Consecutive images of one shard, in order.

    Attributes:
        shard: The shard it belongs to.
        index: Place of the batch in the shard, counted from 0.
        is_last: Whether the shard ends with it. Every shard has at least one batch.
        matched: Inputs it accounts for: rows.num_rows + len(failures).
        rows: Images that are still good, one a row: image_id, uri, content_sha256 (strings),
            carried columns; later steps add width and height (int32) and the model's outputs.
        failures: The inputs that failed so far.
        seconds: Wall time spent on this batch, by step.
        plan: The shard itself, on its last batch: what WriteShards accounts for.
        reused: Inputs whose rows need no model, found up to this batch, of a shard that is gathered
            before it is written. Such a shard has it on every batch, others on none.
        retries: Requests to a store that were made again for the shard, by reason, on its last
            batch.
        skipped: Images of the shard's files that were passed over, on its last batch.
    """

    shard: ShardKey
    index: int
    is_last: bool
    matched: int
    rows: pa.RecordBatch
    failures: tuple[Failure, ...] = ()
    seconds: Mapping[Step, float] = dataclasses.field(default_factory=dict)
    plan: Shard | None = None
    reused: "ReusedRows | None" = None
    retries: Mapping[str, int] = dataclasses.field(default_factory=dict)
    skipped: tuple[PassedOver, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Size of the rows, those that are reused too, without the failures, in bytes."""
        return self.rows.nbytes + (self.reused.size_bytes if self.reused else 0)

    @property
    def accounted(self) -> int:
        """Number of inputs that the batch has a row or a failure for."""
        reused = self.reused.num_rows if self.reused else 0
        return self.rows.num_rows + len(self.failures) + reused

    def common_fields(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
        """Returns the fields that every batch has, to make the next step's batch of."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(Batch)}
        return {**fields, **changes}

    def set_aside(
        self, step: Step, errors: Mapping[int, ImageError]
    ) -> tuple[pa.RecordBatch, tuple[Failure, ...]]:
        """Splits off the rows that failed in a step.

        Args:
            step: The step.
            errors: Errors by row number.

        Returns:
            The rows that are still good, in order, and all failures of the batch so far.
        """
        if not errors:
            return self.rows, self.failures
        image_ids, uris = self.rows.column(IMAGE_ID), self.rows.column(URI)
        failed = tuple(
            Failure(image_ids[row].as_py(), uris[row].as_py(), step, error.error_type, str(error))
            for row, error in sorted(errors.items())
        )
        good = [row for row in range(self.rows.num_rows) if row not in errors]
        return self.rows.take(pa.array(good, pa.int64())), self.failures + failed


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodedImages(Batch):
    """A batch as read: `encoded` holds one image file's bytes a row.

    Boxes of one image follow one another, and have one object between them.
    """

    encoded: tuple[bytes, ...]

    @property
    def size_bytes(self) -> int:
        """Size of the rows and of the encoded images, in bytes."""
        return super().size_bytes + sum(distinct_sizes(self.encoded))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelBatch(Batch):
    """A batch the model takes.

    Attributes:
        pixels: [rows, height, width, 3] in the model's dtype and range (float32 in [0, 1] by the
            TF Hub convention).
    """

    pixels: npt.NDArray[Any]

    @property
    def size_bytes(self) -> int:
        """Size of the rows and of the pixels, in bytes."""
        return super().size_bytes + self.pixels.nbytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predictions(Batch):
    """A batch the model has seen.

    Attributes:
        outputs: float32 [rows, output_dim], finite.
        outputs_are_probabilities: Whether the probe's outputs are that already.
        warnings: Sentences on what the model's probe noticed; the same for every batch of a run.
        range_doubt: Sentence on the range of the pixels, if first images speak for another.
        engine: Engine, precision and device that ran the model.
    """

    outputs: npt.NDArray[np.float32]
    outputs_are_probabilities: bool = False
    warnings: tuple[str, ...] = ()
    range_doubt: str = ""
    engine: EngineReport | None = None

    @property
    def size_bytes(self) -> int:
        """Size of the rows and of the outputs, in bytes."""
        return super().size_bytes + self.outputs.nbytes

    def tabulate(
        self, schema: pa.Schema, columns: Mapping[str, pa.Array], *warnings: str
    ) -> "OutputRows":
        """Returns the batch's rows in an output schema, with the outputs as columns.

        Args:
            schema: The output schema.
            columns: The columns of it that are not in rows.
            warnings: Further things to tell the user, the same for every batch.
        """
        mine = dict(zip(self.rows.schema.names, self.rows.columns, strict=True))
        arrays = {**mine, **columns}
        rows = pa.RecordBatch.from_arrays([arrays[name] for name in schema.names], schema=schema)
        return OutputRows(
            **self.common_fields(rows=rows),
            warnings=self.warnings + warnings,
            range_doubt=self.range_doubt,
            engine=self.engine,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputRows(Batch):
    """A batch ready to write: `rows` has the output schema."""

    warnings: tuple[str, ...] = ()
    range_doubt: str = ""
    engine: EngineReport | None = None


B = TypeVar("B", bound=Batch)


@dataclasses.dataclass(frozen=True)
class SharedBatches(Generic[B]):
    """The same images as a batch of each of some runs.

    Attributes:
        batches: Batch of each run, by the run's place.
    """

    batches: Mapping[int, B]

    @property
    def first(self) -> B:
        """Batch of the first run, which holds what all of them hold."""
        return next(iter(self.batches.values()))

    @property
    def size_bytes(self) -> int:
        """Size of the first run's batch; the others hold little beside the same arrays."""
        return self.first.size_bytes


class SharedImages(SharedBatches[EncodedImages]):
    """Images as read, to be decoded once: every batch has the very same `encoded`."""


class SharedPixels(SharedBatches[PixelBatch]):
    """Images for one model, to be run once: every batch has the very same `pixels`."""


class SharedPredictions(SharedBatches[Predictions]):
    """What one model, run once, says of the same images, by one or more of its outputs."""
