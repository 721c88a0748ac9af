"""The rows of images that are named by their image_id."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.errors import InputError
from transforms.runs.record import PublishedRun
from transforms.runs.rows import read_run
from transforms.schemas import IMAGE_ID

_SHOWN_IDS = 3


def find_rows(run: PublishedRun, image_ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """Finds images by their image_id.

    Args:
        run: The run.
        image_ids: Any number, also one twice.

    Returns:
        int64 [image_ids], numbers of rows.

    Raises:
        InputError: If one is not there; names those that are like it. If a file is damaged.
    """
    wanted = pa.array(image_ids, pa.string())
    found: dict[str, int] = {}
    for first, ids in _read_ids(run):
        here = pc.indices_nonzero(pc.is_in(ids, value_set=wanted))
        names = ids.take(here).to_pylist()
        found |= {name: first + row for name, row in zip(names, here.to_pylist(), strict=True)}
    for image_id in image_ids:
        if image_id not in found:
            raise InputError(
                f"{run.directory} has no image_id {image_id!r}; {_similar(run, image_id)}"
            )
    return np.array([found[image_id] for image_id in image_ids], np.int64)


def _read_ids(run: PublishedRun) -> Iterator[tuple[int, pa.Array]]:
    """Yields some image_ids at a time, and the number of the first."""
    first = 0
    for batch in read_run(run, [IMAGE_ID]):
        yield first, batch.column(0)
        first += batch.num_rows


def _similar(run: PublishedRun, image_id: str) -> str:
    """Names a few ids that hold a text, or else the text's last part, in any case."""
    last = image_id.replace("\\", "/").rpartition("/")[2]
    for text in dict.fromkeys(filter(None, (image_id, last))):
        shown: list[str] = []
        for _, ids in _read_ids(run):
            matching = ids.filter(pc.match_substring(ids, text, ignore_case=True))
            shown += matching.slice(0, _SHOWN_IDS).to_pylist()
            if len(shown) >= _SHOWN_IDS:
                break
        if shown:
            return f"like it are {', '.join(map(repr, shown[:_SHOWN_IDS]))}"
    for _, ids in _read_ids(run):
        return f"its ids are such as {ids[0].as_py()!r}"
    return "it holds no images"
