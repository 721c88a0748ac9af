import numpy as np
import pyarrow as pa
import pytest

from transforms.errors import InputError
from transforms.training.hash_split import check_split, is_validation

IDS = [f"photo-{number}.jpg" for number in range(5000)]


def column(values: list[object]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values)])


def test_a_row_stays_on_its_side_whatever_the_others_are() -> None:
    split = is_validation(column([*IDS]), 0.2)
    assert abs(split.mean() - 0.2) < 0.02
    assert is_validation(column([*IDS[::-3]]), 0.2).tolist() == split[::-3].tolist()
    # Written down: another hash would move rows between the sides of finished work.
    assert np.flatnonzero(split[:40]).tolist() == [6, 17, 23, 24, 26, 28, 29, 30]


def test_the_digests_that_the_docstring_shows() -> None:
    keys = column(["fox_1.jpg", "dog_2.jpg"])
    splits = [is_validation(keys, fraction).tolist() for fraction in (0.1, 0.2, 0.5)]
    assert splits == [[False, False], [True, False], [True, True]]


def test_a_larger_fraction_only_moves_rows_to_validation() -> None:
    small, large = (is_validation(column([*IDS]), fraction) for fraction in (0.1, 0.3))
    assert (large | ~small).all()
    assert large.sum() > small.sum()


@pytest.mark.parametrize("kind", [str, int, lambda group: [str(group).encode()]])
def test_rows_of_one_group_are_on_one_side(kind: type) -> None:
    groups = np.arange(3000) % 300
    split = is_validation(column([kind(int(group)) for group in groups]), 0.5)
    assert all(len(set(split[groups == group])) == 1 for group in range(300))
    assert 0.3 < split.mean() < 0.7


def test_a_row_without_key_is_an_error() -> None:
    with pytest.raises(InputError, match="1 images have no key to split by; see --split_by"):
        is_validation(column(["a", None]), 0.2)


def test_a_class_without_rows_on_a_side_is_named() -> None:
    names, some = ("ant", "bee", "cow"), np.array([1, 2, 3])
    check_split(names, some, some, 0.2)
    with pytest.raises(InputError, match="1 of 3 classes have no validation images: bee;"):
        check_split(names, some, np.array([1, 0, 1]), 0.2)
    with pytest.raises(InputError, match="2 of 3 classes have no training images: ant, bee;"):
        check_split(names, np.array([0, 0, 1]), some, 0.2)
