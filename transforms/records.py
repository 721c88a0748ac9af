"""What flows through the pipeline: references, shards, batches, failures, results.

Every record is immutable. A batch keeps its shard's order: `rows` holds the images that are still
good, `failures` the ones that are not, and together they account for `matched` inputs.
"""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.errors import ImageError
from transforms.schemas import IMAGE_ID, URI

MAX_MESSAGE_CHARS = 2000
"""Longest failure message kept; TensorFlow's errors can hold a whole tensor."""


class ShardKind(enum.StrEnum):
    """Where a shard's images lie."""

    IMAGES = "images"
    TFRECORD = "tfrecord"
    PARQUET = "parquet"


class Step(enum.StrEnum):
    """The step in which an image fails, and the stages whose time is counted."""

    READ = "read"
    DECODE = "decode"
    MODEL = "model"
    WRITE = "write"


PASSING_REASONS = frozenset(
    {"read/NotFound", "read/PermissionDenied", "read/UnstableImage", "model/ModelCall"}
)
"""Failures, as "step/error_type", that the same bytes may not have another time."""


@dataclasses.dataclass(frozen=True, slots=True)
class ImageRef:
    """One image file, before it is opened.

    Attributes:
        image_id: Stable key, unique within a run.
        uri: Where the bytes are; any scheme that Beam's FileSystems reads.
        size_bytes: Size by the listing, or None where it was not listed (remote manifests).
        version: By the listing; another one when the object has changed, or None if it is not
            known. The modification time in nanoseconds, or generation and checksum on gs://.
        carried: Values of the carried columns, in the order of the run's carried schema.
        content_sha256: Of the file, hexadecimal, where it was hashed before it was put in a shard.
    """

    image_id: str
    uri: str
    size_bytes: int | None = None
    version: str | None = None
    carried: tuple[Any, ...] = ()
    content_sha256: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class InputFile:
    """One TFRecord or Parquet file, which is one shard.

    Attributes:
        kind: TFRECORD or PARQUET.
        uri: Where the file is.
        root: The --input pattern's fixed part, for ids relative to it.
        size_bytes: Size by the listing.
        version: By the listing, as an ImageRef's.
    """

    kind: ShardKind
    uri: str
    root: str
    size_bytes: int
    version: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class ShardKey:
    """Which output file: `index` of `count`, counted from 0; or the canaries, which are none."""

    index: int
    count: int

    def __str__(self) -> str:
        """The part of the file name that tells shards apart."""
        return "canaries" if self.is_canaries else f"{self.index:05d}-of-{self.count:05d}"

    @property
    def is_canaries(self) -> bool:
        """Whether it is the shard of known images that is checked and not published."""
        return self.index < 0


CANARIES = ShardKey(-1, 0)
"""The shard of known images."""


@dataclasses.dataclass(frozen=True, slots=True)
class Shard:
    """A fixed, ordered list of images, or one file of them; becomes exactly one output file.

    Attributes:
        key: Its place among the run's shards.
        kind: Where its images lie.
        refs: The images, sorted by image_id; empty unless kind is IMAGES.
        file: The file; None if kind is IMAGES.
        fingerprint: sha256, hexadecimal, over all that decides its rows; empty until it is known.
        image_shard_count: Shards of listed images in the run, if it is one of these.
        predecessor: The same shard, or its parent, in an earlier run, if there is one.
    """

    key: ShardKey
    kind: ShardKind
    refs: tuple[ImageRef, ...] = ()
    file: InputFile | None = None
    fingerprint: str = ""
    image_shard_count: int | None = None
    predecessor: "Predecessor | None" = None


@dataclasses.dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that is complete.

    Attributes:
        path: Where it is.
        size_bytes: Its size.
        sha256: Of its content, hexadecimal.
    """

    path: str
    size_bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True)
class Predecessor:
    """A shard of an earlier run, whose rows may be used again.

    Attributes:
        data: Its data file.
        inputs: What it was given.
        has_same_recipe: Whether its rows are what this run would make of the same images.
        keeps_all: Whether every row of it stays, whatever a listing says: its run is completed.
        changes: What became of the images, if it is this shard itself, done before by this run.
    """

    data: WrittenFile
    inputs: WrittenFile
    has_same_recipe: bool = True
    keeps_all: bool = False
    changes: Mapping[str, int] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """One input that did not become a row.

    Attributes:
        image_id: Its key, or the file and position where the key could not be read.
        uri: Where it is.
        step: The step that failed.
        error_type: Short reason to count by, such as "CorruptImage".
        message: What a person needs to know, at most MAX_MESSAGE_CHARS characters.
    """

    image_id: str
    uri: str
    step: Step
    error_type: str
    message: str

    def __post_init__(self) -> None:
        if len(self.message) > MAX_MESSAGE_CHARS:
            object.__setattr__(self, "message", self.message[: MAX_MESSAGE_CHARS - 1] + "…")

    @property
    def reason(self) -> str:
        """The step and the reason to count by, as "decode/CorruptImage"."""
        return f"{self.step}/{self.error_type}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Consecutive images of one shard, in order.

    Attributes:
        shard: The shard it belongs to.
        index: Its place in the shard, counted from 0.
        is_last: Whether the shard ends with it. Every shard has at least one batch.
        matched: Inputs it accounts for: rows.num_rows + len(failures).
        rows: One row an image that is still good: image_id, uri, content_sha256 (strings), carried
            columns; later steps add width and height (int32) and the model's outputs.
        failures: The inputs that failed so far.
        seconds: Wall time spent on this batch, by step.
        plan: The shard itself, on its last batch: what WriteShards accounts for.
        reused: Of a shard that is gathered before it is written: the inputs whose rows need no
            model, found up to this batch. Such a shard has it on every batch, others on none.
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

    @property
    def size_bytes(self) -> int:
        """Size of what the batch holds, without its failures."""
        return self.rows.nbytes + (self.reused.size_bytes if self.reused else 0)

    @property
    def accounted(self) -> int:
        """Inputs that the batch has a row or a failure for."""
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
            errors: What is wrong, by row number.

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


class Change(enum.StrEnum):
    """What became of an image since the run before, and why it needed no inference.

    NEW, CHANGED, UNCHANGED and RETRIED (it failed before) add up to the images of a run. REUSED and
    DUPLICATE count those whose row came from the run before, or from an image of the same content.
    """

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    RETRIED = "retried"
    REUSED = "reused"
    DUPLICATE = "duplicate"


@dataclasses.dataclass(frozen=True, slots=True)
class ReusedRows:
    """Inputs whose row is known without the model.

    Attributes:
        kept: Rows of the predecessor with the image_id, uri and carried columns of now: the columns
            of a batch as read, width and height, then the model's columns as they were written.
        duplicates: Rows as read, and `duplicate_of`: the image_id in the same shard whose content
            is the same.
        changes: How many inputs are of each kind.
    """

    kept: pa.Table
    duplicates: pa.Table
    changes: Mapping[Change, int] = dataclasses.field(default_factory=dict)

    @property
    def num_rows(self) -> int:
        """Inputs it accounts for."""
        return self.kept.num_rows + self.duplicates.num_rows

    @property
    def size_bytes(self) -> int:
        """Size of the rows."""
        return self.kept.nbytes + self.duplicates.nbytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodedImages(Batch):
    """A batch as read: `encoded` holds one image file's bytes a row."""

    encoded: tuple[bytes, ...]

    @property
    def size_bytes(self) -> int:
        """Size of the rows and of the encoded images."""
        return super().size_bytes + sum(map(len, self.encoded))


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
        """Size of the rows and of the pixels."""
        return super().size_bytes + self.pixels.nbytes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predictions(Batch):
    """A batch the model has seen.

    Attributes:
        outputs: float32 [rows, output_dim], finite.
        outputs_are_probabilities: Whether the probe's outputs are and sum to 1.
        warnings: What the model's probe noticed; the same for every batch of a run.
    """

    outputs: npt.NDArray[np.float32]
    outputs_are_probabilities: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Size of the rows and of the outputs."""
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
        return OutputRows(**self.common_fields(rows=rows), warnings=self.warnings + warnings)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputRows(Batch):
    """A batch ready to write: `rows` has the output schema."""

    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ShardResult:
    """One finished shard, staged.

    Attributes:
        shard: Which one.
        kind: Where its images lie.
        file: The TFRecord or Parquet file it was made of, or None.
        fingerprint: The shard's.
        data: The staged data file.
        inputs: The staged file of what the shard was given.
        rows: Rows in the data file.
        failures: Failed inputs by "step/error_type".
        changes: Images by what became of them since the run before; empty if there is none.
        id_digests: One uint64 digest a row, of its image_id, in order, as bytes; empty where the
            plan has made the ids unique.
        seconds: Wall time by step.
        warnings: What the user should know of the shard or the model.
    """

    shard: ShardKey
    kind: ShardKind
    file: InputFile | None
    fingerprint: str
    data: WrittenFile
    inputs: WrittenFile
    rows: int
    failures: Mapping[str, int]
    changes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    id_digests: bytes = b""
    seconds: Mapping[Step, float] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def failed(self) -> int:
        """Images that failed."""
        return sum(self.failures.values())

    @property
    def images(self) -> int:
        """Images the shard was given."""
        return self.rows + self.failed

    @property
    def may_pass(self) -> bool:
        """Whether some of its failures may not happen another time."""
        return not PASSING_REASONS.isdisjoint(self.failures)
