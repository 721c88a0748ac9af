"""Images that a run holds twice: the same bytes, and vectors that are almost the same."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.explore.vector_survey import VectorSurvey, draw_sample
from transforms.runs.record import PublishedRun
from transforms.runs.rows import read_vectors
from transforms.vectors.near_duplicates import (
    DuplicateGroup,
    Pairs,
    check_pairs,
    find_candidates,
    group_equal,
    group_pairs,
)
from transforms.vectors.neighbours import nearest, normalize

_PROBES = 1_000
_PROBE_NEIGHBOURS = 8
_MAX_CHECKED_PAIRS = 50_000
"""Where not all vectors are at hand: pairs whose vectors are read again, at most two a pair."""


class Probes(NamedTuple):
    """Some images compared with all of the sample, one by one.

    Attributes:
        cosines: float32 [probes], to the nearest image of other bytes; probes without one are left
            out.
        near: Number of probes that have a near-duplicate.
        found: Number of those that the search of near-duplicates has found.
    """

    cosines: npt.NDArray[np.float32]
    near: int
    found: int


class Duplicates(NamedTuple):
    """Images that are there more than once.

    Attributes:
        copies: Images of the same bytes.
        near: Near-duplicates of different bytes; of copies only the first is in a group.
        unchecked: Pairs that may be near-duplicates and were too many to check.
        probes: Result of an exact search, for a sample.
    """

    copies: list[DuplicateGroup]
    near: list[DuplicateGroup]
    unchecked: int
    probes: Probes


def find_duplicates(run: PublishedRun, survey: VectorSurvey, least_cosine: float) -> Duplicates:
    """Finds copies among all rows, and near-duplicates: about all (see find_candidates).

    Args:
        run: The run.
        survey: Survey of its vectors.
        least_cosine: Smallest cosine of near-duplicates.

    Raises:
        InputError: If a data file is damaged.
    """
    _, first, content_of = np.unique(survey.contents, return_index=True, return_inverse=True)
    distinct = np.sort(first[survey.norms.norms()[first] > 0])
    found = find_candidates(survey.sketches[distinct], least_cosine)
    candidates = Pairs(distinct[found.rows], found.cosines)
    unchecked = 0
    if survey.rows == len(survey.sample_rows):
        pairs = check_pairs(candidates.rows, survey.sample, least_cosine)
    else:
        order = np.argsort(-candidates.cosines, kind="stable")[:_MAX_CHECKED_PAIRS]
        unchecked = len(candidates.rows) - len(order)
        pairs = _check_by_reading(run, candidates.rows[order], least_cosine)
    near = group_pairs(pairs)
    return Duplicates(
        group_equal(survey.contents),
        near,
        unchecked,
        _probe(survey, first[content_of], near, least_cosine),
    )


def _check_by_reading(
    run: PublishedRun, pairs: npt.NDArray[np.int64], least_cosine: float
) -> Pairs:
    rows, places = np.unique(pairs, return_inverse=True)
    if not len(rows):
        return Pairs(pairs, np.empty(0, np.float32))
    vectors = normalize(read_vectors(run, rows))
    checked = check_pairs(places.reshape(-1, 2), vectors, least_cosine)
    return Pairs(rows[checked.rows], checked.cosines)


def _probe(
    survey: VectorSurvey,
    first_of: npt.NDArray[np.int64],
    near: list[DuplicateGroup],
    least_cosine: float,
) -> Probes:
    group_of = np.full(survey.rows, -1, np.int64)
    for number, group in enumerate(near):
        group_of[group.rows] = number
    probes = draw_sample(len(survey.sample), _PROBES)
    probes = probes[np.any(survey.sample[probes], axis=1)]
    if not len(probes):
        return Probes(np.empty(0, np.float32), 0, 0)
    neighbours = nearest(survey.sample, survey.sample[probes], _PROBE_NEIGHBOURS)
    ones = first_of[survey.sample_rows[probes]]
    others = first_of[survey.sample_rows[neighbours.rows]]
    is_other = others != ones[:, None]
    has_other = is_other.any(axis=1)
    place = is_other.argmax(axis=1)[:, None]
    cosines = np.take_along_axis(neighbours.cosines, place, axis=1)[has_other, 0]
    nearest_row = np.take_along_axis(others, place, axis=1)[has_other, 0]
    is_near = cosines >= least_cosine
    groups = group_of[ones[has_other][is_near]]
    found = (groups >= 0) & (groups == group_of[nearest_row[is_near]])
    return Probes(cosines, int(is_near.sum()), int(found.sum()))
