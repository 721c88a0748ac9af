"""Approximate search: an inverted file of vectors by faiss, its recall measured as it is built.

Space is parted into lists, each around a centre that is learned from a sample. A query is compared
with the vectors of the lists whose centres are nearest, its probes:

    1,000,000 vectors of 512 numbers    4,000 lists of about 250
    a search with 32 probes             4,000 + 32 * 250 = 12,000 cosines

How many probes it takes to find what an exact search finds is not known beforehand. So the exact
neighbours of 200 vectors are found while the index is filled, and probes are doubled until it
finds 98 % of them.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from transforms.machine.extras import import_extra
from transforms.vectors.exact_search import ExactSearch
from transforms.vectors.neighbours import Neighbours, normalize

SMALLEST_ROWS = 10_000
"""Fewer vectors are compared one by one: that takes a few milliseconds."""

RECALL_AT = 10
_MEASURED_AT = RECALL_AT + 1
"""Neighbours to look for to measure it: each query is among the vectors, and finds itself."""

_FURTHER = 4
"""How much more spread further neighbours are. Of 50,000 vectors in 1,000 clusters it finds 0.95 of
the 100 nearest, where 1 finds 0.84.
"""

QUERIES = 200
"""Vectors whose neighbours are looked for both ways, to measure the recall."""

WANTED_RECALL = 0.98
"""Lists are added to a search until it finds this share of the true neighbours."""

_LISTS_PER_ROOT = 4
_SAMPLE_PER_LIST = 40
"""Vectors to train a list's centre with: faiss warns below 39."""

_SAMPLE_BYTES = 512 << 20
_ITERATIONS = 10
_TIE = 1e-4
"""Cosines that differ by less are equal: float16 has no more digits."""


@dataclasses.dataclass(frozen=True)
class AnnIndex:
    """An index in memory, and how well it searches.

    Attributes:
        kind: Name of it in the language of faiss's index_factory, such as IVF400,SQfp16.
        probes: Lists that a search looks through; 0 if it has none and compares all.
        recall: Share of the RECALL_AT nearest that it finds, measured.
        faiss_index: Object of faiss that searches.
    """

    kind: str
    probes: int
    recall: float
    faiss_index: Any

    def search(self, queries: npt.NDArray[np.float32], k: int) -> Neighbours:
        """Finds nearly all of the nearest vectors.

        The probes are enough for those that the recall was measured with. More neighbours lie in
        more lists, and further ones are spread over more still: twice as many take eight times the
        probes, four times as many sixteen.

        Args:
            queries: float32 [queries, dim], of length 1.
            k: Neighbours a query.

        Returns:
            k a query, the nearest first; where there are fewer vectors, rows of -1 at the end.
            Cosines are those of vectors rounded to float16.
        """
        probes = self.probes
        if k > _MEASURED_AT:
            probes *= _FURTHER * math.ceil(k / _MEASURED_AT)
        found = _search(self.faiss_index, queries, k, probes)
        short = (found.rows < 0).any(axis=1)
        if self.probes and k <= self.faiss_index.ntotal and short.any():
            again = _search(self.faiss_index, queries[short], k, self.faiss_index.nlist)
            found.rows[short], found.cosines[short] = again
        return found


@dataclasses.dataclass(frozen=True)
class IndexPlan:
    """What an index shall be, and what to train it with.

    Attributes:
        kind: Name of it in the language of faiss's index_factory.
        sample: int64 [some], numbers of the rows to train and to measure it with, ascending.
    """

    kind: str
    sample: npt.NDArray[np.int64]


def plan_index(rows: int, dim: int) -> IndexPlan:
    """Chooses an index by the number of vectors; the same for the same numbers.

    Args:
        rows: Vectors, at least one.
        dim: Numbers a vector.
    """
    lists = int(_LISTS_PER_ROOT * rows**0.5)
    sample = min(rows, lists * _SAMPLE_PER_LIST, max(_SAMPLE_BYTES // (4 * dim), QUERIES))
    kind = "Flat"
    if rows >= SMALLEST_ROWS:
        kind = f"IVF{max(min(lists, sample // _SAMPLE_PER_LIST), 1)},SQfp16"
    else:
        sample = min(rows, QUERIES)
    chosen = np.random.default_rng(0).choice(rows, sample, replace=False)
    return IndexPlan(kind, np.sort(chosen))


def build_index(
    plan: IndexPlan,
    sample: npt.NDArray[np.float32],
    vectors: Iterable[npt.NDArray[np.float32]],
    trained: Callable[[], None] = lambda: None,
) -> AnnIndex:
    """Builds an index and measures it.

    Holds the sample and the index, which takes half of the vectors' bytes.

    Args:
        plan: The plan for these vectors.
        sample: float32 [sample, dim], the vectors of the plan's sample; normalized in place.
        vectors: All vectors in order, float32 [some, dim] a time, of any length.
        trained: Callback for when the lists are known and the vectors follow.
    """
    faiss = import_extra("faiss")
    normalize(sample)
    dim = sample.shape[1]
    index = faiss.index_factory(dim, plan.kind, faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained:
        index.cp.niter = _ITERATIONS
        index.train(sample)
    trained()
    # Of the sample, whose vectors are at hand before all others are read.
    chosen = np.random.default_rng(1).choice(len(sample), min(QUERIES, len(sample)), replace=False)
    queries, own = sample[chosen], plan.sample[chosen]
    exact = ExactSearch(queries, _MEASURED_AT)
    for part in vectors:
        unit = normalize(part.copy())
        index.add(unit)
        exact.add(unit)
    for probes in _numbers_of_probes(index):
        recall = _recall(_search(index, queries, _MEASURED_AT, probes), exact.best, own)
        if recall >= WANTED_RECALL:
            break
    return AnnIndex(plan.kind, probes, recall, index)


def _search(
    index: Any,  # noqa: ANN401 - faiss has no types
    queries: npt.NDArray[np.float32],
    k: int,
    probes: int,
) -> Neighbours:
    """Searches so many lists, or all there are; 0 for an index that has none."""
    parameters = None
    if probes:
        faiss = import_extra("faiss")
        parameters = faiss.SearchParametersIVF(nprobe=min(probes, index.nlist))
    cosines, rows = index.search(queries, k, params=parameters)
    return Neighbours(rows, cosines)


def _numbers_of_probes(index: Any) -> Iterator[int]:  # noqa: ANN401 - faiss has no types
    """Yields 1, 2, 4 and so on up to all lists; only 0 if there are none."""
    lists = getattr(index, "nlist", 0)
    probes = 1
    while probes < lists:
        yield probes
        probes *= 2
    yield lists


def _recall(found: Neighbours, exact: Neighbours, own: npt.NDArray[np.int64]) -> float:
    """Returns the share of the true neighbours that were found, the queries themselves left out.

    One that is as near as the last true neighbour is as good.
    """
    hits = wanted = 0
    for query, row in enumerate(own):
        true = exact.cosines[query][exact.rows[query] != row][:RECALL_AT]
        is_other = (found.rows[query] != row) & (found.rows[query] >= 0)
        near = found.cosines[query][is_other][:RECALL_AT]
        wanted += len(true)
        hits += min(int((near >= true[-1] - _TIE).sum()), len(true)) if len(true) else 0
    return hits / wanted if wanted else 1.0
