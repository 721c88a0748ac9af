"""Which tiny files of images share a shard, and so one output file.

Of 20,000 TFRecords of five photos each, 300 kB a file and 6 GB in all, 512 groups are made, of 39
files each in the mean. A file is put into a group by a hash of its URI, so that one that is added,
removed or changed leaves all other groups as they are. Their number is a power of two: as the files
grow in number it doubles, and each group splits into two (shard_index). It follows from the number
and the sizes of the files alone, and never from the machine.
"""

import collections
from collections.abc import Iterable

from transforms.records import InputFile, ShardKind
from transforms.runs.sharding import shard_index

TINY_BYTES = 1 << 20
"""A smaller file takes about as long to be a shard of its own as to be computed."""

GROUP_BYTES = 16 << 20
"""A group has about this much, or half of it: half of the smallest span of a large file."""

FEW_GROUPS = 32
"""Files of few bytes in all are put into this many groups, so that every core has some."""

LEAST_FILES = 128
"""Fewer tiny files of a kind are a shard each: they are no burden, and cores are kept busy."""


def count_groups(file_count: int, total_bytes: int) -> int:
    """Chooses the number of groups for tiny files of one kind; 0 if each is a shard of its own."""
    if file_count < LEAST_FILES:
        return 0
    by_size = -(-total_bytes // GROUP_BYTES)
    return 1 << (max(by_size, FEW_GROUPS) - 1).bit_length()


def group_files(files: Iterable[InputFile]) -> list[tuple[InputFile, ...]]:
    """Puts tiny files of one kind together, if there are many; every other one stays alone.

    Args:
        files: Files, and spans of large ones, in any order.

    Returns:
        The files of each shard, in order of uri and place; the shards likewise, by their first.
    """
    groups: list[list[InputFile]] = []
    tiny: collections.defaultdict[ShardKind, list[InputFile]] = collections.defaultdict(list)
    for file in files:
        if file.span is None and file.size_bytes < TINY_BYTES:
            tiny[file.kind].append(file)
        else:
            groups.append([file])
    for own in tiny.values():
        count = count_groups(len(own), sum(file.size_bytes for file in own))
        together: collections.defaultdict[int | str, list[InputFile]]
        together = collections.defaultdict(list)
        for file in own:
            together[shard_index(file.uri, count) if count else file.uri].append(file)
        groups += together.values()
    ordered = (tuple(sorted(group, key=_place)) for group in groups)
    return sorted(ordered, key=lambda group: _place(group[0]))


def _place(file: InputFile) -> tuple[str, int]:
    return file.uri, file.first_image
