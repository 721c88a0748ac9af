"""What a finished shard is known by: the record between writing it and publishing the run."""

import dataclasses
from collections.abc import Mapping

from transforms.failure import CUT_SHORT, PASSING_REASONS, UNOPENED, Step
from transforms.records import InputFile, PassedOver, ShardKey, ShardKind, WrittenFile


@dataclasses.dataclass(frozen=True, slots=True)
class EngineReport:
    """What ran the model, as a worker found it.

    Attributes:
        engine: "tensorflow" or "openvino".
        precision: "float32", "bfloat16" or "float16".
        device: "CPU" or "GPU".
        min_cosine: Smallest cosine between its answer to a probe image and that of TensorFlow in
            float32; None for that itself.
        batch_size: Most images in one call, where that was measured or memory set a limit.
    """

    engine: str
    precision: str
    device: str
    min_cosine: float | None = None
    batch_size: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class FileAccount:
    """What became of a file, or of a span of one.

    Attributes:
        file: The file.
        images: Number of images in it that are known: rows and failures, without what stands for
            the rest of it, or for all of it.
        is_cut_short: Whether nobody knows how many images it holds, for it was not read to its
            end. Of a file that did not open, an earlier run may have told the images: then each
            has a row or a failure of its own.
    """

    file: InputFile
    images: int
    is_cut_short: bool = False

    @classmethod
    def of(cls, file: InputFile, rows: int, failures: Mapping[str, int]) -> "FileAccount":
        """Tells it by the number of rows, and that of failures by "step/error_type"."""
        every = rows + sum(failures.values())
        is_cut = not CUT_SHORT.isdisjoint(failures)
        is_unopened = not UNOPENED.isdisjoint(failures)
        known = every - sum(failures.get(name, 0) for name in CUT_SHORT | UNOPENED)
        return cls(file, known, is_cut or (is_unopened and every == 1))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ShardResult:
    """One finished shard, staged.

    Attributes:
        shard: Place of the shard among the run's.
        kind: Kind of place where its images lie.
        files: The TFRecord, Parquet, tar or zip files it was made of, and their images.
        fingerprint: Fingerprint of the shard, sha256, hexadecimal.
        data: The staged data file.
        inputs: The staged file of what the shard was given.
        rows: Rows in the data file.
        failures: Failed inputs by "step/error_type".
        changes: Images by kind of change since the run before; empty if there is none.
        id_digests: Digests of the image_ids as bytes, one uint64 a row, in order; empty where the
            plan has made the ids unique.
        seconds: Wall time by step, in seconds.
        warnings: Sentences on what the user should know of the shard or the model.
        range_doubt: Sentence on the range of the pixels, if the first images of a worker speak for
            another. Those of other workers may differ in numbers: a run says one.
        engine: Engine, precision and device that ran the model.
        retries: Requests to a store that were made again as it was read, by reason.
        skipped: Images of its files that were passed over as they were read.
    """

    shard: ShardKey
    kind: ShardKind
    files: tuple[FileAccount, ...]
    fingerprint: str
    data: WrittenFile
    inputs: WrittenFile
    rows: int
    failures: Mapping[str, int]
    changes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    id_digests: bytes = b""
    seconds: Mapping[Step, float] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    range_doubt: str = ""
    engine: EngineReport | None = None
    retries: Mapping[str, int] = dataclasses.field(default_factory=dict)
    skipped: tuple[PassedOver, ...] = ()

    @property
    def failed(self) -> int:
        """Number of images that failed."""
        return sum(self.failures.values())

    @property
    def images(self) -> int:
        """Number of images that the shard was given."""
        return self.rows + self.failed

    @property
    def may_pass(self) -> bool:
        """Whether some of its failures may not happen another time."""
        return not PASSING_REASONS.isdisjoint(self.failures)
