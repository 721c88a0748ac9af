"""Vectors that are almost the same, among very many: looked for in few dimensions, then checked.

    vectors [rows, 1280] --make_sketcher--> sketches [rows, 64] --find_candidates--> Pairs, too many
    candidates and their whole vectors --check_pairs--> Pairs, true ones
    (0, 7), (7, 9), (3, 4) --group_pairs--> rows 0, 7, 9 and rows 3, 4

A million rows are 256 MB of sketches, where their vectors would be 5 GB.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.machine.extras import import_extra

SKETCH_DIM = 64
"""Numbers that are kept of each vector to look for near-duplicates with."""

_SEED = 20261126
_NEIGHBOURS = 10
_SLACK = 2.0
"""A squared distance in 64 random dimensions deviates by 18 % from the true one; twice it is more
than five times that."""
_CELLS_SEARCHED = 4
_TRAINING_ROWS_A_CELL = 32
_SMALL = 4096
"""So few are compared with each other throughout."""


class DuplicateGroup(NamedTuple):
    """Rows that are linked by near-duplicates, or whose content is the same.

    Attributes:
        rows: int64 [count], ascending.
        cosine: The least of the pairs that hold the group together.
    """

    rows: npt.NDArray[np.int64]
    cosine: float


class Pairs(NamedTuple):
    """Pairs of rows, and how near each other they are.

    Attributes:
        rows: int64 [pairs, 2], the smaller first.
        cosines: float32 [pairs]; of sketches an estimate.
    """

    rows: npt.NDArray[np.int64]
    cosines: npt.NDArray[np.float32]


def make_sketcher(dim: int) -> npt.NDArray[np.float32]:
    """Returns what turns vectors into sketches, by matrix product.

    Distances between sketches are about those between the vectors; equal vectors have equal ones.

    Returns:
        float32 [dim, sketch_dim]: random directions, the same ones every time.

    Source:
        Johnson and Lindenstrauss (1984); with orthogonal directions, scaled by sqrt(dim /
        sketch_dim), as in Dasgupta and Gupta, "An elementary proof" (2003).
    """
    if dim <= SKETCH_DIM:
        return np.eye(dim, dtype=np.float32)
    gaussian = np.random.default_rng(_SEED).standard_normal((dim, SKETCH_DIM))
    directions = np.linalg.qr(gaussian)[0] * np.sqrt(dim / SKETCH_DIM)
    return directions.astype(np.float32)


def find_candidates(sketches: npt.NDArray[np.float32], least_cosine: float) -> Pairs:
    """Finds pairs that may be near-duplicates: about all, and others.

    Every row is compared with those in its own part of space and the three next to it (faiss's
    inverted file), and at most 10 neighbours of each are taken: of a large group there are enough
    pairs to connect it, but not all.

    Args:
        sketches: float32 [rows, sketch_dim], of vectors of length 1.
        least_cosine: Smallest cosine of near-duplicates.
    """
    faiss = import_extra("faiss")
    rows, dim = sketches.shape
    if rows < 2:
        return Pairs(np.empty((0, 2), np.int64), np.empty(0, np.float32))
    k = min(_NEIGHBOURS + 1, rows)
    if rows <= _SMALL:
        distances, found = faiss.knn(sketches, sketches, k)
    else:
        cells = int(2 * np.sqrt(rows))
        quantizer = faiss.IndexFlatL2(dim)
        index = faiss.IndexIVFFlat(quantizer, dim, cells)
        index.cp.max_points_per_centroid = _TRAINING_ROWS_A_CELL
        index.cp.min_points_per_centroid = 1
        index.cp.seed = _SEED
        index.train(sketches)
        index.add(sketches)
        index.nprobe = _CELLS_SEARCHED
        distances, found = index.search(sketches, k)
    ones = np.repeat(np.arange(rows), k)
    others = found.reshape(-1)
    # Of vectors of length 1 the squared distance is 2 * (1 - cosine): 0.1 for a cosine of 0.95.
    near = distances.reshape(-1) <= _SLACK * 2 * (1 - least_cosine)
    near &= (others >= 0) & (others != ones)
    # Each pair was found from both ends; as one number, low * rows + high, it is told once.
    low, high = np.minimum(ones[near], others[near]), np.maximum(ones[near], others[near])
    keys, first = np.unique(low * rows + high, return_index=True)
    pairs = np.stack(np.divmod(keys, rows), axis=1)
    return Pairs(pairs, (1 - distances.reshape(-1)[near][first] / 2).astype(np.float32))


def check_pairs(
    rows: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32], least_cosine: float
) -> Pairs:
    """Keeps the pairs that are near-duplicates, by the cosine of the whole vectors.

    Args:
        rows: int64 [pairs, 2], places among the vectors.
        vectors: float32 [rows, dim], of length 1.
        least_cosine: Smallest cosine of near-duplicates.
    """
    cosines = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _SMALL):
        part = slice(start, start + _SMALL)
        one, other = vectors[rows[part, 0]], vectors[rows[part, 1]]
        cosines[part] = np.einsum("ij,ij->i", one, other)
    near = cosines >= least_cosine
    return Pairs(rows[near], cosines[near])


def group_pairs(pairs: Pairs) -> list[DuplicateGroup]:
    """Puts rows together that are linked by pairs, directly or through others; largest first."""
    if not len(pairs.rows):
        return []
    # Rows that are in a pair get numbers from 0 on: the graph is of these, not of a million.
    rows, places = np.unique(pairs.rows, return_inverse=True)
    links = places.reshape(-1, 2)
    sparse, csgraph = map(import_extra, ("scipy.sparse", "scipy.sparse.csgraph"))
    graph = sparse.coo_array(
        (np.ones(len(links), np.int8), (links[:, 0], links[:, 1])), (len(rows), len(rows))
    )
    count, group_of = csgraph.connected_components(graph, directed=False)
    least = np.ones(count, np.float32)
    np.minimum.at(least, group_of[links[:, 0]], pairs.cosines)
    members = _split(rows, group_of, count)
    return _largest_first(map(DuplicateGroup, members, least.tolist()))


def group_equal(keys: npt.NDArray[np.uint64]) -> list[DuplicateGroup]:
    """Puts rows of equal keys together, such as digests of content; largest first."""
    _, group_of, counts = np.unique(keys, return_inverse=True, return_counts=True)
    repeated = np.flatnonzero(counts[group_of] > 1)
    if not len(repeated):
        return []
    _, group_of = np.unique(group_of[repeated], return_inverse=True)
    members = _split(repeated, group_of, int(group_of.max()) + 1)
    return _largest_first(DuplicateGroup(rows, 1.0) for rows in members)


def _split(
    rows: npt.NDArray[np.int64], group_of: npt.NDArray[np.int64], count: int
) -> list[npt.NDArray[np.int64]]:
    order = np.argsort(group_of, kind="stable")
    ends = np.cumsum(np.bincount(group_of, minlength=count))[:-1]
    return np.split(rows[order], ends)


def _largest_first(groups: Iterable[DuplicateGroup]) -> list[DuplicateGroup]:
    return sorted(groups, key=lambda group: (-len(group.rows), int(group.rows[0])))
