"""Copies: told by their content, and picked once."""

import numpy as np

from transforms.explore.copies import Copies

CONTENTS = np.array([7, 3, 7, 9, 3, 7], np.uint64)


def test_counts_rows_of_the_same_bytes() -> None:
    copies = Copies.of(CONTENTS)
    assert copies.first.tolist() == [0, 1, 0, 3, 1, 0]
    assert copies.counts.tolist() == [3, 2, 3, 1, 2, 3]


def test_picks_the_first_of_each_in_the_order_of_interest() -> None:
    copies = Copies.of(CONTENTS)
    assert copies.pick(np.array([5, 4, 2, 1, 3]), 2).tolist() == [5, 4]
    assert copies.pick(np.array([5, 4, 2, 1, 3]), 9).tolist() == [5, 4, 3]
    assert copies.pick(np.array([], np.int64), 9).tolist() == []
