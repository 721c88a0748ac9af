"""What images look like, as a run with --image_statistics has measured it."""

import collections
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.explore.copies import Copies
from transforms.runs.image_ids import digest_ids
from transforms.runs.record import PublishedRun
from transforms.runs.rows import read_run
from transforms.schemas import (
    BRIGHTNESS,
    COLOR_PROFILE,
    CONTENT_SHA256,
    FORMAT,
    HEIGHT,
    MODE,
    SHARPNESS,
    WIDTH,
)

_NUMBERS = (BRIGHTNESS, SHARPNESS, HEIGHT, WIDTH)
_NAMES = (FORMAT, MODE, COLOR_PROFILE)


class ImageSurvey(NamedTuple):
    """Measures of all images of a run, by row.

    Attributes:
        numbers: float32 [rows] each, by column: brightness, sharpness, height and width.
        counts: How many images have a value, by column: format, mode and color_profile.
        copies: Which images have the same bytes.
    """

    numbers: dict[str, npt.NDArray[np.float32]]
    counts: dict[str, collections.Counter[str]]
    copies: Copies

    def lowest(self, column: str, count: int) -> npt.NDArray[np.int64]:
        """Returns the rows of the lowest values, each content once, the lowest first."""
        return self.copies.pick(np.argsort(self.numbers[column], kind="stable"), count)

    def highest(self, column: str, count: int) -> npt.NDArray[np.int64]:
        """Returns the rows of the highest values, each content once, the highest first."""
        return self.copies.pick(np.argsort(-self.numbers[column], kind="stable"), count)

    def oddest(self, count: int, least: float) -> npt.NDArray[np.int64]:
        """Returns the rows of the longest and narrowest images, the oddest first.

        Args:
            count: Most rows.
            least: Least ratio of the longer side to the shorter.
        """
        height, width = self.numbers[HEIGHT], self.numbers[WIDTH]
        ratios = np.maximum(height, width) / np.minimum(height, width)
        order = np.argsort(-ratios, kind="stable")
        return self.copies.pick(order[ratios[order] >= least], count)


def survey_images(run: PublishedRun) -> ImageSurvey:
    """Reads the measures of every image.

    Args:
        run: A run with --image_statistics, and at least one row.

    Raises:
        InputError: If a file is damaged.
    """
    numbers: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in _NUMBERS}
    counts: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in _NAMES}
    contents = bytearray()
    for batch in read_run(run, [*_NUMBERS, *_NAMES, CONTENT_SHA256]):
        for name, values in numbers.items():
            values.append(batch.column(name).to_numpy(zero_copy_only=False).astype(np.float32))
        for name, counted in counts.items():
            for found in batch.column(name).value_counts().to_pylist():
                counted[found["values"]] += found["counts"]
        contents += digest_ids(batch.column(CONTENT_SHA256).to_pylist())
    return ImageSurvey(
        {name: np.concatenate(values) for name, values in numbers.items()},
        counts,
        Copies.of(np.frombuffer(contents, np.uint64)),
    )
