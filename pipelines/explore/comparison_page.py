"""The page of evaluate --compare: both runs' numbers, and the images that one alone has right."""

import numpy as np

from pipelines.explore.comparison_summary import (
    HEADINGS,
    describe_test,
    list_measures,
    note_comparison,
)
from pipelines.explore.evaluation_page import MISTAKES_SHOWN, SIDE_PIXELS
from transforms.evaluation.comparison import Comparison
from transforms.explore.image_cards import Sheet, read_cards
from transforms.explore.page import render_page


def render_comparison(compared: Comparison) -> str:
    """Returns the page: one HTML file with everything in it.

    Raises:
        InputError: If a data file is damaged.
    """
    first, second = compared.first, compared.second
    return render_page(
        "comparison.html",
        title=f"{first.run.name} and {second.run.name}",
        runs=[("run", first.run.directory), ("compare", second.run.directory)],
        origin=first.truth.origin,
        notes=[*first.truth.notes, *note_comparison(compared)],
        headings=HEADINGS,
        rows=[*list_measures(compared)],
        test=describe_test(compared),
        sheets=_draw_sheets(compared),
    )


def _draw_sheets(compared: Comparison) -> list[Sheet]:
    outcomes = [it.accuracy.outcomes for it in (compared.first, compared.second)]
    first, second = (np.asarray(it, bool) for it in outcomes)
    truth = compared.first.truth
    sheets = []
    for title, members in (
        ("Right in the second run alone", second & ~first),
        ("Right in the first run alone", first & ~second),
    ):
        places = compared.places[np.flatnonzero(members)[:MISTAKES_SHOWN]]
        rows = truth.rows[places].tolist()
        cards = read_cards(compared.first.run, rows, SIDE_PIXELS)
        texts = [f"is {truth.names[label]}" for label in truth.labels[places]]
        heading = f"{title}: {members.sum():,}"
        sheets.append(Sheet(heading, [cards[row] for row in rows], texts))
    return sheets
