"""Neighbours of the images that pipelines.report shows, and their small pictures."""

import base64

import numpy as np
import numpy.typing as npt

from transforms.explore.image_cards import ImageCard, read_cards
from transforms.explore.vector_survey import VectorSurvey
from transforms.runs.record import PublishedRun
from transforms.vectors.map import find_typical
from transforms.vectors.neighbours import Neighbours, nearest_unlike

_MAP_PIXELS = 48
_QUERIES, _NEIGHBOURS = 6, 6


def find_typical_rows(survey: VectorSurvey, mapped: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Returns rows of typical images, none if there are too few.

    Args:
        survey: Survey of the vectors.
        mapped: int64 [mapped], places in its sample to choose from, none of a vector of 0.
    """
    if len(mapped) < 2:
        return np.empty(0, np.int64)
    return survey.sample_rows[mapped[find_typical(survey.sample[mapped], _QUERIES)]]


def find_neighbours(
    survey: VectorSurvey, rows: npt.NDArray[np.int64], alike: float
) -> dict[int, Neighbours]:
    """Returns the neighbours of rows by row; of none that is not in the sample, or is 0.

    Args:
        survey: Survey of the vectors.
        rows: int64 [any], numbers of rows.
        alike: Cosine from which on two images count as one.
    """
    places = np.searchsorted(survey.sample_rows, rows)
    places = places[np.isin(rows, survey.sample_rows)]
    places = places[np.any(survey.sample[places], axis=1)]
    if not len(places):
        return {}
    found = nearest_unlike(survey.sample, places, _NEIGHBOURS, alike)
    return {
        int(survey.sample_rows[place]): Neighbours(survey.sample_rows[near], cosines)
        for place, (near, cosines) in zip(places, found, strict=True)
    }


def list_neighbours(near: dict[int, Neighbours]) -> dict[int, list[tuple[int, float]]]:
    """Returns rows and cosines of the neighbours of each row, for JSON."""
    return {
        row: [
            (other, round(cosine, 4))
            for other, cosine in zip(found.rows.tolist(), found.cosines.tolist(), strict=True)
        ]
        for row, found in near.items()
    }


def read_pictures(
    run: PublishedRun,
    cards: dict[int, ImageCard],
    mapped: npt.NDArray[np.int64],
    near: dict[int, Neighbours],
) -> tuple[dict[int, ImageCard], dict[int, tuple[str, str]]]:
    """Reads the small pictures of the map, and of neighbours that are not on the page.

    Args:
        run: The run.
        cards: Images that the page shows large, by row.
        mapped: int64 [mapped], rows on the map.
        near: Neighbours by row.

    Returns:
        Cards of the map by row, and name and picture of each that has no large one.
    """
    others = np.concatenate([mapped, *(found.rows for found in near.values())])
    large = [row for row, card in cards.items() if card.thumbnail.jpeg]
    # What has been read and has no picture is not read again.
    known = cards | read_cards(run, np.setdiff1d(others, list(cards)).tolist(), _MAP_PIXELS)
    pictures = {
        row: (known[row].image_id, base64.b64encode(known[row].thumbnail.jpeg).decode())
        for row in np.setdiff1d(others, large).tolist()
    }
    return known, pictures
