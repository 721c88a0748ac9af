"""A batch is cut into calls that the model, the memory and the engine can take."""

import numpy as np
import numpy.typing as npt
import pytest

from transforms.errors import OutOfMemoryError
from transforms.models import batch_size_tuner
from transforms.models.batch_sizing import BatchSizing


class Model:
    """Gives each image's number twice, and remembers the images of every call."""

    def __init__(self, memory_images: int = 1000) -> None:
        self.calls: list[list[int]] = []
        self._memory_images = memory_images

    def __call__(self, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        numbers = np.asarray(pixels, np.float32)[:, 0, 0, 0]
        self.calls.append(numbers.astype(int).tolist())
        if len(numbers) > self._memory_images:
            raise OutOfMemoryError("no memory")
        return np.stack([numbers, 2 * numbers], axis=1)


def numbered(count: int) -> npt.NDArray[np.float32]:
    """Images of 1 x 1 pixels, each of its own number."""
    return np.broadcast_to(
        np.arange(count, dtype=np.float32)[:, None, None, None], (count, 1, 1, 3)
    )


def run(sizing: BatchSizing, count: int) -> list[list[int]]:
    """Runs a batch and checks its rows; returns the images of each call."""
    model = Model()
    outputs = sizing.run(numbered(count), model)
    assert outputs.tolist() == [[number, 2 * number] for number in range(count)]
    return model.calls


def test_a_model_of_any_number_takes_all_at_once() -> None:
    sizing = BatchSizing()
    assert run(sizing, 6) == [[0, 1, 2, 3, 4, 5]]
    assert (sizing.most, sizing.learned) == (None, None)


def test_a_fixed_batch_is_filled_up_with_the_last_image() -> None:
    assert run(BatchSizing(4), 6) == [[0, 1, 2, 3], [4, 5, 5, 5]]
    assert run(BatchSizing(4), 8) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_a_fixed_batch_learns_nothing() -> None:
    sizing = BatchSizing(4)
    sizing.reduce(2)
    sizing.fill_up_to(16)
    sizing.tune(64)
    for _ in range(10):
        assert run(sizing, 4) == [[0, 1, 2, 3]]
    assert (sizing.most, sizing.learned) == (4, None)


def test_what_was_too_much_for_the_memory_is_halved_and_never_grows() -> None:
    sizing = BatchSizing()
    sizing.reduce(4)
    assert run(sizing, 6) == [[0, 1, 2, 3], [4, 5]]
    sizing.reduce(2)
    sizing.reduce(3)
    assert run(sizing, 5) == [[0, 1], [2, 3], [4]]
    assert (sizing.most, sizing.learned) == (2, 2)


def test_an_engine_that_compiles_every_size_gets_one_size() -> None:
    sizing = BatchSizing()
    sizing.fill_up_to(4)
    assert run(sizing, 3) == [[0, 1, 2, 2]]
    assert run(sizing, 6) == [[0, 1, 2, 3, 4, 5]]  # Not cut: only memory and speed do that.
    sizing.reduce(2)
    assert run(sizing, 3) == [[0, 1], [2, 2]]


def test_half_of_what_was_really_called_is_tried_when_memory_runs_out() -> None:
    sizing, model = BatchSizing(), Model(memory_images=4)
    sizing.fill_up_to(16)
    with pytest.raises(OutOfMemoryError):
        sizing.run(numbered(3), model)
    assert sizing.learned == 8
    outputs = sizing.run_within_memory(numbered(3), model)
    assert outputs[:, 0].tolist() == [0, 1, 2]
    assert [len(call) for call in model.calls] == [16, 8, 4]
    sizing.fill_up_to(16)  # What memory has taught stays.
    assert [len(call) for call in run(sizing, 3)] == [4]


@pytest.mark.parametrize("sizing", [BatchSizing(), BatchSizing(4)])
def test_memory_for_not_even_one_image_or_a_fixed_batch_is_an_error(sizing: BatchSizing) -> None:
    with pytest.raises(OutOfMemoryError):
        sizing.run_within_memory(numbered(3), Model(memory_images=0))
    assert sizing.most in (1, 4)


def test_an_engine_told_no_size_is_not_filled_up() -> None:
    sizing = BatchSizing()
    sizing.fill_up_to(None)
    sizing.reduce(2)
    assert run(sizing, 3) == [[0, 1], [2]]


def test_sizes_are_tried_in_turn_and_one_is_kept() -> None:
    sizing = BatchSizing()
    sizing.tune(32)
    tries = [len(run(sizing, 32)) for _ in range(2 * (batch_size_tuner.MEASUREMENTS + 1))]
    assert tries == [2, 1] * (batch_size_tuner.MEASUREMENTS + 1)
    assert sizing.learned in (16, 32)
    assert len(run(sizing, 32)) == 32 // sizing.learned


def test_a_batch_too_small_for_any_size_says_nothing() -> None:
    sizing = BatchSizing()
    sizing.tune(32)
    for _ in range(20):
        assert run(sizing, 5) == [[0, 1, 2, 3, 4]]
    assert sizing.learned is None


def test_a_size_that_is_tried_is_filled_up_to_itself() -> None:
    sizing = BatchSizing()
    sizing.fill_up_to(32)
    sizing.tune(32)
    assert [len(call) for call in run(sizing, 30)] == [16, 16]
    # Only 16 is tried on 30 images, but a size that was found too large stays out of question.
    sizing.reduce(8)
    assert [len(call) for call in run(sizing, 30)] == [8, 8, 8, 8]


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_another_number_of_rows_is_shown_as_it_is(rows: int) -> None:
    outputs = BatchSizing(4).run(numbered(3), lambda pixels: np.zeros((rows, 2), np.float32))
    assert outputs.shape == (rows, 2)
