"""The few images that are run before a run, as shards like its own."""

import dataclasses
from collections.abc import Sequence

from transforms.records import ImageRef, InputFile, Shard, ShardKey, ShardKind
from transforms.runs.grouping import group_files
from transforms.steps.plan_shards import sorted_by_id

SAMPLE_IMAGES = 512
"""At least, where there are so many."""

BATCHES_A_THREAD = 8
"""At least: the first of a thread starts the clock, and the last is left out of the time."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """What is computed in place of a run's inputs.

    Attributes:
        shards: The shards. The last one is empty: its file is what every file has besides its rows.
        images_per_file: Images, or boxes, to read of a TFRecord, Parquet, tar or zip file, in
            whole batches.
    """

    shards: tuple[Shard, ...]
    images_per_file: int


def sample_size(batch_size: int, threads: int) -> int:
    """Returns how many images show how fast so many threads are."""
    return max(SAMPLE_IMAGES, BATCHES_A_THREAD * batch_size * threads)


def make_sample(
    drawn: Sequence[ImageRef],
    files: Sequence[InputFile],
    *,
    size: int,
    images: int,
    images_in_files: int,
    rows_per_shard: int,
    threads: int,
) -> Sample:
    """Puts images into shards as large as the run's, or so that every thread has one.

    Args:
        drawn: Listed images, in an order that is as good as chance.
        files: Files of images; the first rows of some are taken, far apart. Tiny ones are read in
            their groups, as the run does.
        size: Images to take, where there are so many.
        images: Listed images that the run computes.
        images_in_files: Images in these files.
        rows_per_shard: Listed images in one of the run's shards.
        threads: Shards worked on at once.
    """
    total = max(images + images_in_files, 1)
    listed = drawn[: -(-size * images // total)]
    groups: list[Sequence[ImageRef]] = []
    if listed:
        # Of unequal numbers of shards some threads would be idle at the end.
        rounds = -(-len(listed) // (max(rows_per_shard, 1) * threads))
        count = min(rounds * threads, len(listed))
        groups = [listed[start::count] for start in range(count)]
    chosen: list[tuple[InputFile, ...]] = []
    images_per_file = 0
    if files:
        own = group_files(files)
        from_files = size - len(listed)
        enough = -(-from_files * len(own) // max(images_in_files, 1))
        count = min(len(own), max(2 * threads, enough))
        chosen = [own[place * len(own) // count] for place in range(count)]
        images_per_file = -(-from_files // sum(map(len, chosen)))
    key = ShardKey(0, len(groups) + len(chosen) + 1)
    shards = [Shard(key, ShardKind.IMAGES, sorted_by_id(group)) for group in groups]
    shards += [Shard(key, group[0].kind, files=group) for group in chosen]
    shards.append(Shard(key, ShardKind.IMAGES))
    return Sample(
        tuple(
            dataclasses.replace(shard, key=ShardKey(index, key.count))
            for index, shard in enumerate(shards)
        ),
        images_per_file,
    )
