"""Whether scores are what they say: of the answers with a score near 0.8, are 80 % right?"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.runs.record import PublishedRun

BINS = 15

Shares = npt.NDArray[np.float64]

_ROUNDING = 1e-3


class Calibration(NamedTuple):
    """The best answers in bins of equal width by their score; the last of 15 is (14/15, 1].

    Attributes:
        images: int64 [BINS], images of each bin.
        confidence: float64 [BINS], their mean score; 0 in an empty bin.
        accuracy: float64 [BINS], the share of them that is right; 0 in an empty bin.
    """

    images: npt.NDArray[np.int64]
    confidence: Shares
    accuracy: Shares

    @property
    def error(self) -> float:
        """Expected calibration error, from 0 to 1.

        ECE = sum over bins of images / all images x |accuracy - confidence|.

        Source: Guo et al., "On Calibration of Modern Neural Networks" (2017), equation 3, with 15
        bins as there.
        """
        gaps = np.abs(self.accuracy - self.confidence)
        return float((self.images * gaps).sum() / self.images.sum())

    @property
    def excess(self) -> float:
        """Mean score less accuracy: above 0 the scores promise too much."""
        gaps = self.confidence - self.accuracy
        return float((self.images * gaps).sum() / self.images.sum())


def calibrate(scores: npt.NDArray[np.float32], is_right: npt.NDArray[np.bool_]) -> Calibration:
    """Compares scores with how often they are right.

    Args:
        scores: float32 [images], score of the best class, from 0 to 1; at least one.
        is_right: bool [images], whether that class is right.
    """
    wide = scores.astype(np.float64)
    # A bin is open on the left: 0.2 of five bins is in the first.
    places = np.clip(np.ceil(wide * BINS).astype(int) - 1, 0, BINS - 1)
    images = np.bincount(places, minlength=BINS)
    at_least_one = np.maximum(images, 1)
    return Calibration(
        images,
        np.bincount(places, wide, BINS) / at_least_one,
        np.bincount(places, is_right, BINS) / at_least_one,
    )


def are_probabilities(run: PublishedRun, scores: npt.NDArray[np.float32]) -> bool:
    """Tells whether scores can be read as the probability that the class is right.

    Args:
        run: Their run; what it did to the model's outputs decides, and if it did nothing, whether
            they are from 0 to 1 and of an image no more than 1 in all.
        scores: float32 [images, k].
    """
    if run.record["recipe"]["outputs"]["activation"] in ("softmax", "sigmoid"):
        return True
    is_share = scores.min() >= 0 and scores.max() <= 1
    return bool(is_share and scores.sum(axis=1).max() <= 1 + _ROUNDING)
