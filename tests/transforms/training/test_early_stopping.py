from transforms.training.early_stopping import EarlyStopping


def test_it_is_over_after_so_many_passes_without_progress() -> None:
    stopping = EarlyStopping(2)
    assert [stopping.is_progress(loss) for loss in (2.0, 1.0, 1.5, 0.9)] == [1, 1, 0, 1]
    assert not stopping.is_over
    # A gain of less than a thousandth is none; nor is a loss that is no number.
    assert [stopping.is_progress(loss) for loss in (0.8995, float("nan"))] == [0, 0]
    assert stopping.is_over


def test_no_loss_that_is_not_finite_is_progress() -> None:
    stopping = EarlyStopping(2)
    assert not stopping.is_progress(float("inf"))
    assert not stopping.is_progress(float("nan"))
    assert stopping.is_over
