import pathlib

import numpy as np

from tests.support.heads import labels_from
from transforms.training.vector_file import BLOCK_ROWS, WINDOW_ROWS, VectorFile, shuffle_rows


def test_every_row_comes_back_once_with_its_class(tmp_path: pathlib.Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(1000, 5)).astype(np.float32)
    classes = np.arange(1000) % 7
    with VectorFile(str(tmp_path)) as file:
        for start in range(0, 1000, 300):
            file.append(vectors[start : start + 300])
        assert list(tmp_path.iterdir()) == []  # It has no name: nothing stays if the process dies.
        rows = file.read(5, labels_from(classes))
    assert (rows.rows, rows.dim) == (1000, 5)

    in_order = list(rows.batches(64))
    assert [len(batch.vectors) for batch in in_order] == [64] * 15 + [40]
    np.testing.assert_array_equal(np.concatenate([b.vectors for b in in_order]), vectors)
    targets = np.concatenate([batch.targets for batch in in_order])
    np.testing.assert_array_equal(targets, np.eye(7)[classes])

    shuffled = list(rows.shuffled(64, np.random.default_rng(1)))
    mixed = np.concatenate([batch.vectors for batch in shuffled])
    assert not np.array_equal(mixed, vectors)
    places = [int(np.flatnonzero((vectors == row).all(axis=1))[0]) for row in mixed]
    assert sorted(places) == list(range(1000))
    mixed_targets = np.concatenate([batch.targets for batch in shuffled])
    np.testing.assert_array_equal(mixed_targets, np.eye(7)[classes[places]])


def test_a_few_rows_are_shuffled_freely() -> None:
    random = np.random.default_rng(0)
    firsts = {int(shuffle_rows(10, random)[0]) for _ in range(300)}
    assert firsts == set(range(10))


def test_a_large_file_is_shuffled_by_windows_of_blocks() -> None:
    count = 3 * WINDOW_ROWS + 77
    order = shuffle_rows(count, np.random.default_rng(0))
    assert (np.sort(order) == np.arange(count)).all()
    window = order[:WINDOW_ROWS]
    # A window's rows come from all over the file, in few blocks.
    assert len(np.unique(window // BLOCK_ROWS)) <= WINDOW_ROWS // BLOCK_ROWS + 1
    assert np.histogram(window, 3, (0, count))[0].min() > WINDOW_ROWS / 5
    # And the rows of one block are apart.
    assert np.median(np.abs(np.diff(window))) > BLOCK_ROWS
    again = shuffle_rows(count, np.random.default_rng(0))
    assert (order == again).all()
