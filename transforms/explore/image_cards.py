"""Images of a run as a page shows them: a name, a small picture, and what the run says."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from transforms.explore.thumbnails import Thumbnail, read_thumbnails, thumbnail_columns
from transforms.runs.record import PublishedRun
from transforms.runs.rows import take_rows
from transforms.schemas import HEIGHT, IMAGE_ID, WIDTH

_NAME_PARTS = 2
_MAX_NAME_CHARS, _MAX_ID_CHARS = 80, 1000


class ImageCard(NamedTuple):
    """An image as a page shows it: picture, name, and columns of its row.

    Attributes:
        name: The end of its image_id, which tells it from the others: file and directory.
        image_id: The whole name, cut in front if it is very long.
        thumbnail: A small picture, or why there is none.
        columns: Further columns of its row, by name.
        row: Number of its row; None of an image that has none.
        size: Words for its size and format; empty if they are not known.
    """

    name: str
    image_id: str
    thumbnail: Thumbnail
    columns: Mapping[str, Any]
    row: int | None = None
    size: str = ""


class Sheet(NamedTuple):
    """Images that a page shows side by side, under a title.

    Attributes:
        title: Heading above the images; may be empty.
        cards: The images.
        texts: A line below each, as many as cards.
        copies: Number of images of each card's bytes, as many as cards; empty if none has others.
    """

    title: str
    cards: list[ImageCard]
    texts: list[str]
    copies: Sequence[int] = ()


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
    table = take_rows(
        run, wanted, [IMAGE_ID, *thumbnail_columns(run.record), HEIGHT, WIDTH, *names]
    )
    thumbnails = read_thumbnails(run.record, table, side_pixels)
    values = table.select(list(names)).to_pylist() if names else [{}] * len(wanted)
    sizes = zip(*(table[name].to_pylist() for name in (HEIGHT, WIDTH)), strict=True)
    return {
        row: make_card(image_id, thumbnail, columns)._replace(
            row=row, size=f"{height:,} x {width:,} pixels {thumbnail.format}".rstrip()
        )
        for row, image_id, thumbnail, columns, (height, width) in zip(
            wanted.tolist(), table[IMAGE_ID].to_pylist(), thumbnails, values, sizes, strict=True
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
        _cut_front(name, _MAX_ID_CHARS),
        thumbnail,
        columns or {},
    )


def _cut_front(name: str, max_chars: int) -> str:
    return name if len(name) <= max_chars else f"…{name[1 - max_chars :]}"
