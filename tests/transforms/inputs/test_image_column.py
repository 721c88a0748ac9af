"""Parquet as people have it: what the column of images may be, and where it may lie."""

import os
import pathlib
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from transforms.errors import InputError
from transforms.inputs.columns import FileColumns
from transforms.inputs.parquet_files import first_parquet_ids, read_parquet
from transforms.inputs.parquet_footers import may_hold_images, peek_parquet_schema
from transforms.inputs.part import ReadPart
from transforms.records import InputFile, ShardKind

IMAGES = [b"one", b"two", None, b"four" * 20]
AS_INTEGERS = [image and list(image) for image in IMAGES]


def make_file(path: pathlib.Path, table: pa.Table) -> InputFile:
    pq.write_table(table, path)
    return InputFile(ShardKind.PARQUET, str(path), str(path.parent), path.stat().st_size)


def read(
    file: InputFile,
    image_key: str | None = None,
    image_id_from: str | None = None,
    carry: tuple[str, ...] = (),
    batch_size: int = 3,
) -> list[ReadPart]:
    carried = peek_parquet_schema(file.uri, image_key, image_id_from, carry)
    assert carried is not None
    return list(
        read_parquet(file, FileColumns(image_key, image_id_from, carried), batch_size, 1000)
    )


def found(parts: list[ReadPart]) -> dict[str, bytes]:
    ids = [image_id for part in parts for image_id in part.rows["image_id"].to_pylist()]
    return dict(zip(ids, [content for part in parts for content in part.encoded], strict=True))


def failed(parts: list[ReadPart]) -> dict[str, str]:
    return {failure.image_id: failure.message for part in parts for failure in part.failures}


@pytest.mark.parametrize(
    "column",
    [
        pa.array(IMAGES, pa.binary()).dictionary_encode(),
        pa.array(IMAGES, pa.large_binary()),
        pa.array(IMAGES, pa.binary_view()),
        pa.array(AS_INTEGERS, pa.list_(pa.uint8())),
        pa.array(AS_INTEGERS, pa.large_list(pa.uint8())),
        pa.array(AS_INTEGERS, pa.list_(pa.int8())),
        pa.array([{"bytes": image, "path": None} for image in IMAGES]),
        pa.array(
            [{"bytes": image} for image in AS_INTEGERS],
            pa.struct([("bytes", pa.list_(pa.uint8()))]),
        ),
    ],
    ids=lambda column: str(column.type),
)
def test_images_of_every_type_are_read(tmp_path: pathlib.Path, column: pa.Array) -> None:
    file = make_file(tmp_path / "x.parquet", pa.table({"image": column}))
    parts = read(file)
    assert found(parts) == {f"{file.uri}#{n}": IMAGES[n] for n in (0, 1, 3)}
    assert failed(parts) == {f"{file.uri}#2": "its column 'image' is null"}
    assert may_hold_images(file.uri)


def test_arrays_of_bytes_as_pandas_writes_them_are_read(tmp_path: pathlib.Path) -> None:
    pandas = pytest.importorskip("pandas")
    arrays = [np.frombuffer(image, np.uint8) for image in IMAGES if image]
    pandas.DataFrame({"image": arrays}).to_parquet(tmp_path / "x.parquet")
    uri = str(tmp_path / "x.parquet")
    file = InputFile(ShardKind.PARQUET, uri, str(tmp_path), 1)
    assert list(found(read(file)).values()) == [image for image in IMAGES if image]


def test_a_list_of_bytes_with_a_null_in_it_fails_alone(tmp_path: pathlib.Path) -> None:
    column = pa.array([[1, None], [2]], pa.list_(pa.uint8()))
    file = make_file(tmp_path / "x.parquet", pa.table({"image": column}))
    parts = read(file)
    assert found(parts) == {f"{file.uri}#1": b"\x02"}
    assert failed(parts) == {f"{file.uri}#0": "its list of bytes has nulls in it"}


LISTS = [[b"a", b"bb"], [], None, [b"c", None, b"d" * 1001]]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(LISTS, pa.list_(pa.binary())),
        pa.array(LISTS, pa.large_list(pa.large_binary())),
        pa.array(
            [row and [{"bytes": image, "path": None} for image in row] for row in LISTS],
            pa.list_(pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ),
    ],
    ids=lambda column: str(column.type),
)
@pytest.mark.parametrize("batch_size", [1, 2, 9])
def test_images_of_lists_are_images_each(
    tmp_path: pathlib.Path, column: pa.Array, batch_size: int
) -> None:
    table = pa.table({"image": column, "post": ["p", "q", "r", "s"], "likes": [1, 2, 3, 4]})
    file = make_file(tmp_path / "x.parquet", table)
    parts = read(file, image_id_from="post", carry=("likes",), batch_size=batch_size)
    assert found(parts) == {"p#0": b"a", "p#1": b"bb", "s#0": b"c"}
    assert [likes for part in parts for likes in part.rows["likes"].to_pylist()] == [1, 1, 4]
    assert all(part.rows.num_rows <= batch_size for part in parts)
    uris = [uri for part in parts for uri in part.rows["uri"].to_pylist()]
    assert uris == [f"{file.uri}#{place}" for place in ("0.0", "0.1", "3.0")]
    messages = failed(parts)
    assert messages.keys() == {"r", "s#1", "s#2"}
    assert messages["s#1"] == "its column 'image' is null"
    assert "1,001 bytes" in messages["s#2"]
    assert [*found(read(file))] == uris


def test_a_null_in_place_of_a_list_is_a_failure_and_an_empty_list_is_no_image(
    tmp_path: pathlib.Path,
) -> None:
    column = pa.array([[], None, [b"x"]], pa.list_(pa.binary()))
    file = make_file(tmp_path / "x.parquet", pa.table({"image": column}))
    parts = read(file)
    assert found(parts) == {f"{file.uri}#2.0": b"x"}
    assert failed(parts) == {f"{file.uri}#1": "its column 'image' is null"}


def test_columns_inside_of_columns_have_dotted_names(tmp_path: pathlib.Path) -> None:
    photo = [{"raw": {"jpg": b"x"}, "id": 7}, None, {"raw": {"jpg": b"y"}, "id": 8}]
    table = pa.table({"photo": photo, "meta": [{"tag": {"en": "cat"}}] * 3, "photo.id": [1, 2, 3]})
    file = make_file(tmp_path / "x.parquet", table)
    parts = read(file, "photo.raw.jpg", "photo.id", ("meta.tag.en", "meta"))
    # A column of the very name goes before the field of the struct.
    assert found(parts) == {"1": b"x", "3": b"y"}
    assert failed(parts) == {"2": "its column 'photo.raw.jpg' is null"}
    assert parts[0].rows["meta.tag.en"].to_pylist() == ["cat", "cat"]
    assert parts[0].rows["meta"].to_pylist() == [{"tag": {"en": "cat"}}] * 2
    columns = FileColumns("photo.raw.jpg", "photo.id", pa.schema([]))
    assert [key for key, _ in first_parquet_ids(file, columns, 9)] == ["1", "2", "3"]
    with pytest.raises(InputError, match=r"no column 'photo.raw.png' \(--image_key\)"):
        peek_parquet_schema(file.uri, "photo.raw.png", None, [])


def write_beside(folder: pathlib.Path, paths: list[str | None]) -> InputFile:
    """Writes a table as datasets does without embedding: paths, and no bytes."""
    images = [path and {"bytes": None, "path": path} for path in paths]
    stored = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return make_file(folder / "x.parquet", pa.table({"image": pa.array(images, stored)}))


def test_images_that_a_table_names_by_path_are_read_from_below_its_directory(
    tmp_path: pathlib.Path,
) -> None:
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    for name in ("a.jpg", "images/b.jpg", "large.jpg"):
        (folder / name).write_bytes(name.encode() * (999 if name == "large.jpg" else 1))
    file = write_beside(
        folder, ["a.jpg", f"{folder}/images/b.jpg", "gone.jpg", "large.jpg", None, "images"]
    )
    parts = read(file)
    assert found(parts) == {"a.jpg": b"a.jpg", f"{folder}/images/b.jpg": b"images/b.jpg"}
    messages = failed(parts)
    assert "no such file" in messages["gone.jpg"]
    assert "more bytes than --max_image_bytes=1000" in messages["large.jpg"]
    assert messages[f"{file.uri}#4"] == "its column 'image' is null"
    assert len(messages) == 4
    assert may_hold_images(file.uri)


def test_a_column_of_paths_alone_is_read_too(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    file = make_file(
        tmp_path / "x.parquet", pa.table({"image": [{"bytes": None, "path": "a.jpg"}]})
    )
    assert found(read(file)) == {"a.jpg": b"x"}
    assert may_hold_images(file.uri)


@pytest.mark.parametrize(
    "path",
    [
        "../secret.jpg",
        "images/../../secret.jpg",
        "{tmp}/secret.jpg",
        "{tmp}/data/../secret.jpg",
        "{tmp}/database/secret.jpg",
        "linked/secret.jpg",
        "s3://bucket/a.jpg",
        "https://example.com/a.jpg",
        "file:///etc/hostname",
        "a\0.jpg",
    ],
)
def test_no_path_of_a_table_leads_out_of_its_directory(tmp_path: pathlib.Path, path: str) -> None:
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    os.symlink(tmp_path, folder / "linked")
    file = write_beside(folder, [path.format(tmp=tmp_path)])
    (part,) = read(file)
    assert part.encoded == ()
    (failure,) = part.failures
    assert re.search(r"its path .* is not below .*/data; put the images there", failure.message)


@pytest.mark.parametrize(
    ("column", "stored"),
    [
        (pa.array([[[1, 2]]], pa.list_(pa.list_(pa.uint8()))), "list<.*list<.*uint8"),
        (pa.array([[1.5]]), "list<.*double"),
        (pa.array([{"width": 3}]), "struct<width"),
        (pa.array([["a.jpg"]]), "list<.*string"),
    ],
    ids=["pixels", "numbers", "another struct", "list of text"],
)
def test_what_holds_no_images_is_refused_by_its_type(
    tmp_path: pathlib.Path, column: pa.Array, stored: str
) -> None:
    file = make_file(tmp_path / "x.parquet", pa.table({"image": column}))
    with pytest.raises(InputError, match=f"'image' .* is {stored}.*; wanted encoded images"):
        peek_parquet_schema(file.uri, None, None, [])


@pytest.mark.parametrize("is_list", [False, True], ids=["list of bytes", "list of images"])
def test_a_large_row_group_of_lists_is_not_held_in_memory(
    tmp_path: pathlib.Path, is_list: bool
) -> None:
    path = tmp_path / "x.parquet"
    if is_list:
        column = pa.array([[b"x" * 25_000] * 10] * 400, pa.list_(pa.binary()))
    else:
        values = pa.array(np.zeros(100_000_000, np.uint8))
        column = pa.ListArray.from_arrays(pa.array(range(0, 100_000_001, 250_000)), values)
    options = {"compression": "none", "use_dictionary": False, "write_batch_size": 4}
    pq.write_table(pa.table({"image": column}), path, row_group_size=400, **options)
    assert pq.ParquetFile(path).metadata.row_group(0).total_byte_size > 99_000_000
    del column
    file = InputFile(ShardKind.PARQUET, str(path), str(tmp_path), path.stat().st_size)
    before, peak, images = pa.total_allocated_bytes(), 0, 0
    for part in read_parquet(file, FileColumns(None, "uri", pa.schema([])), 8, 10**6):
        peak = max(peak, pa.total_allocated_bytes() - before)
        images += part.rows.num_rows
        assert part.rows.num_rows <= 8
    assert images == (4000 if is_list else 400)
    assert peak < 30_000_000
