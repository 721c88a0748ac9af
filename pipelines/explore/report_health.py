"""What pipelines.report says of the health of vectors: numbers, and what they mean."""

import numpy as np
import numpy.typing as npt

from pipelines.explore.note import Note
from pipelines.explore.report_facts import Facts
from transforms.explore.duplicates import Duplicates, Probes
from transforms.explore.vector_survey import VectorSurvey
from transforms.vectors.health import Spectrum, find_dead

NEAR_COSINE = 0.99
"""What makes two images near-duplicates."""

HEALTH, DUPLICATES = "health", "duplicates"
"""Sections of the page."""

_DIMENSIONS_SHOWN = 12
_CONE, _COLLAPSED = 0.5, 0.9
_NARROW_SHARE = 0.5
_FEW_DIMENSIONS, _MANY_DIMENSIONS = 3, 16
_MANY_NEAR = 0.2
_LONG = 10
"""How many times the median's a norm is to be told."""


def describe_health(
    survey: VectorSurvey, norms: npt.NDArray[np.float32], spectrum: Spectrum
) -> Facts:
    """Says lengths, dead dimensions, and how directions are spread."""
    dim = survey.sample.shape[1]
    least, median, most = np.quantile(norms, [0, 0.5, 1])
    return [
        ("vectors", f"{survey.rows:,} of {dim:,} numbers"),
        ("length", f"{least:.4g} to {most:.4g}, median {median:.4g}"),
        ("zero vectors", f"{_count_zeros(survey, norms):,}"),
        ("dead dimensions", _list_dimensions(find_dead(survey.norms.moments.deviation))),
        ("dimensions held twice", f"{len(spectrum.same_dimensions):,} pairs"),
        ("effective dimensions", f"{spectrum.effective_dimensions:.1f}"),
        ("first direction", f"{spectrum.shares[:1].sum():.1%} of the variance"),
        ("mean cosine of two images", f"{spectrum.mean_cosine:.3f}"),
    ]


def _count_zeros(survey: VectorSurvey, norms: npt.NDArray[np.float32]) -> int:
    return int((norms == 0).sum()) - survey.norms.not_finite


def _list_dimensions(dimensions: npt.NDArray[np.int64]) -> str:
    shown = ", ".join(map(str, dimensions[:_DIMENSIONS_SHOWN]))
    more = ", …" if len(dimensions) > _DIMENSIONS_SHOWN else ""
    return f"{len(dimensions):,}: {shown}{more}" if len(dimensions) else "0"


def note_vectors(
    survey: VectorSurvey,
    norms: npt.NDArray[np.float32],
    spectrum: Spectrum,
    duplicates: Duplicates,
) -> list[Note]:
    """Says what is wrong or unusual; nothing of a healthy run."""
    dim = survey.sample.shape[1]
    notes = []
    if count := survey.norms.not_finite:
        notes.append(Note(f"{count:,} vectors hold NaN or infinity", HEALTH, is_bad=True))
    if count := _count_zeros(survey, norms):
        notes.append(Note(f"{count:,} vectors are 0 throughout", HEALTH, is_bad=True))
    if count := len(find_dead(survey.norms.moments.deviation)):
        text = f"{count:,} of {dim:,} dimensions are dead"
        advice = "they never vary; a few are common after a ReLU"
        notes.append(Note(text, HEALTH, count > dim / 10, advice))
    if count := len(spectrum.same_dimensions):
        notes.append(Note(f"{count:,} pairs of dimensions hold the same thing", HEALTH))
    notes += _note_directions(spectrum, dim)
    typical, most = float(np.median(norms)), float(norms.max())
    if typical > 0 and most > _LONG * typical:
        text = f"the longest vector is {most / typical:,.0f} times as long as the median"
        notes.append(Note(text, HEALTH, is_bad=True))
    notes += _note_duplicates(survey, duplicates)
    return notes


def is_near_common(probes: Probes) -> bool:
    """Tells whether so many images are near-duplicates that the word says little."""
    return probes.near > _MANY_NEAR * max(len(probes.cosines), 1)


def _note_duplicates(survey: VectorSurvey, duplicates: Duplicates) -> list[Note]:
    notes = []
    for what, groups in (
        ("images are copies of others", duplicates.copies),
        ("images look alike", duplicates.near),
    ):
        if groups:
            images = sum(len(group.rows) for group in groups)
            number = "1 group" if len(groups) == 1 else f"{len(groups):,} groups"
            notes.append(Note(f"{images:,} {what}, in {number}", DUPLICATES))
    probes = duplicates.probes
    if is_near_common(probes):
        text = f"{probes.near / len(probes.cosines):.0%} of the images have another very near"
        advice = (
            f"with a cosine of at least {NEAR_COSINE}; for this model that is not yet a "
            "near-duplicate"
        )
        notes.append(Note(text, DUPLICATES, advice=advice))
    if duplicates.near and len(duplicates.near[0].rows) > survey.rows / 10:
        share = len(duplicates.near[0].rows) / survey.rows
        text = f"one group of near-duplicates holds {share:.0%} of the images"
        notes.append(Note(text, DUPLICATES, True, "the model hardly tells them apart"))
    return notes


def _note_directions(spectrum: Spectrum, dim: int) -> list[Note]:
    if dim == 1:
        advice = (
            "by cosine each is like all others of its sign; only lengths and copies say anything"
        )
        return [Note("the vectors are of one number", HEALTH, advice=advice)]
    cosine, first = spectrum.mean_cosine, float(spectrum.shares[:1].sum())
    if cosine > _COLLAPSED:
        advice = (
            f"two images have a cosine of {cosine:.3f} on average; look at --input_range and at "
            "the model"
        )
        return [Note("the vectors have collapsed", HEALTH, True, advice)]
    notes = []
    if cosine > _CONE:
        advice = (
            f"two images have a cosine of {cosine:.2f} on average, as is common after a ReLU; "
            "subtract the mean to spread them"
        )
        notes.append(Note("the vectors are in a narrow cone", HEALTH, advice=advice))
    few = spectrum.effective_dimensions < _FEW_DIMENSIONS and dim >= _MANY_DIMENSIONS
    if first > _NARROW_SHARE or few:
        text = f"{first:.0%} of the variance is along one direction"
        advice = f"about {spectrum.effective_dimensions:.1f} of {dim:,} dimensions are used"
        notes.append(Note(text, HEALTH, dim >= _MANY_DIMENSIONS, advice))
    return notes
