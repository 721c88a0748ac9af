"""Images that changed from one run to the next, as small pictures."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.explore.run_join import RunJoin
from transforms.explore.thumbnails import Thumbnail, read_thumbnails, thumbnail_columns
from transforms.runs.record import PublishedRun
from transforms.runs.rows import take_rows
from transforms.schemas import CONTENT_SHA256, IMAGE_ID


class ChangedImage(NamedTuple):
    """An image that two runs share.

    Attributes:
        image_id: Name of the image in the later run.
        contents: Its content_sha256 in the earlier run, and in the later one.
        before: Picture of what it was; None if its content is the same, or the old one cannot be
            read any more.
        after: Picture of what it is, or why there is none.
    """

    image_id: str
    contents: tuple[str, str]
    before: Thumbnail | None
    after: Thumbnail


def draw_changed_images(
    before: PublishedRun,
    after: PublishedRun,
    join: RunJoin,
    pairs: npt.NDArray[np.int64],
    side_pixels: int,
) -> Iterator[ChangedImage]:
    """Reads images again and draws them small, in order.

    Args:
        before: The earlier run.
        after: The later run.
        join: Rows of both runs, put together by image.
        pairs: int64 [images], numbers of pairs, each at most once.
        side_pixels: Longest side of a picture.

    Raises:
        InputError: If a data file is damaged; of images it is a note.
    """
    is_rows, was_rows = (
        take_rows(run, rows, [IMAGE_ID, *thumbnail_columns(run.record)])
        for run, rows in ((after, join.after[pairs]), (before, join.before[pairs]))
    )
    now = read_thumbnails(after.record, is_rows, side_pixels)
    is_unchanged = join.is_unchanged[pairs]
    # The earlier run may know where the image is: as it was, or a copy of what is gone.
    wanted = [place for place, drawn in enumerate(now) if not drawn.jpeg or not is_unchanged[place]]
    rows = was_rows.take(pa.array(wanted, pa.int64()))
    was = dict(zip(wanted, read_thumbnails(before.record, rows, side_pixels), strict=True))
    hashes = zip(*(table[CONTENT_SHA256].to_pylist() for table in (was_rows, is_rows)), strict=True)
    named = zip(is_rows[IMAGE_ID].to_pylist(), hashes, strict=True)
    for place, (image_id, contents) in enumerate(named):
        earlier, later = was.get(place), now[place]
        is_as_it_was = earlier is not None and bool(earlier.jpeg) and not earlier.note
        if is_unchanged[place]:
            found = earlier if earlier is not None and is_as_it_was else later
            yield ChangedImage(image_id, contents, None, found)
        else:
            yield ChangedImage(image_id, contents, earlier if is_as_it_was else None, later)
