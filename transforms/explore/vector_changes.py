"""What became of the vectors from one run to the next."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.errors import InputError
from transforms.explore.run_join import RunJoin
from transforms.runs.record import PublishedRun
from transforms.runs.rows import read_vectors
from transforms.vectors.neighbour_overlap import NeighbourOverlap, NeighbourSearch, overlap_at_k
from transforms.vectors.neighbours import normalize
from transforms.vectors.one_number import with_scale

Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

QUERIES = 1000
"""Images whose neighbours are compared: the mean share is then known to 0.03 or better."""
PART_BYTES = 512 * 2**20
"""Vectors of each run that are in memory at a time."""

COSINE_BANDS = (0.99999, 0.9999, 0.999, 0.99, 0.9, 0.5)
"""Where the cosines are told apart, for nearly all are close to 1."""

_SEED = 20261126


@dataclasses.dataclass(frozen=True, eq=False)
class VectorChanges:
    """What became of the vectors of the images that two runs share.

    Attributes:
        dims: Numbers a vector, before and after.
        cosines: float32 [pairs], from -1 to 1, between each image's vectors; exactly 1 if they are
            identical. Vectors of one number stand beside the largest of them, as with_scale says.
            Empty if the dims differ.
        is_identical: bool [pairs], whether all numbers are equal. Empty if the dims differ.
        overlap: Nearest neighbours that both have, by number of the pair; None if fewer than two
            images have unchanged content.
    """

    dims: tuple[int, int]
    cosines: Vectors
    is_identical: npt.NDArray[np.bool_]
    overlap: NeighbourOverlap | None

    @property
    def has_cosines(self) -> bool:
        """Whether vectors before and after are of one length."""
        return self.dims[0] == self.dims[1]


class _Part(NamedTuple):
    """The vectors of some pairs: numbers int64 [some], before and after float32 [some, dim]."""

    numbers: Rows
    before: Vectors
    after: Vectors

    @property
    def scale(self) -> float:
        """The largest absolute value of all numbers."""
        return max(float(np.abs(vectors).max()) for vectors in (self.before, self.after))

    def directions(self, scale: float) -> tuple[Vectors, Vectors]:
        """Returns before and after at length 1, of one number beside a scale; see with_scale."""
        before, after = (
            normalize(with_scale(vectors, scale)) for vectors in (self.before, self.after)
        )
        return before, after


def count_cosines(cosines: Vectors, is_identical: npt.NDArray[np.bool_]) -> dict[str, int]:
    """Counts vectors by how much they changed, the least changed first.

    Args:
        cosines: float32 [pairs].
        is_identical: bool [pairs].
    """
    others = cosines[~is_identical]
    at_least = [0, *(int((others >= limit).sum()) for limit in COSINE_BANDS), len(others)]
    bounds = [f"{bound:g}" for bound in (1, *COSINE_BANDS)]
    between = [f"{low} to {high}" for high, low in itertools.pairwise(bounds)]
    names = [*between, f"below {bounds[-1]}"]
    return {"identical": int(is_identical.sum())} | dict(
        zip(names, np.diff(at_least).tolist(), strict=True)
    )


def compare_vectors(
    before: PublishedRun,
    after: PublishedRun,
    join: RunJoin,
    k: int,
    advance: Callable[[int], object],
) -> VectorChanges:
    """Compares the vectors of the images that two runs share, however many there are.

    The neighbours are those of a sample of QUERIES images, the same for the same join, among all
    of unchanged content.

    Args:
        before: A run of pipelines.embed.
        after: Another such run, the later one.
        join: Rows of both runs, put together by image; at least one pair.
        k: Neighbours an image; fewer if there are fewer images.
        advance: Callback, told how many pairs were done.

    Raises:
        InputError: If a file is damaged, or vectors are not finite.
    """
    unchanged = np.flatnonzero(join.is_unchanged)
    queries = _sample(unchanged if len(unchanged) else np.arange(1))
    asked = _read_part(before, after, join, queries)
    dims, scale = (asked.before.shape[1], asked.after.shape[1]), asked.scale
    k = min(k, len(unchanged) - 1)
    searches = [
        NeighbourSearch(queries, vectors, k) if k > 0 else None
        for vectors in asked.directions(scale)
    ]
    has_cosines = dims[0] == dims[1]
    cosines = np.empty(len(join) if has_cosines else 0, np.float32)
    is_identical = np.empty(len(cosines), bool)
    for part in _read_parts(before, after, join, max(dims)):
        if has_cosines:
            is_identical[part.numbers] = (part.before == part.after).all(axis=1)
        directions = part.directions(scale)
        if has_cosines:
            cosines[part.numbers] = np.einsum("ij,ij->i", *directions)
        among = np.flatnonzero(join.is_unchanged[part.numbers])
        for search, vectors in zip(searches, directions, strict=True):
            if search is not None:
                everything = len(among) == len(vectors)
                search.add(part.numbers[among], vectors if everything else vectors[among])
        advance(len(part.numbers))
    if not np.isfinite(cosines).all():
        raise InputError(
            f"{before.directory} or {after.directory} holds vectors that are not finite; "
            "pipelines.verify says which"
        )
    cosines = np.where(is_identical, np.float32(1), cosines.clip(-1, 1))
    overlap = None
    if searches[0] is not None and searches[1] is not None:
        shares = overlap_at_k(searches[0].rows, searches[1].rows)
        overlap = NeighbourOverlap(k, queries, shares)
    return VectorChanges(dims, cosines, is_identical, overlap)


def _sample(numbers: Rows) -> Rows:
    if len(numbers) <= QUERIES:
        return numbers
    chosen = np.random.default_rng(_SEED).choice(len(numbers), QUERIES, replace=False)
    return np.sort(numbers[chosen])


def _read_parts(
    before: PublishedRun, after: PublishedRun, join: RunJoin, dim: int
) -> Iterator[_Part]:
    """Yields the vectors of all pairs.

    Both runs put an image into a shard by the hash of its id: where they have as many shards, a
    part is the same few files of both.
    """
    size = max(1, PART_BYTES // (dim * np.dtype(np.float32).itemsize))
    for start in range(0, len(join), size):
        numbers = np.arange(start, min(start + size, len(join)))
        yield _read_part(before, after, join, numbers)


def _read_part(before: PublishedRun, after: PublishedRun, join: RunJoin, numbers: Rows) -> _Part:
    rows = join.after[numbers]
    order = np.argsort(rows)
    vectors = read_vectors(after, rows[order])
    if (np.diff(order) < 0).any():
        vectors = vectors[np.argsort(order)]
    return _Part(numbers, read_vectors(before, join.before[numbers]), vectors)
