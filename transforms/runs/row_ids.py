"""Ids of the rows of a list that names one image several times, as a list of captions does.

Of the lines of captions.csv

    uri,caption
    a.jpg,a cat          image_id a.jpg#0
    b.jpg,a dog          image_id b.jpg#0
    a.jpg,a cat sits     image_id a.jpg#1

each is a row, and a row is known by its place among those of its image. So lines that come and go
elsewhere in the list change no id.
"""

import collections
import dataclasses
from collections.abc import Iterable, Iterator

from transforms.records import ImageRef


def number_rows(refs: Iterable[ImageRef]) -> Iterator[ImageRef]:
    """Gives the rows of each image their ids; other references stay as they are.

    Holds a number for each image.

    Args:
        refs: References in the order of the list, with all rows of each image.
    """
    seen: collections.Counter[str] = collections.Counter()
    for ref in refs:
        if ref.row is None:
            yield ref
            continue
        yield dataclasses.replace(ref, image_id=f"{ref.image_id}#{seen[ref.image_id]}", row=None)
        seen[ref.image_id] += 1


def image_of_row(image_id: str) -> str:
    """Returns what the rows of one image have in common: a.jpg of a.jpg#1."""
    return image_id.rpartition("#")[0]


def place_in_list(ref: ImageRef) -> tuple[int, str, str]:
    """Returns what sorts rows as their list has them; of two lists, by what the rows say."""
    return (0, "", "") if ref.row is None else (ref.row, ref.uri, repr(ref.carried))
