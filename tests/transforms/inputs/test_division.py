"""Large files in spans: together they are the file, whatever is wrong with it."""

import dataclasses
import gzip
import os
import pathlib
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.cloud import Cloud
from tests.support.runs import solid
from tests.support.tars import write_tar
from tests.support.zips import write_zip
from transforms.failure import TRUNCATED, Failure
from transforms.files.tf_examples import encode_examples
from transforms.files.tf_record import write_record
from transforms.inputs.columns import FileColumns
from transforms.inputs.division import SpanLimits, divide, expected_shards, is_large
from transforms.inputs.kinds import FILE_KINDS, kind_of_name
from transforms.records import InputFile
from transforms.span import Span

IMAGES = 23
COLUMNS = FileColumns(None, None, pa.schema([]))
FIVE = SpanLimits(images=5, size_bytes=1 << 40)
KINDS = ["a.tfrecord", "a.parquet", "a.tar", "a.zip"]


def write(path: pathlib.Path, count: int = IMAGES) -> pathlib.Path:
    """Writes images by the kind that the name says; a Parquet file has row groups of three."""
    images = [solid(9 * n, 255 - n, n) for n in range(count)]
    if path.suffix == ".tar":
        members = {"__meta__/info.json": b"{}"}
        for n, image in enumerate(images):
            folder = f"{'long' * 40}/{n:03}"  # Such a name takes a header of its own.
            members |= {f"{folder}.cls": b"1", f"{folder}.png": image}
        write_tar(path, members)
    elif path.suffix == ".zip":
        write_zip(path, {f"{n:03}.png": image for n, image in enumerate(images)})
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({"image": images}), path, row_group_size=3)
    else:
        rows = pa.RecordBatch.from_pydict({"image/encoded": images})
        with path.open("wb") as handle:
            for example in encode_examples(rows):
                write_record(handle, example)
    return path


def listed(path: pathlib.Path) -> InputFile:
    status = path.stat()
    version = str(status.st_mtime_ns)
    kind = kind_of_name(path.name)
    return InputFile(kind, str(path), str(path.parent), status.st_size, version)


def read(file: InputFile) -> tuple[list[tuple[str, str, bytes]], list[Failure]]:
    """Reads a file, or a span of one: id, uri and bytes of each image, and the failures."""
    parts = list(FILE_KINDS[file.kind].read(file, COLUMNS, 4, 1 << 20))
    images = [
        (row["image_id"], row["uri"], encoded)
        for part in parts
        for row, encoded in zip(part.rows.to_pylist(), part.encoded, strict=True)
    ]
    return images, [failure for part in parts for failure in part.failures]


def read_all(files: list[InputFile]) -> tuple[list[tuple[str, str, bytes]], list[Failure]]:
    found = list(map(read, files))
    images = [image for each, _ in found for image in each]
    return images, [failure for _, each in found for failure in each]


def spans_of(files: list[InputFile]) -> list[Span]:
    return [file.span for file in files if file.span is not None]


@pytest.mark.parametrize("name", KINDS)
def test_spans_are_together_the_file(tmp_path: pathlib.Path, name: str) -> None:
    file = listed(write(tmp_path / name))
    spans = divide(file, FIVE)
    size = 6 if name == "a.parquet" else 5
    assert [span.first_image for span in spans_of(spans)] == list(range(0, IMAGES, size))
    assert [span.images for span in spans_of(spans)] == [size] * (len(spans) - 1) + [None]
    assert read_all(spans) == read(file)
    images, failures = read(spans[1])
    assert (len(images), failures) == (size, [])
    assert images[0][1] == f"{file.uri}#{size}"
    assert divide(file, FIVE) == spans


def test_images_of_no_name_are_called_by_their_place_in_the_file(tmp_path: pathlib.Path) -> None:
    spans = divide(listed(write(tmp_path / "a.tfrecord")), FIVE)
    ids = [image_id for image_id, _, _ in read_all(spans)[0]]
    assert ids == [f"{tmp_path}/a.tfrecord#{n}" for n in range(IMAGES)]


@pytest.mark.parametrize("name", KINDS)
def test_a_file_in_a_bucket_is_divided_alike(
    tmp_path: pathlib.Path, cloud: Cloud, name: str
) -> None:
    path = write(tmp_path / name)
    local = divide(listed(path), FIVE)
    uri = cloud.put(name, path.read_bytes())
    stored = dataclasses.replace(listed(path), uri=uri, version=None)
    cloud.requests.clear()
    spans = divide(stored, FIVE)
    assert len(cloud.requests) <= 4  # None an image.
    assert spans_of(spans) == spans_of(local)
    images, failures = read_all(spans)
    assert ([encoded for _, _, encoded in images], failures) == (
        [encoded for _, _, encoded in read_all(local)[0]],
        [],
    )
    assert [image_uri for _, image_uri, _ in images] == [f"{uri}#{n}" for n in range(IMAGES)]


@pytest.mark.parametrize("name", ["a.tfrecord", "a.tar"])
def test_a_file_that_the_disk_does_not_give_is_one_failure(
    tmp_path: pathlib.Path, name: str
) -> None:
    """Reading this process's memory at 0 is an input/output error, as of a failing disk."""
    (tmp_path / name).symlink_to("/proc/self/mem")
    images, (failure,) = read(InputFile(kind_of_name(name), str(tmp_path / name), "", 10_000))
    assert images == []
    assert failure.reason == "read/InterruptedFile"
    assert "input/output error" in failure.message


@pytest.mark.parametrize("name", KINDS)
def test_spans_are_of_the_file_that_was_divided(tmp_path: pathlib.Path, name: str) -> None:
    file = listed(write(tmp_path / name))
    spans = divide(file, FIVE)
    os.utime(write(tmp_path / name), ns=(0, int(file.version or 0) + 10_000_000))
    assert len(read(file)[0]) == IMAGES
    for span in spans:
        images, (failure,) = read(span)
        assert images == []
        assert failure.reason == "read/InterruptedFile"
        assert "it was replaced after it was listed" in failure.message


@pytest.mark.parametrize("name", ["a.tfrecord", "a.tar"])
def test_only_the_last_span_has_what_is_wrong_with_the_end(
    tmp_path: pathlib.Path, name: str
) -> None:
    path = write(tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    file = listed(path)
    spans = divide(file, FIVE)
    assert len(spans) == 4
    *before, last = map(read, spans)
    assert [failures for _, failures in before] == [[]] * 3
    assert [failure.reason for failure in last[1]][-1:] == [TRUNCATED]
    assert read_all(spans) == read(file)


@pytest.mark.parametrize("name", ["a.tfrecord", "a.tar"])
def test_damage_in_the_middle_ends_the_file_in_its_last_span(
    tmp_path: pathlib.Path, name: str
) -> None:
    path = write(tmp_path / name)
    content = bytearray(path.read_bytes())
    middle = divide(listed(path), FIVE)[2].span
    assert middle is not None
    content[middle.start : middle.start + 12] = b"\xff" * 12
    path.write_bytes(content)
    file = listed(path)
    spans = divide(file, FIVE)
    assert [span.first_image for span in spans_of(spans)] == [0, 5]
    assert read_all(spans) == read(file)
    assert [failure.reason for failure in read(spans[1])[1]] == [TRUNCATED]


@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_has_changed_since_loses_the_rest_of_a_span_and_says_so(
    tmp_path: pathlib.Path, name: str
) -> None:
    file = dataclasses.replace(listed(write(tmp_path / name)), version=None)
    spans = divide(file, FIVE)
    write(tmp_path / name, 8)
    for span in spans[1:-1]:
        images, failures = read(span)
        assert len(images) < 5
        assert [failure.reason for failure in failures] == [TRUNCATED]


def test_a_member_that_claims_more_than_the_file_has_is_not_sought(tmp_path: pathlib.Path) -> None:
    path = write(tmp_path / "a.tar")
    member = tarfile.TarInfo("999.png")
    member.size = 1 << 60
    whole = path.read_bytes().rstrip(b"\0")
    path.write_bytes(whole + bytes(-len(whole) % 512) + member.tobuf(tarfile.PAX_FORMAT) + b"cut")
    file = listed(path)
    spans = divide(file, FIVE)
    assert read_all(spans) == read(file)
    assert read(spans[-1])[1][-1].reason == TRUNCATED


@pytest.mark.parametrize(
    "name", ["a.tfrecord.gz", "a.tar.gz", "a.tar.zst", "one_group.parquet", "b.tfrecord"]
)
def test_what_cannot_be_cut_stays_whole(tmp_path: pathlib.Path, name: str) -> None:
    path = tmp_path / name
    if name == "one_group.parquet":
        pq.write_table(pa.table({"image": [solid(1, n, 3) for n in range(IMAGES)]}), path)
    elif name == "b.tfrecord":
        path.write_bytes(b"no record at all")
    else:
        plain = write(tmp_path / name.removesuffix(".gz"))
        path.write_bytes(gzip.compress(plain.read_bytes()))
    file = listed(path)
    assert divide(file, FIVE) == [file]


def test_files_are_large_by_their_bytes_or_by_the_images_that_their_beginning_tells(
    tmp_path: pathlib.Path,
) -> None:
    images = [solid(1, 2, n) + bytes(600_000) for n in range(120)]
    with (tmp_path / "a.tfrecord").open("wb") as handle:
        for example in encode_examples(pa.RecordBatch.from_pydict({"image/encoded": images})):
            write_record(handle, example)
    file = listed(tmp_path / "a.tfrecord")
    small = listed(write(tmp_path / "small.tfrecord"))
    lone = SpanLimits.of_run(10_000, file.size_bytes)
    assert (lone.size_bytes, is_large(file, COLUMNS, lone)) == (32 << 20, True)
    assert not is_large(small, COLUMNS, lone)
    assert [span.images for span in spans_of(divide(file, lone))] == [56, 56, None]
    among_many = SpanLimits.of_run(10_000, 1 << 40)
    assert not is_large(file, COLUMNS, among_many)
    assert is_large(file, COLUMNS, SpanLimits.of_run(60, 1 << 40))
    expected = [expected_shards(f, 120, lone) for f in (small, file)]
    assert expected == [1, 3]
    assert expected_shards(file, 120, among_many) == 1
