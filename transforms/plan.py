"""PlanShards: what was matched -> the shards of the run, the same ones every time."""

import dataclasses
import hashlib
import itertools
from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.pvalue import AsList, AsSingleton, PCollection
from apache_beam.transforms import combiners

from transforms.errors import InputError
from transforms.records import ImageRef, InputFile, Shard, ShardKey, ShardKind
from transforms.tally import TALLY

FEW_SHARDS = 16
"""A small collection is cut into this many shards, so that every core has some."""
FEW_ROWS = 32
"""But not into shards smaller than this: a batch should be worth a model call."""


def count_shards(image_count: int, rows_per_file: int) -> int:
    """Chooses the number of shards for listed images; depends on nothing but the two numbers.

    A power of two: as a collection grows it doubles, and each shard splits into two (shard_index).
    Any other number would move nearly every image to another file.

    Args:
        image_count: Images matched.
        rows_per_file: Rows a file should hold at most; hashing makes sizes vary a little.

    Returns:
        Number of shards, a power of two; 0 if there are no images.
    """
    by_size = -(-image_count // rows_per_file)
    by_core = min(FEW_SHARDS, -(-image_count // FEW_ROWS))
    return 1 << (max(by_size, by_core) - 1).bit_length() if image_count else 0


def shard_index(image_id: str, shard_count: int) -> int:
    """Hashes an id to a shard; when shard_count doubles, shard i splits into i and i + count."""
    digest = hashlib.sha256(image_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") % shard_count


def sorted_by_id(refs: Iterable[ImageRef]) -> tuple[ImageRef, ...]:
    """Sorts one shard's images.

    Raises:
        InputError: If two have one image_id; names both.
    """
    ordered = tuple(sorted(refs, key=lambda ref: (ref.image_id, ref.uri)))
    for first, second in itertools.pairwise(ordered):
        if first.image_id == second.image_id:
            where = (
                f"{first.uri} is listed twice"
                if first.uri == second.uri
                else f"{first.uri} and {second.uri} both have it"
            )
            raise InputError(
                f"image_id {first.image_id!r} is not unique: {where}; remove one, or choose "
                "another key with --image_id_from"
            )
    return ordered


def plan_image_shards(
    group: tuple[int, dict[str, Iterable[ImageRef]]],
    image_count: int,
    files: list[InputFile],
    rows_per_file: int,
) -> Shard:
    """Makes one shard of listed images from what was grouped under its index."""
    index, grouped = group
    count = count_shards(image_count, rows_per_file) + len(files)
    return Shard(ShardKey(index, count), ShardKind.IMAGES, sorted_by_id(grouped["refs"]))


def plan_file_shards(image_count: int, files: list[InputFile], rows_per_file: int) -> list[Shard]:
    """Makes one shard a TFRecord or Parquet file, in order of uri, after the image shards.

    Raises:
        InputError: If a file is matched twice.
    """
    ordered = sorted(files, key=lambda file: file.uri)
    for first, second in itertools.pairwise(ordered):
        if first.uri == second.uri:
            raise InputError(f"{first.uri} is matched by two --input patterns; remove one")
    start = count_shards(image_count, rows_per_file)
    count = start + len(files)
    return [
        Shard(ShardKey(start + i, count), file.kind, file=file) for i, file in enumerate(ordered)
    ]


def _number_shards(
    _: None, image_count: int, files: list[InputFile], rows_per_file: int
) -> Iterator[tuple[int, None]]:
    if not image_count and not files:
        raise InputError("no images found: none of the --input and --manifest holds any")
    TALLY.add(total=image_count)
    for index in range(count_shards(image_count, rows_per_file)):
        yield index, None


def _key_by_shard(ref: ImageRef, image_count: int, rows_per_file: int) -> tuple[int, ImageRef]:
    return shard_index(ref.image_id, count_shards(image_count, rows_per_file)), ref


@dataclasses.dataclass(eq=False)
class PlanShards(
    beam.PTransform[tuple[PCollection[ImageRef], PCollection[InputFile]], PCollection[Shard]]
):
    """Puts images into shards by a hash of their image_id, and each file into one of its own.

    Takes (PCollection[ImageRef], PCollection[InputFile]). Every image is in exactly one shard; a
    shard that no image hashes to is there all the same. Only references are shuffled.

    Attributes:
        rows_per_file: Rows an output file of listed images should hold at most.
    """

    rows_per_file: int

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(
        self, matched: tuple[PCollection[ImageRef], PCollection[InputFile]]
    ) -> PCollection[Shard]:
        """Returns the shards, spread over the workers."""
        images, files = matched
        sizes = (
            AsSingleton(images | "CountImages" >> combiners.Count.Globally()),
            AsList(files),
        )
        start = images.pipeline | "Start" >> beam.Create([None])
        numbers = start | "NumberShards" >> beam.FlatMap(_number_shards, *sizes, self.rows_per_file)
        keyed = images | "KeyByShard" >> beam.Map(_key_by_shard, sizes[0], self.rows_per_file)
        image_shards = (
            {"numbers": numbers, "refs": keyed}
            | "GroupByShard" >> beam.CoGroupByKey()
            | "PlanImageShards" >> beam.Map(plan_image_shards, *sizes, self.rows_per_file)
        )
        file_shards = start | "PlanFileShards" >> beam.FlatMap(
            _plan_files, *sizes, self.rows_per_file
        )
        # Small elements: flattened and shuffled before any image is opened, never after.
        return (
            (image_shards, file_shards)
            | "Flatten" >> beam.Flatten()
            | "SpreadShards" >> beam.Reshuffle().with_output_types(Shard)
        )


def _plan_files(
    _: None, image_count: int, files: list[InputFile], rows_per_file: int
) -> list[Shard]:
    return plan_file_shards(image_count, files, rows_per_file)
