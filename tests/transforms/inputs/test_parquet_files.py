import hashlib
import io
import pathlib
import tracemalloc
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.errors import InputError
from transforms.failure import Step
from transforms.files.foreign_parquet import (
    BatchLimits,
    damage_reported,
    iter_full_batches,
    open_parquet,
)
from transforms.inputs.carried_types import unify_carried
from transforms.inputs.columns import FileColumns
from transforms.inputs.parquet_files import read_parquet
from transforms.inputs.parquet_footers import peek_parquet_schema
from transforms.inputs.part import ReadPart
from transforms.records import InputFile, ShardKind
from transforms.schemas import read_schema

NOTHING = pa.schema([])
COLUMNS = FileColumns(None, None, NOTHING)


def make_file(path: pathlib.Path, table: pa.Table, row_group_size: int = 4) -> InputFile:
    pq.write_table(table, path, row_group_size=row_group_size, compression="none")
    return InputFile(ShardKind.PARQUET, str(path), str(path.parent), path.stat().st_size)


def read(
    file: InputFile, columns: FileColumns = COLUMNS, batch_size: int = 3, max_bytes: int = 100
) -> list[ReadPart]:
    return list(read_parquet(file, columns, batch_size, max_bytes))


def ids(parts: list[ReadPart]) -> list[str]:
    return [image_id for part in parts for image_id in part.rows["image_id"].to_pylist()]


IMAGES = [b"image %d" % n for n in range(10)]


@pytest.mark.parametrize(
    "image",
    [
        pa.array(IMAGES, pa.binary()),
        pa.array(IMAGES, pa.large_binary()),
        pa.array(IMAGES, pa.binary(7)),
        pa.array([{"bytes": image} for image in IMAGES]),
    ],
    ids=lambda image: str(image.type),
)
def test_rows_become_full_batches_whatever_the_row_groups(
    tmp_path: pathlib.Path, image: pa.Array
) -> None:
    labels = pa.array([{"name": str(n)} for n in range(10)])
    sizes = pa.array([[n, n] for n in range(10)], pa.list_(pa.int16()))
    table = pa.table({"unused": ["x"] * 10, "size": sizes, "image": image, "label": labels})
    file = make_file(tmp_path / "x.parquet", table)
    carried = peek_parquet_schema(file.uri, None, None, ["label", "size"])
    assert carried is not None
    assert carried.types == [labels.type, pa.list_(pa.field("element", pa.int16()))]
    parts = read(file, FileColumns(None, None, carried), batch_size=6)
    assert [part.rows.num_rows for part in parts] == [6, 4]
    assert all(part.rows.schema == read_schema(carried) for part in parts)
    assert [content for part in parts for content in part.encoded] == IMAGES
    assert parts[1].rows.slice(3).to_pylist() == [
        {
            "image_id": f"{file.uri}#9",
            "uri": f"{file.uri}#9",
            "content_sha256": hashlib.sha256(b"image 9").hexdigest(),
            "label": {"name": "9"},
            "size": [9, 9],
        }
    ]


@pytest.mark.parametrize(
    ("image_id_from", "expected"),
    [
        (None, ["a.jpg", "{uri}#1", "{uri}#2"]),
        ("uri", ["{uri}#0", "{uri}#1", "{uri}#2"]),
        ("relative_path", ["d/x.parquet#0", "d/x.parquet#1", "d/x.parquet#2"]),
        ("filename", ["x.parquet#0", "x.parquet#1", "x.parquet#2"]),
        ("number", ["7", "8"]),
    ],
)
def test_an_image_id_comes_from_a_column_the_path_or_the_name(
    tmp_path: pathlib.Path, image_id_from: str | None, expected: list[str]
) -> None:
    images = [{"bytes": b"", "path": path} for path in ("a.jpg", None, "")]
    (tmp_path / "d").mkdir()
    table = pa.table({"image": images, "number": [7, 8, None]})
    path = make_file(tmp_path / "d" / "x.parquet", table).uri
    file = InputFile(ShardKind.PARQUET, path, str(tmp_path), 1)
    (part,) = read(file, FileColumns(None, image_id_from, NOTHING))
    assert part.rows["image_id"].to_pylist() == [it.format(uri=path) for it in expected]
    if image_id_from == "number":
        (failure,) = part.failures
        assert (failure.uri, failure.error_type) == (f"{path}#2", "CorruptRecord")
        assert "'number' (--image_id_from) is empty" in failure.message


def test_an_image_id_column_goes_before_the_path(tmp_path: pathlib.Path) -> None:
    images = [{"bytes": b"", "path": "a.jpg"}, {"bytes": b"", "path": "b.jpg"}]
    table = pa.table({"image": images, "image_id": ["one", None]})
    assert ids(read(make_file(tmp_path / "x.parquet", table))) == ["one", "b.jpg"]


@pytest.mark.parametrize("is_struct", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_good_and_bad_rows_are_all_accounted_for(
    tmp_path: pathlib.Path, batch_size: int, is_struct: bool
) -> None:
    cells = [b"0", None, b"2", b"x" * 101, b"", None, b"6"]
    image: list = [{"bytes": cell} for cell in cells] if is_struct else cells
    if is_struct:
        image[5] = None
    table = pa.table({"picture": image, "n": range(7)})
    file = make_file(tmp_path / "x.parquet", table)
    columns = FileColumns("picture", "n", pa.schema([("n", pa.int64())]))
    parts = read(file, columns, batch_size)
    assert [part.rows.num_rows + len(part.failures) for part in parts] == [
        len(cells[start : start + batch_size]) for start in range(0, 7, batch_size)
    ]
    assert [row["n"] for part in parts for row in part.rows.to_pylist()] == [0, 2, 4, 6]
    assert ids(parts) == ["0", "2", "4", "6"]
    assert [content for part in parts for content in part.encoded] == [b"0", b"2", b"", b"6"]
    failures = [failure for part in parts for failure in part.failures]
    assert all(failure.step is Step.READ for failure in failures)
    assert [(it.image_id, it.uri, it.error_type) for it in failures] == [
        ("1", f"{file.uri}#1", "CorruptRecord"),
        ("3", f"{file.uri}#3", "FileTooLarge"),
        ("5", f"{file.uri}#5", "CorruptRecord"),
    ]
    assert failures[0].message == "its column 'picture' is null"


def test_a_file_that_cannot_be_read_is_one_failure(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no footer")
    (tmp_path / "empty.parquet").write_bytes(b"")
    make_file(tmp_path / "other.parquet", pa.table({"picture": [b"x"]}))
    for name, error_type, message in [
        ("x.parquet", "TruncatedFile", "damaged Parquet"),
        ("empty.parquet", "TruncatedFile", "damaged Parquet"),
        ("absent.parquet", "NotFound", "no such file"),
        ("other.parquet", "CorruptRecord", "no column 'image' (--image_key)"),
    ]:
        uri = f"{tmp_path}/{name}"
        (part,) = read(InputFile(ShardKind.PARQUET, uri, str(tmp_path), 0))
        assert part.rows.num_rows == 0
        (failure,) = part.failures
        assert (failure.image_id, failure.uri, failure.error_type) == (uri, uri, error_type)
        assert message in failure.message


def overwrite(file: InputFile, row_group: int, content: bytes, *, column: int = 0) -> None:
    """Writes over the beginning of a row group's pages of a column."""
    pages = pq.ParquetFile(file.uri).metadata.row_group(row_group).column(column)
    with open(file.uri, "r+b") as handle:
        handle.seek(pages.dictionary_page_offset or pages.data_page_offset)
        handle.write(content)


@pytest.mark.parametrize("batch_size", [1, 3, 5, 12, 100])
def test_damage_costs_the_rows_of_its_row_group(tmp_path: pathlib.Path, batch_size: int) -> None:
    images = [b"image %d" % n * 9 for n in range(20)]
    table = pa.table({"image": images, "n": range(20)})
    file = make_file(tmp_path / "x.parquet", table, row_group_size=5)
    overwrite(file, 2, b"\xff" * 30)
    parts = read(file, batch_size=batch_size)
    assert [content for part in parts for content in part.encoded] == images[:10] + images[15:]
    failures = [failure for part in parts for failure in part.failures]
    assert [failure.uri for failure in failures] == [f"{file.uri}#{n}" for n in range(10, 15)]
    assert all(failure.message.startswith("damaged Parquet") for failure in failures)
    assert ids(parts) == [f"{file.uri}#{n}" for n in (*range(10), *range(15, 20))]


def test_rows_before_the_damage_are_kept_in_its_row_group(tmp_path: pathlib.Path) -> None:
    images = [b"image %d" % n * 9 for n in range(20)]
    path = tmp_path / "x.parquet"
    options = {"compression": "none", "use_dictionary": False, "write_batch_size": 4}
    pq.write_table(
        pa.table({"image": images}), path, data_page_size=1, row_group_size=12, **options
    )
    content = path.read_bytes().replace(b"image 8image", b"IMAGE 8image")
    start = content.index(b"IMAGE 8") - 40  # A page of rows 8 to 11 begins here or a little later.
    path.write_bytes(content[:start] + b"\xff" * 40 + content[start + 40 :])
    file = InputFile(ShardKind.PARQUET, str(path), str(tmp_path), path.stat().st_size)
    parts = read(file, batch_size=2)
    found = [content for part in parts for content in part.encoded]
    assert found == images[: len(found) - 8] + images[12:]
    assert 4 <= len(found) - 8 <= 8
    assert len(found) + sum(len(part.failures) for part in parts) == 20


def test_pages_are_held_against_their_checksums(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.parquet"
    table = pa.table(
        {"image": [b"image %d" % n for n in range(8)], "label": ["ant", "cow", "dog", "eel"] * 2}
    )
    options = {"compression": "none", "use_dictionary": False, "write_page_checksum": True}
    pq.write_table(table, path, row_group_size=4, **options)
    place = path.read_bytes().index(b"cow")
    with open(path, "r+b") as handle:
        handle.seek(place)
        handle.write(b"sow")
    file = InputFile(ShardKind.PARQUET, str(path), str(tmp_path), path.stat().st_size)
    parts = read(file, FileColumns(None, None, pa.schema([("label", pa.string())])))
    assert ids(parts) == [f"{file.uri}#{n}" for n in range(4, 8)]
    failures = [failure for part in parts for failure in part.failures]
    assert len(failures) == 4
    assert "CRC checksum verification failed" in failures[0].message


@pytest.mark.parametrize("names_type", [pa.binary(), pa.string()])
def test_an_id_that_is_not_utf8_costs_no_other_row(
    tmp_path: pathlib.Path, names_type: pa.DataType
) -> None:
    names = pa.array([b"a", b"caf\xe9", b"c", "é".encode()])
    names = pa.Array.from_buffers(names_type, 4, names.buffers())
    file = make_file(tmp_path / "x.parquet", pa.table({"image": IMAGES[:4], "image_id": names}))
    assert ids(read(file)) == ["a", f"{file.uri}#1", "c", "é"]
    parts = read(file, FileColumns(None, "image_id", NOTHING))
    assert ids(parts) == ["a", "c", "é"]
    assert ["not UTF-8" in failure.message for part in parts for failure in part.failures] == [True]


def test_views_of_text_are_carried_also_past_a_bad_row(tmp_path: pathlib.Path) -> None:
    labels = pa.array(["a", "b", None], pa.string_view())
    file = make_file(tmp_path / "x.parquet", pa.table({"image": [b"1", None, b"3"], "n": labels}))
    stored = peek_parquet_schema(file.uri, None, None, ["n"])
    assert stored is not None
    (part,) = read(file, FileColumns(None, None, unify_carried({file.uri: stored})))
    assert part.rows["n"].to_pylist() == ["a", None]
    assert len(part.failures) == 1


def test_a_file_with_another_type_in_a_carried_column_is_cast_or_one_failure(
    tmp_path: pathlib.Path,
) -> None:
    columns = FileColumns(None, None, pa.schema([("n", pa.int64())]))
    small = make_file(tmp_path / "a.parquet", pa.table({"image": [b"x"], "n": pa.array([3], "i2")}))
    (part,) = read(small, columns)
    assert part.rows.to_pylist()[0]["n"] == 3
    text = make_file(tmp_path / "b.parquet", pa.table({"image": [b"x"], "n": ["three"]}))
    (part,) = read(text, columns)
    assert (part.rows.num_rows, len(part.failures)) == (0, 1)
    assert "three" in part.failures[0].message


def test_a_storage_failure_propagates(tmp_path: pathlib.Path) -> None:
    make_file(tmp_path / "x.parquet", pa.table({"image": [b"x"]}))

    class FailingStream(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise ConnectionResetError("the line is down")

    with (
        FailingStream(tmp_path / "x.parquet") as stream,
        pytest.raises(ConnectionResetError),
        damage_reported(),
    ):
        open_parquet(stream)


@pytest.mark.parametrize(
    "images",
    [["a.jpg"], pa.array(["a.jpg"]).dictionary_encode(), pa.array(["a.jpg"], pa.string_view())],
    ids=["text", "dictionary", "view"],
)
def test_paths_are_told_from_images(tmp_path: pathlib.Path, images: pa.Array) -> None:
    pq.write_table(pa.table({"image": images}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"is .*string.*; wanted images, as binary; .*--manifest"):
        peek_parquet_schema(str(tmp_path / "x.parquet"), None, None, [])


@pytest.mark.parametrize(
    ("image_key", "id_from", "carry", "complaint"),
    [
        ("picture", None, [], r"no column 'picture' \(--image_key\).* it has image, n, s"),
        ("n", None, [], r"'n' \(--image_key\) is int64; wanted encoded images: binary"),
        ("s", None, [], r"'s' \(--image_key\) is struct"),
        (None, "key", [], r"no column 'key' \(--image_id_from\)"),
        (None, None, ["n", "m"], r"no column 'm' \(--carry_columns\)"),
    ],
)
def test_a_column_that_is_not_there_is_refused_at_launch(
    tmp_path: pathlib.Path,
    image_key: str | None,
    id_from: str | None,
    carry: list[str],
    complaint: str,
) -> None:
    table = pa.table({"image": [b"x"], "n": [1], "s": [{"data": b"x"}]})
    file = make_file(tmp_path / "x.parquet", table)
    with pytest.raises(InputError, match=complaint) as caught:
        peek_parquet_schema(file.uri, image_key, id_from, carry)
    assert file.uri in str(caught.value)


def test_a_large_row_group_is_not_held_in_memory(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.parquet"
    schema = pa.schema([("image", pa.binary())])
    options = {"compression": "none", "use_dictionary": False, "write_batch_size": 4}
    with pq.ParquetWriter(path, schema, **options) as writer:
        writer.write_table(pa.table({"image": [b"x" * 250_000] * 400}), row_group_size=400)
    file = InputFile(ShardKind.PARQUET, str(path), str(tmp_path), path.stat().st_size)
    assert pq.ParquetFile(path).metadata.row_group(0).total_byte_size > 100_000_000
    tracemalloc.start()
    rows = sum(part.rows.num_rows for part in read_parquet(file, COLUMNS, 8, 10**6))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 400
    assert peak_bytes < 20_000_000  # Of 100,000,000 in the file.


def test_a_dictionary_that_stands_for_many_large_images_costs_no_more_than_a_batch(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "x.parquet"
    images = pa.array([bytes(4_000_000)], pa.binary())
    table = pa.table({"image": pa.DictionaryArray.from_arrays([0] * 200, images)})
    pq.write_table(table.cast(pa.schema([("image", pa.binary())])), path, compression="zstd")
    assert path.stat().st_size < 10_000
    limits = BatchLimits(256, 24_000_000)
    with open(path, "rb") as handle:
        batches = iter_full_batches(open_parquet(handle), limits, ["image"], [0])
        sizes = [(batch.num_rows, batch.nbytes) for batch in batches]
    assert sum(rows for rows, _ in sizes) == 200
    assert max(size_bytes for _, size_bytes in sizes) < 30_000_000
    file = InputFile(ShardKind.PARQUET, str(path), str(tmp_path), path.stat().st_size)
    assert sum(part.rows.num_rows for part in read_parquet(file, COLUMNS, 256, 10**7)) == 200


@pytest.mark.parametrize("ordered", [False, True])
def test_a_large_dictionary_beside_the_images_makes_no_small_batches(
    tmp_path: pathlib.Path, ordered: bool
) -> None:
    values = pa.array([f"{n:03d}" + "x" * 1000 for n in range(300)])
    places = pa.array([None, *reversed(range(299))], pa.int32())
    labels = pa.DictionaryArray.from_arrays(places, values, ordered=ordered)
    table = pa.table({"image": [b"image"] * 300, "label": labels})
    pq.write_table(table, tmp_path / "x.parquet")
    limits = BatchLimits(100, 200_000)
    with open(tmp_path / "x.parquet", "rb") as handle:
        batches = list(iter_full_batches(open_parquet(handle), limits, ["image", "label"], [0]))
    assert [batch.num_rows for batch in batches] == [100, 100, 100]
    assert pa.Table.from_batches(batches).to_pylist() == table.to_pylist()
    assert {batch.schema.field("label").type for batch in batches} == {labels.type}
    # The order of values has a meaning, and so have their numbers.
    assert all(batch["label"].dictionary.equals(values) for batch in batches)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(position=st.integers(0, 5000), mask=st.integers(0, 255))
def test_damage_anywhere_never_raises(
    tmp_path_factory: pytest.TempPathFactory, position: int, mask: int
) -> None:
    """A mask of 0 cuts the file at the position; any other flips bits there."""
    path = tmp_path_factory.getbasetemp() / "damaged.parquet"
    table = pa.table({"image": [b"%d" % n * 9 for n in range(12)], "n": range(12)})
    file = make_file(path, table)
    content = bytearray(path.read_bytes())
    position %= len(content)
    if mask:
        content[position] ^= mask
    else:
        del content[position:]
    path.write_bytes(content)
    parts = read(file, FileColumns(None, None, pa.schema([("n", pa.int64())])))
    for part in parts:
        assert part.rows.num_rows == len(part.encoded)
    assert sum(part.rows.num_rows + len(part.failures) for part in parts) > 0 or mask


def test_rows_that_hold_a_path_and_no_bytes_say_so(tmp_path: pathlib.Path) -> None:
    images = pa.array([{"bytes": None, "path": "/a.jpg"}, {"bytes": b"1", "path": "/b.jpg"}])
    (part,) = read(make_file(tmp_path / "x.parquet", pa.table({"image": images})))
    assert ids([part]) == ["/b.jpg"]
    message = part.failures[0].message
    assert f"holds no bytes, and its path '/a.jpg' is not below {tmp_path}; put" in message


@pytest.mark.parametrize(
    "id_column",
    [
        pa.array([[1]]),
        pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.int8(), [2]), pa.array([[1, 2]], pa.list_(pa.int8(), 2))
        ),
    ],
    ids=["list", "tensor"],
)
def test_ids_that_are_lists_are_refused_at_launch_unless_they_are_not_used(
    tmp_path: pathlib.Path, id_column: pa.Array
) -> None:
    table = pa.table({"image": pa.array([b"1"], pa.binary()), "image_id": id_column})
    file = make_file(tmp_path / "x.parquet", table)
    for image_id_from in (None, "image_id"):
        with pytest.raises(InputError, match=r"'image_id' is .*(list|tensor).*; wanted a string"):
            peek_parquet_schema(file.uri, None, image_id_from, [])
    assert peek_parquet_schema(file.uri, None, "uri", []) == NOTHING
    assert ids(read(file, FileColumns(None, "uri", NOTHING))) == [f"{file.uri}#0"]


@pytest.mark.parametrize("with_arrow_schema", [False, True], ids=["as DuckDB writes", "as Arrow"])
def test_ids_may_be_uuids(tmp_path: pathlib.Path, with_arrow_schema: bool) -> None:
    keys = [uuid.UUID(int=n) for n in range(3)]
    table = pa.table({"image": IMAGES[:4], "image_id": pa.array([*keys, None], pa.uuid())})
    path = tmp_path / "x.parquet"
    pq.write_table(table, path, store_schema=with_arrow_schema)
    file = InputFile(ShardKind.PARQUET, str(path), str(path.parent), path.stat().st_size)
    assert peek_parquet_schema(file.uri, None, "image_id", []) == NOTHING
    assert ids(read(file)) == [*map(str, keys), f"{path}#3"]
    named = read(file, FileColumns(None, "image_id", NOTHING))
    assert ids(named) == [str(key) for key in keys]
    assert [len(part.failures) for part in named] == [0, 1]
