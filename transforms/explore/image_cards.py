"""Images of a run as a page shows them: a name, a small picture, and what the run says."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from transforms.explore.thumbnails import COLUMNS, Thumbnail, read_thumbnails
from transforms.runs.record import PublishedRun
from transforms.runs.rows import take_rows
from transforms.schemas import IMAGE_ID

_NAME_PARTS = 2
_MAX_NAME_CHARS, _MAX_TITLE_CHARS = 80, 300


class ImageCard(NamedTuple):
    """An image as a page shows it: picture, name, and columns of its row.

    Attributes:
        name: The end of its image_id, which tells it from the others: file and directory.
        title: The image_id, cut in front if it is very long.
        thumbnail: A small picture, or why there is none.
        columns: Further columns of its row, by name.
    """

    name: str
    title: str
    thumbnail: Thumbnail
    columns: Mapping[str, Any]


class Sheet(NamedTuple):
    """Images that a page shows side by side, under a title.

    Attributes:
        title: Heading above the images; may be empty.
        cards: The images.
        texts: A line below each, as many as cards.
    """

    title: str
    cards: list[ImageCard]
    texts: list[str]


def read_cards(
    run: PublishedRun, rows: Iterable[int], side_pixels: int, names: Sequence[str] = ()
) -> dict[int, ImageCard]:
    """Reads some rows of a run and their images.

    Args:
        run: The run.
        rows: Numbers of rows; one may be there several times.
        side_pixels: Longest side of a picture.
        names: Further columns to read.

    Returns:
        The cards by row. Images are read in the order of the rows, files from front to back.

    Raises:
        InputError: If a data file is damaged. An image that is gone is a card that says so.
    """
    wanted = np.unique(np.fromiter(rows, np.int64))
    if not len(wanted):
        return {}
    table = take_rows(run, wanted, [IMAGE_ID, *COLUMNS, *names])
    thumbnails = read_thumbnails(run.record, table, side_pixels)
    values = table.select(list(names)).to_pylist() if names else [{}] * len(wanted)
    return {
        row: make_card(image_id, thumbnail, columns)
        for row, image_id, thumbnail, columns in zip(
            wanted.tolist(), table[IMAGE_ID].to_pylist(), thumbnails, values, strict=True
        )
    }


def make_card(
    name: str, thumbnail: Thumbnail, columns: Mapping[str, Any] | None = None
) -> ImageCard:
    """Returns the card of an image, its name made short.

    Args:
        name: image_id or URI of the image.
        thumbnail: Small picture of the image, or why there is none.
        columns: Further columns of its row.
    """
    parts = name.rsplit("/", _NAME_PARTS)
    short = "/".join(parts[-_NAME_PARTS:])
    return ImageCard(
        _cut_front(short, _MAX_NAME_CHARS),
        _cut_front(name, _MAX_TITLE_CHARS),
        thumbnail,
        columns or {},
    )


def _cut_front(name: str, max_chars: int) -> str:
    return name if len(name) <= max_chars else f"…{name[1 - max_chars :]}"
