"""How well the vectors of a run tell classes apart, without training anything."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from transforms.errors import InputError
from transforms.evaluation.neighbour_vote import NeighbourLabels, without_itself
from transforms.evaluation.silhouette import ClassSums
from transforms.evaluation.truth import Truth
from transforms.explore.vector_survey import draw_sample
from transforms.runs.embedding_runs import EmbeddingRuns
from transforms.runs.record import PublishedRun
from transforms.vectors.exact_search import ExactSearch
from transforms.vectors.neighbours import normalize
from transforms.vectors.one_number import refuse_one_number

NEIGHBOURS = 10
"""Neighbours that are looked for."""
QUERIES = 20_000
"""Images that are asked about, at most: shares are then known to 0.007 or better (95 %)."""

Numbers = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class VectorAccuracy:
    """What the neighbours of images say of their classes.

    Attributes:
        names: The classes.
        images: Number of images that have a label; all may be neighbours.
        queries: int64 [queries], places in the truth of the images asked about, ascending. Those
            that are alone in their class are not: nothing could be right for them.
        alone: Number of images that are alone in their class.
        neighbours: Classes of the queries' neighbours.
        nearest: int64 [queries], place in the truth of each query's nearest neighbour.
        silhouettes: float64 [images], from -1 to 1.
    """

    names: tuple[str, ...]
    images: int
    queries: Numbers
    alone: int
    neighbours: NeighbourLabels
    nearest: Numbers
    silhouettes: npt.NDArray[np.float64]

    def __len__(self) -> int:
        """Returns the number of images asked about."""
        return len(self.queries)

    @property
    def k(self) -> int:
        """Neighbours an image, at most."""
        return self.neighbours.labels.shape[1]

    @property
    def mean_silhouette(self) -> float:
        """Mean of all images, from -1 to 1."""
        return float(self.silhouettes.mean())

    def surest_mistakes(self) -> Numbers:
        """Returns the queries whose nearest image is of another class, the nearest first."""
        wrong = np.flatnonzero(~self.neighbours.is_voted_right(1))
        return wrong[np.argsort(-self.neighbours.cosines[wrong, 0], kind="stable")]


def measure_vectors(
    run: PublishedRun, truth: Truth, on_rows: Callable[[int], object]
) -> VectorAccuracy:
    """Asks images about their nearest neighbours among all that have a label.

    Vectors are read twice, and those of the queries are in memory.

    Args:
        run: A run of pipelines.embed.
        truth: What the images are; its rows are those of this run, in any order.
        on_rows: Callback, told how many rows more were read; twice those of the run in all.

    Raises:
        InputError: If a file is damaged, vectors are of one number, or there are not two classes,
            one with two images.
    """
    counts = np.bincount(truth.labels, minlength=len(truth.names))
    asked = np.flatnonzero(counts[truth.labels] > 1)
    if (counts > 0).sum() < 2 or not len(asked):
        raise InputError(
            f"{truth.origin}: got {(counts > 0).sum()} classes of at most {counts.max()} images; "
            "wanted two classes or more, one of two images or more; --labels_csv and --label_from "
            "say where labels are"
        )
    queries = asked[draw_sample(len(asked), QUERIES)]
    is_query = np.zeros(len(truth), bool)
    is_query[queries] = True
    sums: ClassSums | None = None
    kept: list[npt.NDArray[np.float32]] = []
    numbers_kept: list[Numbers] = []
    for numbers, vectors in _read_labelled(run, truth, on_rows):
        refuse_one_number(vectors.shape[1], run.directory)
        sums = sums or ClassSums(len(truth.names), vectors.shape[1])
        sums.add(vectors, truth.labels[numbers])
        kept.append(vectors[is_query[numbers]])
        numbers_kept.append(numbers[is_query[numbers]])
    assert sums is not None, "truth has images that the run has no vector of"
    queries = np.concatenate(numbers_kept)
    search = ExactSearch(np.concatenate(kept), min(NEIGHBOURS, len(truth) - 1) + 1)
    silhouettes = np.zeros(len(truth))
    order: list[Numbers] = []
    for numbers, vectors in _read_labelled(run, truth, on_rows):
        search.add(vectors)
        silhouettes[numbers] = sums.silhouettes(vectors, truth.labels[numbers])
        order.append(numbers)
    found = np.concatenate(order)[search.best.rows]
    found, cosines = without_itself(found, search.best.cosines, queries)
    # In the order of the truth, whatever the order of the run: two runs are compared by it.
    by_truth = np.argsort(queries)
    queries, found, cosines = queries[by_truth], found[by_truth], cosines[by_truth]
    return VectorAccuracy(
        names=truth.names,
        images=len(truth),
        queries=queries,
        alone=int((counts == 1).sum()),
        neighbours=NeighbourLabels(truth.labels[queries], truth.labels[found], cosines),
        nearest=found[:, 0],
        silhouettes=silhouettes,
    )


def _read_labelled(
    run: PublishedRun, truth: Truth, on_rows: Callable[[int], object]
) -> Iterator[tuple[Numbers, npt.NDArray[np.float32]]]:
    """Yields vectors of length 1 in the order of the run, and their places in the truth."""
    place = np.full(sum(shard.rows for shard in run.results), -1)
    place[truth.rows] = np.arange(len(truth))
    start = 0
    for vectors in EmbeddingRuns((run,)).vectors():
        numbers = place[start : start + len(vectors)]
        start += len(vectors)
        on_rows(len(vectors))
        if (numbers >= 0).any():
            yield numbers[numbers >= 0], normalize(vectors[numbers >= 0])
