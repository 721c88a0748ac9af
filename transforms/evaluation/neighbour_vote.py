"""Whether the images that are nearest to an image are of its class: each image left out in turn.

The five nearest of an image, the nearest first, are dog, cat, cat, dog, hen:

    vote of 1     dog
    vote of 5     dog      2 dogs, 2 cats, and the nearest dog is nearer
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int32]


class NeighbourLabels(NamedTuple):
    """The classes of the nearest neighbours of some images, none its own neighbour.

    Attributes:
        truth: int32 [images], what the images are.
        labels: int32 [images, k], the classes of their neighbours, the nearest first.
        cosines: float32 [images, k].
    """

    truth: Labels
    labels: Labels
    cosines: npt.NDArray[np.float32]

    def vote(self, k: int) -> Labels:
        """Returns the class that most of the k nearest have: int32 [images].

        Of classes that as many have, that of the nearest of their images: with k = 2 it is the
        nearest image's.

        Source: Cover and Hart, "Nearest neighbor pattern classification" (1967).
        """
        nearest = self.labels[:, :k]
        votes = (nearest[:, :, None] == nearest[:, None, :]).sum(axis=2)
        # The first of the largest is the nearest of them.
        return nearest[np.arange(len(nearest)), votes.argmax(axis=1)]

    def is_voted_right(self, k: int) -> npt.NDArray[np.bool_]:
        """Tells whether the vote of the k nearest is right: bool [images]."""
        return self.vote(k) == self.truth

    def is_recalled(self, k: int) -> npt.NDArray[np.bool_]:
        """Tells whether one of the k nearest is of the image's class: bool [images].

        Its mean is recall@k of metric learning.

        Source: Jegou, Douze and Schmid, "Product Quantization for Nearest Neighbor Search" (2011),
        section V; Oh Song et al., "Deep Metric Learning via Lifted Structured Feature Embedding"
        (2016), section 6.
        """
        return (self.labels[:, :k] == self.truth[:, None]).any(axis=1)


def without_itself(
    found: npt.NDArray[np.int64], cosines: npt.NDArray[np.float32], queries: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Drops each query from its own neighbours; where copies left it no place, the last one.

    Args:
        found: int64 [queries, k + 1], numbers of the nearest, the nearest first.
        cosines: float32 [queries, k + 1].
        queries: int64 [queries], their own numbers.

    Returns:
        int64 and float32 [queries, k].
    """
    is_kept = found != queries[:, None]
    is_kept[is_kept.all(axis=1), -1] = False
    shape = (len(found), found.shape[1] - 1)
    return found[is_kept].reshape(shape), cosines[is_kept].reshape(shape)
