"""What pipelines.report shows of what --image_statistics measured."""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.explore.report_facts import Facts
from transforms.explore.image_cards import ImageCard, Sheet, read_cards
from transforms.explore.image_survey import ImageSurvey, survey_images
from transforms.explore.plots import Histogram, bin_values
from transforms.runs.record import PublishedRun
from transforms.schemas import BRIGHTNESS, COLOR_PROFILE, FORMAT, HEIGHT, MODE, SHARPNESS, WIDTH

_SHOWN = 8
_ODD_RATIO = 3.0
_NAMED = 12
"""Values of a column that are named; the others are counted together."""

_WORDS = {FORMAT: "formats", MODE: "kinds of pixels", COLOR_PROFILE: "colour profiles"}


class ImageSection(NamedTuple):
    """What the page shows of what images look like.

    Attributes:
        facts: Names and values.
        histograms: Brightness and sharpness, where images differ.
        sheets: The darkest, the brightest, the least sharp and the oddest images.
        cards: All images that have a card, by row.
    """

    facts: Facts
    histograms: list[Histogram]
    sheets: list[Sheet]
    cards: dict[int, ImageCard]


def show_images(run: PublishedRun, side_pixels: int) -> ImageSection:
    """Finds the images that stand out, and counts formats and profiles.

    Args:
        run: A run with --image_statistics, and at least one row.
        side_pixels: Longest side of a picture.

    Raises:
        InputError: If a data file is damaged.
    """
    survey = survey_images(run)
    numbers = survey.numbers
    found: list[tuple[str, npt.NDArray[np.int64], Callable[[int], str]]] = [
        ("The darkest", survey.lowest(BRIGHTNESS, _SHOWN), _says(survey, BRIGHTNESS, "{:.3f}")),
        ("The brightest", survey.highest(BRIGHTNESS, _SHOWN), _says(survey, BRIGHTNESS, "{:.3f}")),
        ("The least sharp", survey.lowest(SHARPNESS, _SHOWN), _says(survey, SHARPNESS, "{:,.0f}")),
        (
            "The longest and narrowest",
            survey.oddest(_SHOWN, _ODD_RATIO),
            lambda row: f"{numbers[HEIGHT][row]:,.0f} x {numbers[WIDTH][row]:,.0f}",
        ),
    ]
    cards = read_cards(run, np.concatenate([rows for _, rows, _ in found]).tolist(), side_pixels)
    sheets = [
        Sheet(
            title,
            [cards[row] for row in rows.tolist()],
            [text(row) for row in rows.tolist()],
            survey.copies.counts[rows].tolist(),
        )
        for title, rows, text in found
        if len(rows)
    ]
    labels = {
        BRIGHTNESS: "brightness: mean luma of what the model gets, 0 to 1",
        SHARPNESS: "sharpness: variance of the Laplacian, on a scale of log10",
    }
    shown = {BRIGHTNESS: numbers[BRIGHTNESS], SHARPNESS: np.log10(numbers[SHARPNESS] + 1)}
    histograms = [
        bin_values(values, labels[name]) for name, values in shown.items() if np.ptp(values)
    ]
    counted = [(_WORDS[name], _list(counts)) for name, counts in survey.counts.items()]
    return ImageSection([*counted, *_describe(survey)], histograms, sheets, cards)


def _says(survey: ImageSurvey, column: str, form: str) -> Callable[[int], str]:
    return lambda row: f"{column} {form.format(survey.numbers[column][row])}"


def _list(counts: Counter[str]) -> str:
    named = counts.most_common(_NAMED)
    others = counts.total() - sum(count for _, count in named)
    words = [f"{count:,} {name}" for name, count in named]
    return ", ".join([*words, *([f"{others:,} others"] if others else [])])


def _describe(survey: ImageSurvey) -> Facts:
    return [
        (name, "{1:{form}} in the median, 90% from {0:{form}} to {2:{form}}".format(*parts, form=f))
        for name, f in ((BRIGHTNESS, ".2f"), (SHARPNESS, ",.0f"))
        for parts in [np.percentile(survey.numbers[name], [5, 50, 95])]
    ]
