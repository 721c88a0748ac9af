"""Rows of a published run, by number and by image_id."""

import pathlib

import numpy as np
import pyarrow as pa
import pytest

from tests.support.runs import read, run_embed, vectors_of, write_photos
from transforms.errors import InputError
from transforms.runs.record import PublishedRun
from transforms.runs.rows import find_rows, open_run, read_run, read_vectors, take_rows


@pytest.fixture(scope="module", params=["parquet", "tfrecord"])
def run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, mean_color: str
) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("rows")
    write_photos(folder / "photos", 40)
    flags = [
        "--input",
        str(folder / "photos"),
        "--image_id_from",
        "relative_path",
        "--rows_per_file",
        "10",
        "--output_format",
        request.param,
    ]
    assert run_embed(mean_color, folder / "run", *flags) == 0
    return folder / "run"


def table_of(run: pathlib.Path, names: list[str]) -> pa.Table:
    return pa.Table.from_batches(list(read_run(open_run(str(run)), names)))


def test_reads_all_rows_in_order(run: pathlib.Path) -> None:
    opened = open_run(str(run))
    assert len(opened.results) > 2
    table = table_of(run, ["image_id", "uri", "width", "embedding"])
    assert table.num_rows == 40
    vectors = read_vectors(opened)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, np.array(table["embedding"].to_pylist(), np.float32))


def test_takes_rows_in_any_order(run: pathlib.Path) -> None:
    opened = open_run(str(run))
    ids = table_of(run, ["image_id"])["image_id"].to_pylist()
    rows = np.array([39, 0, 17, 3, 38], np.int64)
    taken = take_rows(opened, rows, ["uri", "image_id"])
    assert taken.column_names == ["uri", "image_id"]
    assert taken["image_id"].to_pylist() == [ids[row] for row in rows]
    assert take_rows(opened, rows[:0], ["image_id"]).num_rows == 0
    some = np.sort(rows)
    np.testing.assert_array_equal(read_vectors(opened, some), read_vectors(opened)[some])


def test_a_file_with_fewer_rows_is_said(run: pathlib.Path, tmp_path: pathlib.Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    first, second = open_run(str(copy)).results[:2]
    shutil.copyfile(first.data.path, second.data.path)
    assert first.rows != second.rows
    opened = open_run(str(copy))
    with pytest.raises(InputError, match=r"run\.json says"):
        read_vectors(opened)
    pathlib.Path(second.data.path).write_bytes(b"PAR1")
    with pytest.raises(InputError, match="cannot be read"):
        take_rows(opened, np.arange(40), ["image_id"])


def test_rows_are_those_of_the_output(run: pathlib.Path) -> None:
    opened = open_run(str(run))
    if not opened.results[0].data.path.endswith(".parquet"):
        pytest.skip("read by pyarrow")
    ids = table_of(run, ["image_id"])["image_id"].to_pylist()
    table = read(run)  # In order of image_id.
    assert sorted(ids) == table["image_id"].to_pylist()
    np.testing.assert_array_equal(read_vectors(opened)[np.argsort(ids)], vectors_of(table))


@pytest.fixture(scope="module", params=["parquet", "tfrecord"])
def cats(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, mean_color: str
) -> PublishedRun:
    folder = tmp_path_factory.mktemp("rows")
    write_photos(folder / "photos" / "Cats", 25)
    flags = ["--input", str(folder / "photos"), "--image_id_from", "relative_path"]
    flags += ["--rows_per_file", "10", "--output_format", request.param]
    assert run_embed(mean_color, folder / "run", *flags) == 0
    return open_run(str(folder / "run"))


def test_finds_rows_in_the_order_asked_for(cats: PublishedRun) -> None:
    ids = [name for batch in read_run(cats, ["image_id"]) for name in batch.column(0).to_pylist()]
    assert len(cats.results) > 1
    asked = [ids[24], ids[0], ids[24], ids[11]]
    assert find_rows(cats, asked).tolist() == [24, 0, 24, 11]


@pytest.mark.parametrize(
    ("image_id", "like"),
    [
        ("photo-003.png", "like it are 'Cats/photo-003.png'"),
        ("/elsewhere/PHOTO-003.png", "like it are 'Cats/photo-003.png'"),
        ("dog", "its ids are such as 'Cats/photo-0"),
        ("", "its ids are such as 'Cats/photo-0"),
        ("%.*(", "its ids are such as 'Cats/photo-0"),
    ],
)
def test_says_what_is_like_an_id_that_is_not_there(
    cats: PublishedRun, image_id: str, like: str
) -> None:
    with pytest.raises(InputError) as caught:
        find_rows(cats, ["Cats/photo-001.png", image_id])
    assert f"has no image_id {image_id!r}; {like}" in str(caught.value)
