"""What flows through the pipeline before there is a batch: references, files, shards.

Every record is immutable. Pickles are Beam's own, between the workers of a run.
"""

import dataclasses
import enum
import pickle
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from transforms.span import Span


class ShardKind(enum.StrEnum):
    """Where a shard's images lie."""

    IMAGES = "images"
    TFRECORD = "tfrecord"
    PARQUET = "parquet"
    TAR = "tar"
    ZIP = "zip"


@dataclasses.dataclass(frozen=True, slots=True)
class ImageRef:
    """One image file, before it is opened.

    Attributes:
        image_id: Stable key, unique within a run.
        uri: URI of the bytes, of any scheme that Beam's FileSystems reads, or of the web.
        size_bytes: Bytes by the listing, or None where it was not listed (remote manifests).
        version: Version by the listing; another one when the object has changed, or None if it is
            not known. The modification time in nanoseconds; generation and checksum on gs://; the
            ETag on s3:// and az://. On the web it is what the answer told, once it was read: see
            transforms.files.web.versions.
        carried: Values of the carried columns, in the order of the run's carried schema.
        content_sha256: sha256 of the file, hexadecimal, where it was hashed before planning; of one
            on the web that the run before has a row of, that of its version.
        unlisted: Reason that a directory could not be listed, or a file not be told apart, if this
            stands for one: nobody knows how many images are in it, so that it is one, which fails.
        box: Place of the box which it is, among all of a manifest, until PlanShards numbers the
            boxes of each image; then, and of a whole image, None.
        row: Place in the list, counted from 0, if rows of one image are told apart; None once their
            ids do.
    """

    image_id: str
    uri: str
    size_bytes: int | None = None
    version: str | None = None
    carried: tuple[Any, ...] = ()
    content_sha256: str | None = None
    unlisted: str | None = None
    box: int | None = None
    row: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class RefChunk:
    """Some images together: a million elements of their own would cost far more than they hold.

    Pickled by columns and compressed, in which the paths of a listing take a tenth.

    Attributes:
        refs: The images.
    """

    refs: tuple[ImageRef, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """Returns how to make it again."""
        refs = self.refs
        columns = [[getattr(ref, name) for ref in refs] for name in ImageRef.__slots__]
        packed = zlib.compress(pickle.dumps(columns, pickle.HIGHEST_PROTOCOL), level=1)
        return _unpack_chunk, (packed,)


def _unpack_chunk(packed: bytes) -> RefChunk:
    columns = pickle.loads(zlib.decompress(packed))
    return RefChunk(tuple(ImageRef(*fields) for fields in zip(*columns, strict=True)))


@dataclasses.dataclass(frozen=True, slots=True)
class InputFile:
    """One TFRecord, Parquet, tar or zip file, or a span of one.

    Attributes:
        kind: TFRECORD, PARQUET or TAR.
        uri: URI of the file.
        root: The --input pattern's fixed part, for ids relative to it.
        size_bytes: Size by the listing, in bytes.
        version: Version by the listing, as an ImageRef's.
        span: Its images, where the file is divided; None stands for all of the file.
    """

    kind: ShardKind
    uri: str
    root: str
    size_bytes: int
    version: str | None = None
    span: Span | None = None

    @property
    def first_image(self) -> int:
        """Index in the file of the first image."""
        return 0 if self.span is None else self.span.first_image


@dataclasses.dataclass(frozen=True, slots=True)
class ShardKey:
    """Which output file: `index` of `count`, counted from 0; or the canaries, which are none.

    Attributes:
        index: Place among the shards of the run.
        count: Shards of the run.
        is_canaries: Whether it is the shard of known images: checked, never published, and not
            counted among the shards of the run.
    """

    index: int
    count: int
    is_canaries: bool = False

    def __str__(self) -> str:
        """The part of the file name that tells shards apart."""
        return "canaries" if self.is_canaries else f"{self.index:05d}-of-{self.count:05d}"


CANARIES = ShardKey(0, 1, is_canaries=True)
"""The shard of known images: alone of its kind."""


@dataclasses.dataclass(frozen=True, slots=True)
class Shard:
    """A fixed, ordered list of images, or of files of them; becomes exactly one output file.

    Attributes:
        key: Place among the run's shards.
        kind: Kind of place where its images lie.
        refs: The images, sorted by image_id; empty unless kind is IMAGES.
        files: The files, of one kind, sorted by uri: one, or a span of one, or many that are tiny;
            empty if kind is IMAGES.
        fingerprint: sha256, hexadecimal, over all that decides its rows; empty until it is known.
        image_shard_count: Shards of listed images in the run, if it is one of these.
        predecessor: The same shard, or its parent, in an earlier run, if there is one.
    """

    key: ShardKey
    kind: ShardKind
    refs: tuple[ImageRef, ...] = ()
    files: tuple[InputFile, ...] = ()
    fingerprint: str = ""
    image_shard_count: int | None = None
    predecessor: "Predecessor | None" = None

    @property
    def has_planned_ids(self) -> bool:
        """Whether the run's shards are all of listed images: ids are known when it is planned."""
        return self.image_shard_count == self.key.count

    def __reduce__(self) -> tuple[Any, ...]:
        """Returns how to make it again, its images as a RefChunk."""
        fields = {name: getattr(self, name) for name in Shard.__slots__}
        return _unpack_shard, ({**fields, "refs": RefChunk(self.refs)},)


def _unpack_shard(fields: dict[str, Any]) -> Shard:
    return Shard(**{**fields, "refs": fields["refs"].refs})


@dataclasses.dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that is complete.

    Attributes:
        path: Path or URI of the file.
        size_bytes: Size of the file, in bytes.
        sha256: sha256 of its content, hexadecimal.
    """

    path: str
    size_bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True)
class Predecessor:
    """A shard of an earlier run, whose rows may be used again; of a changed file all its shards.

    Attributes:
        data: Data file of each earlier shard.
        inputs: File of what each earlier shard was given.
        has_same_recipe: Whether its rows are what this run would make of the same images.
        keeps_all: Whether every row of it stays, whatever a listing says: its run is completed.
        changes: Images by kind of change, if it is this shard itself, done before by this run.
        unchanged_files: Files of the shard that are as they were, and whose rows are as this run
            would write them, down to the carried columns.
    """

    data: tuple[WrittenFile, ...]
    inputs: tuple[WrittenFile, ...]
    has_same_recipe: bool = True
    keeps_all: bool = False
    changes: Mapping[str, int] | None = None
    unchanged_files: tuple[InputFile, ...] = ()


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


class PassedOver(NamedTuple):
    """Files, directories and images that are left out for one reason.

    Attributes:
        reason: Extension of their names, as ".txt", or why they are left out, as "hidden".
        total: Number of them.
        example: URI of the first by name.
    """

    reason: str
    total: int
    example: str
