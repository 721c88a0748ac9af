"""PlanShards: what was matched -> the shards of the run, the same ones every time."""

import collections
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
from apache_beam.pvalue import AsList, AsSingleton, PCollection

from transforms.boxes import name_box
from transforms.errors import InputError
from transforms.records import ImageRef, InputFile, RefChunk, Shard, ShardKey, ShardKind
from transforms.runs.grouping import group_files
from transforms.runs.row_ids import number_rows, place_in_list
from transforms.runs.sharding import count_shards, shard_index
from transforms.steps.tally import FILES, TALLY


def sorted_by_id(refs: Iterable[ImageRef]) -> tuple[ImageRef, ...]:
    """Sorts one shard's images.

    A directory that two globs could not list comes once. The boxes of an image are numbered, and
    rows of one image, where they are told apart, get their ids.

    Raises:
        InputError: If two have one image_id; names both.
    """
    chosen = numbered(number_rows(sorted(refs, key=place_in_list)))
    unlisted = {ref.uri: ref for ref in chosen if ref.unlisted is not None}
    if unlisted:
        chosen = [ref for ref in chosen if ref.unlisted is None] + list(unlisted.values())
    ordered = tuple(sorted(chosen, key=lambda ref: (ref.image_id, ref.uri)))
    for first, second in itertools.pairwise(ordered):
        if first.image_id == second.image_id:
            where = (
                f"{first.uri} is listed twice"
                if first.uri == second.uri
                else f"{first.uri} and {second.uri} both have it"
            )
            rows = ", such as uri#row for rows of one image" if first.uri == second.uri else ""
            raise InputError(
                f"image_id {first.image_id!r} is not unique: {where}; remove one, or choose "
                f"another key with --image_id_from{rows}"
            )
    return ordered


def place_of_box(ref: ImageRef) -> tuple[int, str]:
    """Returns what sorts the boxes of an image as their lists have them; no boxes come first."""
    return (-1, "") if ref.box is None else (ref.box, repr(ref.carried))


def numbered(refs: Iterable[ImageRef]) -> list[ImageRef]:
    """Gives boxes their ids, in the order of their rows: a.jpg#box-0, a.jpg#box-1.

    Raises:
        InputError: If boxes of two files have one image_id.
    """
    chosen: list[ImageRef] = []
    boxes: collections.defaultdict[str, list[ImageRef]] = collections.defaultdict(list)
    for ref in refs:
        (chosen if ref.box is None else boxes[ref.image_id]).append(ref)
    for image_id, own in boxes.items():
        own.sort(key=lambda ref: (ref.uri, *place_of_box(ref)))
        if own[0].uri != own[-1].uri:
            raise InputError(
                f"image_id {image_id!r} is not unique: boxes of {own[0].uri} and of {own[-1].uri} "
                "have it; give each image its own, or choose another key with --image_id_from"
            )
        chosen += [
            dataclasses.replace(ref, image_id=name_box(image_id, number), box=None)
            for number, ref in enumerate(own)
        ]
    return chosen


def check_matched_once(files: Iterable[InputFile]) -> None:
    """Checks that no file is matched twice.

    Raises:
        InputError: If one is.
    """
    places = sorted((file.uri, file.first_image) for file in files)
    for first, second in itertools.pairwise(places):
        if first == second:
            raise InputError(f"{first[0]} is matched by two --input patterns; remove one")


def check_not_empty(image_count: int, files: Sequence[object]) -> None:
    """Checks that there is something to read.

    Args:
        image_count: Number of listed images.
        files: Files, or groups of them.

    Raises:
        InputError: If there is not.
    """
    if not image_count and not files:
        raise InputError(
            "no images found: none of the --input and --manifest holds any (with --boxes: any that "
            "has a box)"
        )


@dataclasses.dataclass(frozen=True)
class ShardSizes:
    """How many shards of listed images there shall be.

    Attributes:
        rows_per_file: Rows an output file of listed images should hold at most.
        at_least: Number of shards of listed images in the run before.
    """

    rows_per_file: int
    at_least: int = 0

    def count(self, image_count: int) -> int:
        """Returns the number of shards for so many images."""
        return count_shards(image_count, self.rows_per_file, self.at_least)


def plan_image_shards(
    group: tuple[int, Iterable[RefChunk]],
    image_count: int,
    groups: list[tuple[InputFile, ...]],
    sizes: ShardSizes,
) -> Shard:
    """Makes one shard of listed images from what was grouped under its index."""
    index, chunks = group
    images = sizes.count(image_count)
    key = ShardKey(index, images + len(groups))
    refs = sorted_by_id(ref for chunk in chunks for ref in chunk.refs)
    return Shard(key, ShardKind.IMAGES, refs, image_shard_count=images)


def plan_file_shards(
    image_count: int, groups: Iterable[tuple[InputFile, ...]], sizes: ShardSizes
) -> list[Shard]:
    """Makes a shard of each group of files, by the place of the first, after the image shards."""
    ordered = sorted(groups, key=lambda group: (group[0].uri, group[0].first_image))
    start = sizes.count(image_count)
    count = start + len(ordered)
    return [
        Shard(ShardKey(start + i, count), group[0].kind, files=group)
        for i, group in enumerate(ordered)
    ]


def _number_shards(
    _: bytes,
    image_count: int,
    groups: list[tuple[InputFile, ...]],
    sizes: ShardSizes,
    runs: int,
) -> Iterator[tuple[int, RefChunk]]:
    """Yields an empty chunk for each shard: one that no image hashes to is there all the same."""
    check_not_empty(image_count, groups)
    TALLY.add(total=runs * image_count)
    for index in range(sizes.count(image_count)):
        yield index, RefChunk(())


def _split_by_shard(
    chunk: RefChunk, image_count: int, sizes: ShardSizes
) -> Iterator[tuple[int, RefChunk]]:
    count = sizes.count(image_count)
    parts: collections.defaultdict[int, list[ImageRef]] = collections.defaultdict(list)
    for ref in chunk.refs:
        parts[shard_index(ref.content_sha256 or ref.image_id, count)].append(ref)
    for index, refs in parts.items():
        yield index, RefChunk(tuple(refs))


def _count_images(chunk: RefChunk) -> int:
    return len(chunk.refs)


@dataclasses.dataclass(eq=False)
class PlanShards(
    beam.PTransform[tuple[PCollection[RefChunk], PCollection[InputFile]], PCollection[Shard]]
):
    """Puts images into shards by a hash of their image_id, and files into shards of their own.

    Takes (PCollection[RefChunk], PCollection[InputFile]). Every image is in exactly one shard; a
    shard that no image hashes to is there all the same. Images that were hashed before are put by
    their content, so that equal ones meet. Tiny files share shards. Only references are shuffled.

    Attributes:
        sizes: Sizes that decide how many shards of listed images there are.
        runs: Number of runs that work on the shards, each of which counts its images.
    """

    sizes: ShardSizes
    runs: int = 1

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(
        self, matched: tuple[PCollection[RefChunk], PCollection[InputFile]]
    ) -> PCollection[Shard]:
        """Returns the shards of images, and those of files."""
        images, files = matched
        start = images.pipeline | "Start" >> beam.Impulse()
        groups = start | "GroupFiles" >> beam.FlatMap(_group_files, AsList(files))
        counted = (
            AsSingleton(
                images
                | "CountImages" >> beam.Map(_count_images)
                | "AddUp" >> beam.CombineGlobally(sum).without_defaults(),
                0,
            ),
            AsList(groups),
        )
        numbers = start | "NumberShards" >> beam.FlatMap(
            _number_shards, *counted, self.sizes, self.runs
        )
        keyed = images | "SplitByShard" >> beam.FlatMap(_split_by_shard, counted[0], self.sizes)
        image_shards = (
            (numbers, keyed)
            | "Numbered" >> beam.Flatten()
            | "GroupByShard" >> beam.GroupByKey()
            | "PlanImageShards" >> beam.Map(plan_image_shards, *counted, self.sizes)
        )
        file_shards = start | "PlanFileShards" >> beam.FlatMap(_plan_files, *counted, self.sizes)
        return (image_shards, file_shards) | "Flatten" >> beam.Flatten().with_output_types(Shard)


def _group_files(_: bytes, files: list[InputFile]) -> list[tuple[InputFile, ...]]:
    check_matched_once(files)
    return group_files(files)


def _plan_files(
    _: bytes, image_count: int, groups: list[tuple[InputFile, ...]], sizes: ShardSizes
) -> list[Shard]:
    TALLY.count(FILES, sum(map(len, groups)))
    return plan_file_shards(image_count, groups, sizes)
