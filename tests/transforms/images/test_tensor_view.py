"""Arrays that lead back to a tensor."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from transforms.images.tensor_view import as_tensor, view

Array = npt.NDArray[Any]


@pytest.fixture
def tensor() -> tf.Tensor:
    return tf.reshape(tf.range(24.0), (4, 3, 2))


def address(tensor: tf.Tensor) -> int:
    return np.asarray(memoryview(tensor)).ctypes.data


def test_view_shares_the_memory_and_leads_back(tensor: tf.Tensor) -> None:
    array = view(tensor)
    np.testing.assert_array_equal(array, tensor.numpy())
    assert array.ctypes.data == address(tensor)
    assert as_tensor(array) is tensor
    assert not array.flags.writeable


def test_slice_of_everything_leads_back(tensor: tf.Tensor) -> None:
    array = view(tensor)
    assert as_tensor(array[0:4]) is tensor
    assert as_tensor(array[:][:]) is tensor


@pytest.mark.parametrize(
    "derive",
    [
        lambda array: array[:2],
        lambda array: array[2:],
        lambda array: array[::-1],
        lambda array: array.reshape(3, 4, 2),
        lambda array: array.transpose(1, 0, 2),
        lambda array: array.view(np.int32),
        lambda array: array * 2,
        lambda array: array.copy(),
        lambda array: pickle.loads(pickle.dumps(array)),
        lambda array: np.pad(array, [(0, 1), (0, 0), (0, 0)], mode="edge"),
        lambda array: np.concatenate([array, array]),
    ],
)
def test_what_is_derived_has_its_own_numbers(
    tensor: tf.Tensor, derive: Callable[[Array], Array]
) -> None:
    array = derive(view(tensor))
    found = as_tensor(array)
    assert found is not tensor
    np.testing.assert_array_equal(found.numpy(), np.asarray(array))


def test_plain_array_is_copied() -> None:
    array = np.ones((2, 3), np.float32)
    found = as_tensor(array)
    array[:] = 0
    np.testing.assert_array_equal(found.numpy(), np.ones((2, 3)))


def test_view_keeps_the_memory_alive() -> None:
    array = view(tf.range(100_000))
    np.testing.assert_array_equal(array[-3:], [99_997, 99_998, 99_999])
