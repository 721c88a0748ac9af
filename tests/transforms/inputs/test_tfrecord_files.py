import gzip
import hashlib
import io
import pathlib

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.errors import InputError
from transforms.failure import Step
from transforms.files.tf_examples import BYTES, FLOATS, INTEGERS, encode_examples
from transforms.files.tf_record import write_record
from transforms.inputs.columns import FileColumns
from transforms.inputs.part import ReadPart
from transforms.inputs.tfrecord_files import peek_example_schema, read_tfrecord
from transforms.records import InputFile, ShardKind
from transforms.schemas import read_schema

NOTHING = pa.schema([])
COLUMNS = FileColumns(None, None, NOTHING)


def example(
    image: list[bytes] | None, filename: str | bytes | None = None, **features: list[object]
) -> bytes:
    columns: dict[str, list] = {name: [values] for name, values in features.items()}
    if image is not None:
        columns["image/encoded"] = [image]
    if filename is not None:
        columns["image/filename"] = [filename]
    return encode_examples(pa.record_batch(columns))[0]


def make_file(path: pathlib.Path, records: list[bytes]) -> InputFile:
    stream = io.BytesIO()
    for record in records:
        write_record(stream, record)
    content = stream.getvalue()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return input_file(path)


def input_file(path: pathlib.Path) -> InputFile:
    return InputFile(ShardKind.TFRECORD, str(path), str(path.parent), path.stat().st_size)


def read(
    file: InputFile, columns: FileColumns = COLUMNS, batch_size: int = 3, max_bytes: int = 100
) -> list[ReadPart]:
    return list(read_tfrecord(file, columns, batch_size, max_bytes))


def ids(parts: list[ReadPart]) -> list[str]:
    return [image_id for part in parts for image_id in part.rows["image_id"].to_pylist()]


@pytest.mark.parametrize("name", ["x.tfrecord", "x.tfrecord.gz"])
def test_records_become_batches_in_order(tmp_path: pathlib.Path, name: str) -> None:
    records = [example([b"image %d" % n], f"{n}.jpg", size=[n, n]) for n in range(7)]
    file = make_file(tmp_path / name, records)
    carried = peek_example_schema(file.uri, None, None, ["size"])
    assert carried == pa.schema([("size", INTEGERS)])
    parts = read(file, FileColumns(None, None, carried))
    assert [part.rows.num_rows for part in parts] == [3, 3, 1]
    assert all(part.rows.schema == read_schema(carried) for part in parts)
    assert [content for part in parts for content in part.encoded] == [
        b"image %d" % n for n in range(7)
    ]
    assert parts[2].rows.to_pylist() == [
        {
            "image_id": "6.jpg",
            "uri": f"{file.uri}#6",
            "content_sha256": hashlib.sha256(b"image 6").hexdigest(),
            "size": [6, 6],
        }
    ]


@pytest.mark.parametrize(
    ("image_id_from", "expected"),
    [
        (None, ["a.jpg", "{uri}#1", "{uri}#2", "{uri}#3"]),
        ("uri", ["{uri}#0", "{uri}#1", "{uri}#2", "{uri}#3"]),
        ("relative_path", ["d/x.record#0", "d/x.record#1", "d/x.record#2", "d/x.record#3"]),
        ("filename", ["x.record#0", "x.record#1", "x.record#2", "x.record#3"]),
        ("key", ["k0", "k1"]),
    ],
)
def test_an_image_id_comes_from_a_feature_or_the_name(
    tmp_path: pathlib.Path, image_id_from: str | None, expected: list[str]
) -> None:
    records = [
        example([b""], "a.jpg", key=["k0"]),
        example([b""], "", key=["k1"]),
        example([b""], b"\xff", key=[b"\xff"]),
        example([b""], key=["two", "names"]),
    ]
    (tmp_path / "d").mkdir()
    path = make_file(tmp_path / "d" / "x.record", records).uri
    file = InputFile(ShardKind.TFRECORD, path, str(tmp_path), 1)
    (part,) = read(file, FileColumns(None, image_id_from, NOTHING), batch_size=9)
    assert part.rows["image_id"].to_pylist() == [it.format(uri=path) for it in expected]
    assert [failure.uri for failure in part.failures] == [
        f"{path}#{n}" for n in range(len(expected), 4)
    ]
    assert all("'key'" in failure.message for failure in part.failures)


def test_names_that_are_numbers_are_no_ids_and_in_nobodys_way(tmp_path: pathlib.Path) -> None:
    columns = {"image/encoded": [[b"x"]] * 2, "image/filename": [[0], [1]]}
    records = encode_examples(pa.record_batch(columns))
    file = make_file(tmp_path / "x.tfrecord", records)
    with pytest.raises(InputError, match=r"image/filename is .*; add --image_id_from uri"):
        peek_example_schema(file.uri, None, None, [])
    assert peek_example_schema(file.uri, None, "uri", []) == NOTHING
    (part,) = read(file, FileColumns(None, "uri", NOTHING))
    assert part.rows["image_id"].to_pylist() == [f"{file.uri}#0", f"{file.uri}#1"]
    carried = peek_example_schema(file.uri, None, "uri", ["image/filename"])
    assert carried is not None
    (part,) = read(file, FileColumns(None, "uri", carried))
    assert part.rows["image/filename"].to_pylist() == [[0], [1]]


@pytest.mark.parametrize("batch_size", [1, 2, 10, 100])
def test_good_and_bad_records_are_all_accounted_for(
    tmp_path: pathlib.Path, batch_size: int
) -> None:
    bad = {
        1: (b"\xff garbage", "CorruptRecord", "no tf.Example"),
        3: (example(None, "3.jpg", a=[1]), "CorruptRecord", "has 0 values, wanted one image"),
        4: (example([b"x", b"y"], "4.jpg"), "CorruptRecord", "has 2 values"),
        6: (example([b"x" * 101], "6.jpg"), "FileTooLarge", "101 bytes, more than --max_image"),
        9: (example([], "9.jpg"), "CorruptRecord", "has 0 values"),
    }
    records = [bad[n][0] if n in bad else example([b"%d" % n], f"{n}.jpg") for n in range(10)]
    file = make_file(tmp_path / "x.tfrecord", records)
    parts = read(file, batch_size=batch_size)
    assert [part.rows.num_rows + len(part.failures) for part in parts] == [
        len(records[start : start + batch_size]) for start in range(0, 10, batch_size)
    ]
    assert ids(parts) == [f"{n}.jpg" for n in range(10) if n not in bad]
    failures = [failure for part in parts for failure in part.failures]
    assert [failure.uri for failure in failures] == [f"{file.uri}#{n}" for n in bad]
    offset = 0
    offsets = [offset := offset + len(record) + 16 for record in records]
    for failure, (n, (_, error_type, message)) in zip(failures, bad.items(), strict=True):
        assert failure.step is Step.READ
        assert failure.image_id == (f"{file.uri}#1" if n == 1 else f"{n}.jpg")
        assert failure.error_type == error_type
        assert message in failure.message
        assert failure.message.startswith(f"record {n} at byte {offsets[n - 1]}: ")


def test_a_cut_file_keeps_every_record_before_the_cut(tmp_path: pathlib.Path) -> None:
    records = [example([b"x" * 50], f"{n}.jpg") for n in range(10)]
    whole = make_file(tmp_path / "x.tfrecord", records)
    path = tmp_path / "x.tfrecord"
    path.write_bytes(path.read_bytes()[:-20])
    parts = read(whole)
    assert ids(parts) == [f"{n}.jpg" for n in range(9)]
    (failure,) = [failure for part in parts for failure in part.failures]
    assert failure.uri == f"{path}#9"
    assert failure.error_type == "TruncatedFile"
    start = sum(len(record) + 16 for record in records[:9])
    assert failure.message.startswith(f"record 9 at byte {start}: the file ends inside")
    assert failure.message.endswith("the rest of the file is lost")


def test_a_file_that_is_not_there_is_one_failure(tmp_path: pathlib.Path) -> None:
    uri = f"{tmp_path}/x.tfrecord"
    (part,) = read(InputFile(ShardKind.TFRECORD, uri, str(tmp_path), 0))
    assert part.rows.num_rows == 0
    (failure,) = part.failures
    assert (failure.image_id, failure.uri, failure.error_type) == (uri, uri, "NotFound")


def test_an_empty_file_has_no_parts(tmp_path: pathlib.Path) -> None:
    assert read(make_file(tmp_path / "x.tfrecord", [])) == []


def test_a_peek_finds_features_past_the_first_records(tmp_path: pathlib.Path) -> None:
    records = [b"\xff garbage", example([b"x"]), example([b"x"], a=[1.5], b=[b"x"], c=[3])]
    file = make_file(tmp_path / "x.tfrecord", records)
    assert peek_example_schema(file.uri, None, "b", ["c", "a", "b"]) == pa.schema(
        [("c", INTEGERS), ("a", FLOATS), ("b", BYTES)]
    )


@pytest.mark.parametrize(
    ("image_key", "id_from", "carry", "complaint"),
    [
        ("image", None, [], "no value for image; they have a, image/encoded"),
        (None, None, ["b", "c"], "no value for b, c"),
        ("a", None, [], "--image_key=a is list<item: int64>; wanted a feature of bytes"),
        (None, "a", [], "--image_id_from=a is list<item: int64>"),
    ],
)
def test_a_feature_that_is_not_there_is_refused_at_launch(
    tmp_path: pathlib.Path,
    image_key: str | None,
    id_from: str | None,
    carry: list[str],
    complaint: str,
) -> None:
    file = make_file(tmp_path / "x.tfrecord", [example([b"x"], a=[1])])
    with pytest.raises(InputError, match=complaint) as caught:
        peek_example_schema(file.uri, image_key, id_from, carry)
    assert file.uri in str(caught.value)


def test_a_peek_at_a_file_without_readable_records_tells_nothing(tmp_path: pathlib.Path) -> None:
    uri = make_file(tmp_path / "x.tfrecord", []).uri
    (tmp_path / "y.tfrecord").write_bytes(b"no TFRecord at all")
    for unreadable in (uri, f"{tmp_path}/y.tfrecord", f"{tmp_path}/absent.tfrecord"):
        assert peek_example_schema(unreadable, None, None, ["a"]) is None


@settings(derandomize=True, max_examples=80, deadline=None)
@given(position=st.integers(0, 2000), mask=st.integers(0, 255), batch_size=st.integers(1, 7))
def test_damage_anywhere_costs_at_most_what_comes_after_it(
    tmp_path_factory: pytest.TempPathFactory, position: int, mask: int, batch_size: int
) -> None:
    """A mask of 0 cuts the file at the position; any other flips bits there."""
    records = [example([b"x" * n * 10], f"{n}.jpg", size=[n]) for n in range(6)]
    path = tmp_path_factory.getbasetemp() / "damaged.tfrecord"
    file = make_file(path, records)
    content = bytearray(path.read_bytes())
    position %= len(content)
    if mask:
        content[position] ^= mask
    else:
        del content[position:]
    path.write_bytes(content)
    parts = read(file, FileColumns(None, None, pa.schema([("size", INTEGERS)])), batch_size)
    found = ids(parts)
    ends = [sum(len(record) + 16 for record in records[: n + 1]) for n in range(6)]
    before = sum(end <= position for end in ends)
    assert found[:before] == [f"{n}.jpg" for n in range(before)]
    failures = [failure for part in parts for failure in part.failures]
    assert len(failures) == (0 if not mask and position in (0, *ends) else 1)
    assert len(found) in ({before} if not mask else {before, 5})


def test_a_real_file_reads_whole(shared_data: pathlib.Path) -> None:
    file = input_file(shared_data / "tfrecord" / "raccoon_test.record")
    carried = peek_example_schema(file.uri, None, None, ["image/width", "image/format"])
    parts = read(file, FileColumns(None, None, carried), batch_size=16, max_bytes=10**7)
    assert [part.rows.num_rows for part in parts] == [16, 16, 8]
    assert all(part.failures == () for part in parts)
    assert all(content[:2] == b"\xff\xd8" for part in parts for content in part.encoded)
    first = parts[0].rows.slice(0, 1).to_pylist()[0]
    assert first["image_id"] == "raccoon-129.jpg"
    assert (first["image/width"], first["image/format"]) == ([639], [b"jpg"])
