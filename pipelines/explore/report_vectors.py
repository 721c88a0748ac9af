"""What pipelines.report shows of a run of pipelines.embed."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.explore.report_facts import Facts, Note
from pipelines.explore.report_health import NEAR_COSINE, describe_health, note_vectors
from transforms.explore.duplicates import Duplicates, find_duplicates
from transforms.explore.image_cards import ImageCard, Sheet, read_cards
from transforms.explore.image_groups import ImageGroups, group_images
from transforms.explore.plots import MapPoint, Plot, plot_histogram, plot_map, plot_shares
from transforms.explore.vector_survey import VectorSurvey, draw_sample, survey_vectors
from transforms.runs.record import PublishedRun
from transforms.vectors.health import SPECTRUM_ROWS, Spectrum, measure_spectrum
from transforms.vectors.map import draw_map, find_typical
from transforms.vectors.near_duplicates import DuplicateGroup
from transforms.vectors.neighbours import nearest

SAMPLE_ROWS = 100_000
MAP_ROWS = 1_500

_THUMBNAIL_PIXELS, _MAP_PIXELS = 96, 48
_QUERIES, _NEIGHBOURS = 6, 6
_GROUPS_SHOWN, _IMAGES_SHOWN = 8, 7
_EXTREMES = 3


class VectorSection(NamedTuple):
    """What the page shows of vectors.

    Attributes:
        notes: Sentences on what is worth knowing.
        health: Names and values.
        norms: Histogram of the vectors' lengths.
        extremes: Images of the shortest and longest vectors.
        spectrum: Share of the variance along each principal direction; None for too few vectors.
        queries: Some images, each with its nearest neighbours.
        map: The vectors on a plane.
        map_caption: Sentences on how the map was made, and what near and far mean in it.
        copies: The largest groups of the same bytes.
        near: The largest groups of near-duplicates.
        near_caption: Sentences on what was compared, and what may be missed.
        neighbour_cosines: Histogram of the cosine to the nearest image; None if there is none.
        sampled: Sentence on which figures are of a sample; empty if none are.
    """

    notes: list[Note]
    health: Facts
    norms: Plot
    extremes: Sheet
    spectrum: Plot | None
    queries: list[Sheet]
    map: Plot
    map_caption: str
    copies: list[Sheet]
    near: list[Sheet]
    near_caption: str
    neighbour_cosines: Plot | None
    sampled: str


def show_vectors(
    run: PublishedRun, on_rows: Callable[[int], None], on_step: Callable[[str], None]
) -> VectorSection:
    """Measures the vectors of a run, and draws what the page shows of them.

    Args:
        run: A run of pipelines.embed with at least one row.
        on_rows: Callback, told how many vectors more have been read.
        on_step: Callback, told what is being done.

    Raises:
        InputError: If a data file is damaged.
    """
    survey = survey_vectors(run, SAMPLE_ROWS, on_rows)
    norms = survey.norms.norms()
    on_step("measuring directions")
    spectrum = measure_spectrum(survey.sample[draw_sample(len(survey.sample), SPECTRUM_ROWS)])
    on_step("looking for duplicates")
    duplicates = find_duplicates(run, survey, NEAR_COSINE)
    on_step("drawing the map")
    mapped = draw_sample(len(survey.sample), MAP_ROWS)
    mapped = mapped[np.any(survey.sample[mapped], axis=1)]
    drawn = draw_map(survey.sample[mapped])
    groups = group_images(run, survey.sample_rows[mapped])
    on_step("reading images")
    queries = _find_queries(survey, mapped)
    extremes = _find_extremes(norms)
    shown = [group.rows[:_IMAGES_SHOWN] for group in _shown(duplicates.copies, duplicates.near)]
    rows = [extremes, *(rows for rows, _ in queries), *shown]
    cards = read_cards(run, np.concatenate(rows).tolist(), _THUMBNAIL_PIXELS)
    points = read_cards(run, survey.sample_rows[mapped].tolist(), _MAP_PIXELS)
    return VectorSection(
        notes=note_vectors(survey, norms, spectrum, duplicates),
        health=describe_health(survey, norms, spectrum),
        norms=plot_histogram("norms", norms, "length of the vector"),
        extremes=Sheet(
            "The shortest and the longest vectors",
            [cards[row] for row in extremes.tolist()],
            [f"length {norms[row]:.4g}" for row in extremes],
        ),
        spectrum=_plot_spectrum(spectrum),
        queries=[_show_query(cards, rows, cosines) for rows, cosines in queries],
        map=_plot_map(points, survey.sample_rows[mapped], drawn.places, groups),
        map_caption=_caption_map(len(mapped), survey.rows, drawn.trustworthiness, groups),
        copies=_show_groups(cards, duplicates.copies),
        near=_show_groups(cards, duplicates.near),
        near_caption=_caption_near(survey, duplicates),
        neighbour_cosines=_plot_neighbours(duplicates),
        sampled=_describe_sample(survey),
    )


def _shown(*kinds: list[DuplicateGroup]) -> Iterable[DuplicateGroup]:
    for groups in kinds:
        yield from groups[:_GROUPS_SHOWN]


def _find_queries(
    survey: VectorSurvey, mapped: npt.NDArray[np.int64]
) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    """Returns rows and cosines of typical images, each followed by its nearest neighbours."""
    if len(mapped) < 2:
        return []
    chosen = mapped[find_typical(survey.sample[mapped], _QUERIES)]
    neighbours = nearest(survey.sample, survey.sample[chosen], _NEIGHBOURS + 1)
    found = []
    for query, places, cosines in zip(chosen, neighbours.rows, neighbours.cosines, strict=True):
        others = places != query
        order = np.concatenate([[query], places[others][:_NEIGHBOURS]])
        values = np.concatenate([[np.float32(1)], cosines[others][:_NEIGHBOURS]])
        found.append((survey.sample_rows[order], values))
    return found


def _find_extremes(norms: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    order = np.argsort(norms, kind="stable")
    if len(order) <= 2 * _EXTREMES:
        return order
    return np.concatenate([order[:_EXTREMES], order[-_EXTREMES:]])


def _show_query(
    cards: dict[int, ImageCard], rows: npt.NDArray[np.int64], cosines: npt.NDArray[np.float32]
) -> Sheet:
    texts = ["query", *(f"cosine {cosine:.4f}" for cosine in cosines[1:])]
    return Sheet("", [cards[row] for row in rows.tolist()], texts)


def _show_groups(cards: dict[int, ImageCard], groups: list[DuplicateGroup]) -> list[Sheet]:
    sheets = []
    for group in groups[:_GROUPS_SHOWN]:
        rows = group.rows[:_IMAGES_SHOWN].tolist()
        alike = "" if group.cosine == 1 else f", linked by cosines of at least {group.cosine:.4f}"
        title = f"{len(group.rows):,} images{alike}"
        sheets.append(Sheet(title, [cards[row] for row in rows], [""] * len(rows)))
    return sheets


def _plot_spectrum(spectrum: Spectrum) -> Plot | None:
    if not spectrum.shares.any():
        return None
    return plot_shares("spectrum", spectrum.shares, "principal direction")


def _plot_neighbours(duplicates: Duplicates) -> Plot | None:
    cosines = duplicates.probes.cosines
    if not len(cosines):
        return None
    return plot_histogram("neighbours", cosines, "cosine to the nearest image", NEAR_COSINE)


def _plot_map(
    cards: dict[int, ImageCard],
    rows: npt.NDArray[np.int64],
    places: npt.NDArray[np.float32],
    groups: ImageGroups,
) -> Plot:
    points = [
        MapPoint(cards[row].name, cards[row].thumbnail.data_uri, group)
        for row, group in zip(rows.tolist(), groups.group_of, strict=True)
    ]
    return plot_map("map", places, points, groups.names)


def _caption_map(count: int, rows: int, trustworthiness: float, groups: ImageGroups) -> str:
    some = f"{count:,} of {rows:,} vectors, drawn at random" if count < rows else "All vectors"
    trust = "" if np.isnan(trustworthiness) else f" (trustworthiness {trustworthiness:.2f} of 1)"
    colours = f" Colours: {groups.meaning}." if groups.names else ""
    return (
        f"{some}, laid out by t-SNE of their first 50 principal components. Points that are near "
        f"each other have similar vectors{trust}; the distance between groups, their size and "
        f"their shape mean nothing.{colours} Point at one to see its image."
    )


def _caption_near(survey: VectorSurvey, duplicates: Duplicates) -> str:
    probes = duplicates.probes
    text = (
        f"Groups of images of different bytes that are linked by a cosine of at least "
        f"{NEAR_COSINE}, directly or through others. They were looked for among all "
        f"{survey.rows:,} vectors by sketches of 64 numbers in parts of the space, and each pair "
        f"was then checked by its whole vectors; a few may be missed."
    )
    if probes.near:
        text += (
            f" An exact search of {len(probes.cosines):,} images found {probes.near:,} with a "
            f"near-duplicate; {probes.found:,} of them are in these groups."
        )
    if duplicates.unchecked:
        text += f" {duplicates.unchecked:,} less similar pairs were too many to check."
    return text


def _describe_sample(survey: VectorSurvey) -> str:
    if survey.rows == len(survey.sample_rows):
        return ""
    return (
        f"Norms, dead dimensions, copies and near-duplicates are of all {survey.rows:,} vectors; "
        f"directions, neighbours and the map are of {len(survey.sample_rows):,}, drawn at random."
    )
