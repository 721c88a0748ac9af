"""The exact sign test and the interval of a share, by hand and by published numbers."""

import numpy as np
import pytest

from transforms.evaluation.interval import wilson_interval
from transforms.evaluation.paired_test import PairedTest, sign_test


def test_by_hand() -> None:
    """8 better, 2 worse: 2 (1 + 10 + 45) / 1024."""
    first = np.array([False] * 8 + [True] * 2 + [True] * 50 + [False] * 40)
    second = np.array([True] * 8 + [False] * 2 + [True] * 50 + [False] * 40)
    found = sign_test(first, second)
    assert found == pytest.approx((8, 2, 112 / 1024))
    assert sign_test(second, first) == pytest.approx((2, 8, 112 / 1024))


def test_equal_outcomes_are_no_difference() -> None:
    assert sign_test(np.array([True, False]), np.array([True, False])) == PairedTest(0, 0, 1.0)
    half = np.array([True, False])
    assert sign_test(half, ~half) == PairedTest(1, 1, 1.0)


def test_numbers_count_by_which_is_larger() -> None:
    first = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert sign_test(first, first + np.array([1, 1e-5, 2, 1, 1, 1])) == PairedTest(6, 0, 2 / 64)
    assert sign_test(first, first + 1e-7) == PairedTest(0, 0, 1.0)


def test_the_interval_is_wilsons() -> None:
    """Brown, Cai and DasGupta (2001) have 0 of 10 within 0 to 0.278."""
    assert wilson_interval(0, 10) == pytest.approx((0, 0.2775), abs=1e-4)
    assert wilson_interval(10, 10) == pytest.approx((0.7225, 1), abs=1e-4)
    low, high = wilson_interval(50, 100)
    assert (low, high) == pytest.approx((0.4038, 0.5962), abs=1e-4)
