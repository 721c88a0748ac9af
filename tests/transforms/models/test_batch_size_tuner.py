"""--batch_size auto: every size is tried, the fastest kept."""

import pytest

from transforms.models.batch_size_tuner import MEASUREMENTS, BatchSizeTuner


def tune(tuner: BatchSizeTuner, seconds: dict[int, float], count: int = 64) -> list[int]:
    """Gives it batches until it has found the best; returns the sizes it tried."""
    tried = []
    while tuner.best is None:
        size = tuner.next_size(count)
        assert size is not None
        # The first call at a size takes long, and says nothing.
        tuner.record(size, seconds[size] if size in tried else 100.0)
        tried.append(size)
    return tried


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({16: 3.0, 32: 2.0, 64: 1.0}, 64),
        ({16: 1.0, 32: 2.0, 64: 3.0}, 16),
        ({16: 3.0, 32: 1.0, 64: 2.0}, 32),
        ({16: 1.0, 32: 0.99, 64: 0.98}, 16),  # not worth the memory
    ],
)
def test_the_fastest_size_is_found_and_every_size_tried_as_often(
    seconds: dict[int, float], best: int
) -> None:
    tuner = BatchSizeTuner(64)
    tried = tune(tuner, seconds)
    assert tuner.best == best
    assert sorted(tried) == sorted([16, 32, 64] * (MEASUREMENTS + 1))


def test_one_slow_batch_does_not_decide() -> None:
    tuner = BatchSizeTuner(32)
    for size, seconds in ((16, (9, 2, 2, 2)), (32, (9, 1, 50, 1))):
        for value in seconds:
            tuner.record(size, float(value))
    assert tuner.best == 32


def test_a_batch_that_is_not_full_measures_the_sizes_below_it() -> None:
    tuner = BatchSizeTuner(64)
    assert [tuner.next_size(50) for _ in range(4)] == [16, 32, 16, 32]
    assert tuner.next_size(5) is None
    assert tuner.next_size(64) == 64
    assert tuner.best is None


def test_a_size_that_has_no_half_worth_trying_is_the_best() -> None:
    tuner = BatchSizeTuner(20)
    assert set(tune(tuner, {20: 1.0}, 20)) == {20}
    assert tuner.best == 20
