"""Vectors on a plane, near ones near each other as far as two dimensions allow."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.machine.extras import import_extra

_SEED = 0
_PRINCIPAL_COMPONENTS = 50
_PERPLEXITY = 30
_FEWEST = 8
_NEIGHBOURS = 10


class VectorMap(NamedTuple):
    """Where vectors are on the plane.

    Attributes:
        places: float32 [rows, 2], of no unit.
        trustworthiness: Degree, from 0 to 1, to which the neighbours on the plane are neighbours in
            truth; NaN for too few rows to tell.
    """

    places: npt.NDArray[np.float32]
    trustworthiness: float


def draw_map(vectors: npt.NDArray[np.float32]) -> VectorMap:
    """Lays vectors out by t-SNE of their first 50 principal components.

    It runs on one thread, so that the same vectors give the same map, and because it is no faster
    on two.

    Args:
        vectors: float32 [rows, dim], of length 1; some thousands.

    Source:
        van der Maaten and Hinton, "Visualizing Data using t-SNE" (2008). Trustworthiness: Venna and
        Kaski (2001).
    """
    rows, dim = vectors.shape
    if rows < _FEWEST or not np.ptp(vectors, axis=0).any():
        return VectorMap(np.zeros((rows, 2), np.float32), float("nan"))
    decomposition, manifold = map(import_extra, ("sklearn.decomposition", "sklearn.manifold"))
    components = min(_PRINCIPAL_COMPONENTS, rows, dim)
    limits = import_extra("threadpoolctl").threadpool_limits
    with limits(1):
        reduced = decomposition.PCA(components, random_state=_SEED).fit_transform(vectors)
        perplexity = min(_PERPLEXITY, (rows - 1) / 3)
        tsne = manifold.TSNE(perplexity=perplexity, init="pca", random_state=_SEED, n_jobs=1)
        if reduced.shape[1] < 2:
            reduced = np.pad(reduced, ((0, 0), (0, 2 - reduced.shape[1])))
        places = tsne.fit_transform(reduced)
        neighbours = min(_NEIGHBOURS, rows // 2 - 1)
        trust = manifold.trustworthiness(vectors, places, n_neighbors=neighbours)
    return VectorMap(places, float(trust))


def find_typical(vectors: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.int64]:
    """Finds vectors that stand for the rest: the ones nearest the centres of k-means.

    Args:
        vectors: float32 [rows, dim]; at least one.
        count: Number of centres; fewer where vectors are equal.

    Returns:
        int64 [at most count], places among the vectors, those of the largest clusters first.
    """
    cluster, metrics = map(import_extra, ("sklearn.cluster", "sklearn.metrics"))
    distinct = np.unique(vectors, axis=0, return_index=True)[1]
    kmeans = cluster.KMeans(min(count, len(distinct)), n_init=1, random_state=_SEED).fit(vectors)
    nearest = metrics.pairwise_distances_argmin(kmeans.cluster_centers_, vectors)
    sizes = np.bincount(kmeans.labels_, minlength=len(nearest))
    return nearest[np.argsort(-sizes, kind="stable")].astype(np.int64)
