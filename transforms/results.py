"""What a finished shard is known by: the record between writing it and publishing the run."""

import dataclasses
from collections.abc import Mapping

from transforms.failure import CUT_SHORT, PASSING_REASONS, UNOPENED, Step
from transforms.records import InputFile, ShardKey, ShardKind, WrittenFile


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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ShardResult:
    """One finished shard, staged.

    Attributes:
        shard: Place of the shard among the run's.
        kind: Kind of place where its images lie.
        file: The TFRecord, Parquet or tar file it was made of, or None.
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
    range_doubt: str = ""
    engine: EngineReport | None = None
    retries: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Number of images that failed."""
        return sum(self.failures.values())

    @property
    def images(self) -> int:
        """Number of images that the shard was given."""
        return self.rows + self.failed

    @property
    def known_images(self) -> int:
        """Number of images, without what stands for the rest of a file, or for a whole one."""
        if self.file is None:
            return self.images
        return self.images - sum(self.failures.get(name, 0) for name in CUT_SHORT | UNOPENED)

    @property
    def is_cut_short(self) -> bool:
        """Whether nobody knows how many images its file holds, for it was not read to its end.

        Of a file that did not open, an earlier run may have told the images: then each has a row
        or a failure of its own.
        """
        is_unopened = self.file is not None and not UNOPENED.isdisjoint(self.failures)
        is_cut = not CUT_SHORT.isdisjoint(self.failures)
        return is_cut or (is_unopened and self.images == 1)

    @property
    def may_pass(self) -> bool:
        """Whether some of its failures may not happen another time."""
        return not PASSING_REASONS.isdisjoint(self.failures)
