"""The expected calibration error by hand, and its bins."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from transforms.evaluation.calibration import BINS, calibrate


def test_by_hand() -> None:
    """Two bins: scores of 0.9 and 0.92, one right; scores of 0.5, of which one in four is right."""
    scores = np.array([0.9, 0.92, 0.5, 0.5, 0.5, 0.5], np.float32)
    found = calibrate(scores, np.array([True, False, True, False, False, False]))
    assert found.images.tolist() == [0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 2, 0]
    assert found.confidence[[7, 13]] == pytest.approx([0.5, 0.91])
    assert found.accuracy[[7, 13]].tolist() == [0.25, 0.5]
    assert found.error == pytest.approx(4 / 6 * 0.25 + 2 / 6 * 0.41)
    assert found.excess == pytest.approx(found.error)


def test_too_high_and_too_low_add_up_in_the_error_and_not_in_the_excess() -> None:
    found = calibrate(np.array([0.9, 0.1], np.float32), np.array([False, True]))
    assert found.error == pytest.approx(0.9)
    assert found.excess == pytest.approx(0, abs=1e-7)


def test_the_ends_are_in_the_first_and_the_last_bin() -> None:
    found = calibrate(np.array([0, 1], np.float32), np.array([False, True]))
    assert found.images.tolist() == [1, *[0] * (BINS - 2), 1]
    assert found.error == 0


def test_the_bins_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(3)
    scores = random.uniform(size=3000).astype(np.float32)
    is_right = random.uniform(size=3000) < scores**2
    found = calibrate(scores, is_right)
    right, confidence = calibration_curve(is_right, scores.astype(np.float64), n_bins=BINS)
    np.testing.assert_allclose(found.accuracy, right)
    np.testing.assert_allclose(found.confidence, confidence)
