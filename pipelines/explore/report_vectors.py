"""What pipelines.report shows of a run of pipelines.embed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.explore.note import Note
from pipelines.explore.report_facts import Facts
from pipelines.explore.report_health import (
    NEAR_COSINE,
    describe_health,
    is_near_common,
    note_vectors,
)
from pipelines.explore.report_neighbours import (
    find_neighbours,
    find_typical_rows,
    list_neighbours,
    read_pictures,
)
from transforms.explore.copies import Copies
from transforms.explore.duplicates import Duplicates, find_duplicates
from transforms.explore.image_cards import ImageCard, Sheet, read_cards
from transforms.explore.image_groups import ImageGroups, group_images
from transforms.explore.input_survey import InputSurvey
from transforms.explore.plots import (
    Curve,
    Histogram,
    Scatter,
    bin_values,
    draw_shares,
    place_points,
)
from transforms.explore.vector_survey import VectorSurvey, draw_sample, survey_vectors
from transforms.runs.record import PublishedRun
from transforms.runs.rows import take_rows
from transforms.schemas import IMAGE_ID
from transforms.vectors.health import SPECTRUM_ROWS, Spectrum, measure_spectrum
from transforms.vectors.map import draw_map
from transforms.vectors.near_duplicates import DuplicateGroup
from transforms.vectors.neighbours import Neighbours

SAMPLE_ROWS = 100_000
MAP_ROWS = 1_500

_COPIES_SHOWN, _NAMES_SHOWN = 24, 20
_GROUPS_SHOWN, _IMAGES_SHOWN = 12, 4
_EXTREMES = 4
_EQUAL_COSINE = 0.99999


class CopiedImage(NamedTuple):
    """An image that is there several times.

    Attributes:
        card: The first of them.
        images: Number of them.
        names: The image_ids of the first few.
    """

    card: ImageCard
    images: int
    names: list[str]


class VectorSection(NamedTuple):
    """What the page shows of vectors.

    Attributes:
        notes: What is worth knowing.
        health: Names and values.
        norms: Histogram of the vectors' lengths.
        extremes: Images of the shortest and longest vectors.
        spectrum: Share of the variance along each principal direction; None for too few vectors.
        queries: Some images, each with its nearest neighbours.
        map: The vectors on a plane.
        map_caption: Sentences on how the map was made, and what near and far mean in it.
        copies: The images that are there most often.
        copied: Number of images that are there several times.
        near: The largest groups of near-duplicates.
        near_groups: Number of groups of near-duplicates.
        near_caption: Sentences on what was compared, and what may be missed.
        neighbour_cosines: Histogram of the cosine to the nearest image; None if there is none.
        sampled: Sentence on which figures are of a sample; empty if none are.
        cards: All images that have a card, by row.
        data: What the script knows: pictures and neighbours by row.
    """

    notes: list[Note]
    health: Facts
    norms: Histogram
    extremes: Sheet
    spectrum: Curve | None
    queries: list[Sheet]
    map: Scatter
    map_caption: str
    copies: list[CopiedImage]
    copied: int
    near: list[Sheet]
    near_groups: int
    near_caption: str
    neighbour_cosines: Histogram | None
    sampled: str
    cards: dict[int, ImageCard]
    data: dict[str, Any]


def show_vectors(
    run: PublishedRun,
    inputs: InputSurvey,
    side_pixels: int,
    on_rows: Callable[[int], None],
    on_step: Callable[[str], None],
) -> VectorSection:
    """Measures the vectors of a run, and draws what the page shows of them.

    Args:
        run: A run of pipelines.embed with at least one row.
        inputs: Survey of its images, which is told of every row.
        side_pixels: Longest side of a picture.
        on_rows: Callback, told how many vectors more have been read.
        on_step: Callback, told what is being done.

    Raises:
        InputError: If a data file is damaged.
    """
    survey = survey_vectors(run, SAMPLE_ROWS, inputs, on_rows)
    norms, copies = survey.norms.norms(), Copies.of(survey.contents)
    on_step("measuring directions")
    spectrum = measure_spectrum(survey.sample[draw_sample(len(survey.sample), SPECTRUM_ROWS)])
    on_step("looking for duplicates")
    duplicates = find_duplicates(run, survey, NEAR_COSINE)
    on_step("drawing the map")
    mapped = draw_sample(len(survey.sample), MAP_ROWS)
    mapped = mapped[np.any(survey.sample[mapped], axis=1)]
    drawn = draw_map(survey.sample[mapped])
    mapped_rows = survey.sample_rows[mapped]
    groups = group_images(run, mapped_rows)
    alike = _EQUAL_COSINE if is_near_common(duplicates.probes) else NEAR_COSINE
    typical = find_typical_rows(survey, mapped)
    near = find_neighbours(survey, typical, alike)
    extremes = _find_extremes(norms, copies)
    copied, similar = duplicates.copies[:_COPIES_SHOWN], duplicates.near[:_GROUPS_SHOWN]
    rows = [
        extremes,
        typical,
        *(found.rows for found in near.values()),
        *(group.rows[:1] for group in copied),
        *(group.rows[:_IMAGES_SHOWN] for group in similar),
    ]
    on_step("reading images")
    shown = np.unique(np.concatenate(rows))
    cards = read_cards(run, shown.tolist(), side_pixels)
    near |= find_neighbours(survey, np.setdiff1d(shown, typical), alike)
    points, pictures = read_pictures(run, cards, mapped_rows, near)
    return VectorSection(
        notes=note_vectors(survey, norms, spectrum, duplicates),
        health=describe_health(survey, norms, spectrum),
        norms=bin_values(norms, "length of the vector"),
        extremes=Sheet(
            "The shortest and the longest vectors",
            [cards[row] for row in extremes.tolist()],
            [f"length {norms[row]:.4g}" for row in extremes],
            copies.counts[extremes].tolist(),
        ),
        spectrum=_draw_spectrum(spectrum),
        queries=[_show_query(cards, row, near[row], copies) for row in typical.tolist()],
        map=_draw_map(points, mapped_rows, drawn.places, groups),
        map_caption=_caption_map(len(mapped), survey.rows, drawn.trustworthiness, groups),
        copies=_show_copies(run, cards, copied),
        copied=len(duplicates.copies),
        near=[_show_group(cards, group, copies) for group in similar],
        near_groups=len(duplicates.near),
        near_caption=_caption_near(survey, duplicates),
        neighbour_cosines=_bin_neighbours(duplicates),
        sampled=_describe_sample(survey),
        cards=cards,
        data={"pictures": pictures, "near": list_neighbours(near)},
    )


def _find_extremes(norms: npt.NDArray[np.float32], copies: Copies) -> npt.NDArray[np.int64]:
    order = np.argsort(norms, kind="stable")
    shortest, longest = copies.pick(order, _EXTREMES), copies.pick(order[::-1], _EXTREMES)
    return copies.pick(np.concatenate([shortest, longest[::-1]]), 2 * _EXTREMES)


def _show_query(cards: dict[int, ImageCard], row: int, near: Neighbours, copies: Copies) -> Sheet:
    rows = [row, *near.rows.tolist()]
    texts = ["query", *(f"cosine {cosine:.4f}" for cosine in near.cosines)]
    return Sheet("", [cards[row] for row in rows], texts, copies.counts[rows].tolist())


def _show_group(cards: dict[int, ImageCard], group: DuplicateGroup, copies: Copies) -> Sheet:
    rows = group.rows[:_IMAGES_SHOWN].tolist()
    title = f"{len(group.rows):,} images, linked by cosines of at least {group.cosine:.4f}"
    texts = [""] * len(rows)
    return Sheet(title, [cards[row] for row in rows], texts, copies.counts[rows].tolist())


def _show_copies(
    run: PublishedRun, cards: dict[int, ImageCard], groups: list[DuplicateGroup]
) -> list[CopiedImage]:
    named = [group.rows[:_NAMES_SHOWN] for group in groups]
    if not named:
        return []
    rows = np.concatenate(named)
    ids = dict(
        zip(rows.tolist(), take_rows(run, rows, [IMAGE_ID])[IMAGE_ID].to_pylist(), strict=True)
    )
    return [
        CopiedImage(cards[int(group.rows[0])], len(group.rows), [ids[row] for row in rows.tolist()])
        for group, rows in zip(groups, named, strict=True)
    ]


def _draw_spectrum(spectrum: Spectrum) -> Curve | None:
    if not spectrum.shares.any():
        return None
    return draw_shares(spectrum.shares, "share of the variance by principal direction")


def _bin_neighbours(duplicates: Duplicates) -> Histogram | None:
    cosines = duplicates.probes.cosines
    if not len(cosines):
        return None
    return bin_values(cosines, "cosine to the nearest image", NEAR_COSINE)


def _draw_map(
    cards: dict[int, ImageCard],
    rows: npt.NDArray[np.int64],
    places: npt.NDArray[np.float32],
    groups: ImageGroups,
) -> Scatter:
    names = [cards[row].name for row in rows.tolist()]
    return place_points(places, rows.tolist(), names, groups.group_of, groups.names)


def _caption_map(count: int, rows: int, trustworthiness: float, groups: ImageGroups) -> str:
    some = f"{count:,} of {rows:,} vectors, drawn at random" if count < rows else "All vectors"
    trust = "" if np.isnan(trustworthiness) else f" (trustworthiness {trustworthiness:.2f} of 1)"
    colours = f" Colours: {groups.meaning}." if groups.names else ""
    return (
        f"{some}, laid out by t-SNE of their first 50 principal components. Points that are near "
        f"each other have similar vectors{trust}; the distance between groups, their size and "
        f"their shape mean nothing.{colours} Point at one to see its image, click to see it large."
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
