"""Whether one of two is better on the same images, or it may be chance.

Of 100 images, the second is right for 8 for which the first is wrong, and wrong for 2 for which the
first is right. If neither were better, the 10 would fall like coins:

    better 8, worse 2      p = 2 (C(10,0) + C(10,1) + C(10,2)) / 2^10 = 0.109
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.machine.extras import import_extra

Outcomes = npt.NDArray[np.bool_] | npt.NDArray[np.float64]
"""[images], what each image adds to a number: right or wrong, or a number; larger is better."""

NOISE = 1e-6
"""Numbers that differ by no more are equal: what is made of float32 is not known better."""


class PairedTest(NamedTuple):
    """How the second of two does, image for image.

    Attributes:
        better: Images for which the second is better.
        worse: Images for which the first is.
        p_value: Probability of a difference as large as this or larger, if neither were better.
    """

    better: int
    worse: int
    p_value: float


def sign_test(first: Outcomes, second: Outcomes) -> PairedTest:
    """Tests two outcomes of the same images; of what is right or wrong it is McNemar's exact test.

    It assumes that images are independent of one another, as copies of one picture are not.

    Args:
        first: Outcomes of one run.
        second: Outcomes of the other, of the same images in the same order.

    Source:
        Dixon and Mood, "The statistical sign test" (1946); McNemar, "Note on the sampling error of
        the difference between correlated proportions" (1947); for classifiers Dietterich,
        "Approximate statistical tests for comparing supervised classification learning algorithms"
        (1998), section 3.1. Exact, by the binomial distribution, two-sided.
    """
    change = second.astype(np.float64) - first
    better, worse = int((change > NOISE).sum()), int((change < -NOISE).sum())
    if not better + worse:
        return PairedTest(0, 0, 1.0)
    test = import_extra("scipy.stats").binomtest(better, better + worse, 0.5)
    return PairedTest(better, worse, float(test.pvalue))
