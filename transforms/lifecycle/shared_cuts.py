"""Batches of several runs that are of the same images, to be decoded once."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

from transforms.boxes import boxes_of
from transforms.inputs.part import ReadPart


class Cut(NamedTuple):
    """Images that are a batch of each of some runs.

    Attributes:
        parts: Batch of each run, by the run's place.
        is_last: Whether it is the last of the shard, for each.
    """

    parts: Mapping[int, ReadPart]
    is_last: bool


def together(parts: Mapping[int, Sequence[ReadPart]], *, are_last: bool = False) -> Iterator[Cut]:
    """Puts the runs together whose next batches have the very same images, in the same order.

    Of {0: [a b], 1: [a b], 2: [a]}, each letter the bytes of an image: {0: [a b], 1: [a b]} and
    {2: [a]}. Boxes are the same if they are of the same image, and equal.

    Args:
        parts: Next batches of each run, by its place.
        are_last: Whether these are the last ones of their shard.
    """
    alike: dict[Hashable, list[int]] = {}
    for run, batches in parts.items():
        images = tuple(
            tuple(zip(map(id, part.encoded), boxes_of(part.rows), strict=True)) for part in batches
        )
        alike.setdefault(images, []).append(run)
    for runs in alike.values():
        for place in range(len(parts[runs[0]])):
            yield Cut({run: parts[run][place] for run in runs}, are_last)
