import hashlib
import os
import pathlib
import sys
from collections.abc import Iterator

import pyarrow as pa
import pytest

from tests.support.remote import OBJECTS
from transforms.errors import FileTooLargeError
from transforms.failure import Step
from transforms.files.uris import is_in_memory, read_within
from transforms.inputs.columns import FileColumns
from transforms.inputs.image_files import ImageFiles
from transforms.inputs.part import BATCH_BYTES, ReadPart
from transforms.records import ImageRef
from transforms.schemas import read_schema

CARRIED = pa.schema([("label", pa.string()), ("weight", pa.float64())])


@pytest.fixture
def image_files() -> Iterator[ImageFiles]:
    reader = ImageFiles(FileColumns(None, None, CARRIED), max_image_bytes=10)
    yield reader
    reader.close()


def failures_of(part: ReadPart) -> list[tuple[str, str]]:
    assert all(failure.step is Step.READ for failure in part.failures)
    return [(failure.image_id, failure.error_type) for failure in part.failures]


def test_a_batch_keeps_its_order_and_its_carried_columns(
    tmp_path: pathlib.Path, image_files: ImageFiles
) -> None:
    contents = [b"0123456789"[: n % 11] for n in range(40)]
    refs = []
    for n, content in enumerate(contents):
        path = tmp_path / f"{n}.gz"  # Bytes come as they are stored, whatever the name says.
        path.write_bytes(content)
        refs.append(ImageRef(f"id-{n}", str(path), carried=(f"label-{n}", n / 2)))
    part = image_files.read(refs)
    assert part.failures == ()
    assert part.encoded == tuple(contents)
    assert part.rows.schema == read_schema(CARRIED)
    assert part.rows.to_pylist() == [
        {
            "image_id": f"id-{n}",
            "uri": str(tmp_path / f"{n}.gz"),
            "content_sha256": hashlib.sha256(content).hexdigest(),
            "label": f"label-{n}",
            "weight": n / 2,
        }
        for n, content in enumerate(contents)
    ]


def test_an_image_from_a_listing_has_null_carried_columns(
    tmp_path: pathlib.Path, image_files: ImageFiles
) -> None:
    (tmp_path / "x").write_bytes(b"")
    (row,) = image_files.read([ImageRef("x", str(tmp_path / "x"))]).rows.to_pylist()
    assert (row["label"], row["weight"]) == (None, None)


def test_every_input_that_cannot_be_read_is_a_failure_beside_the_rows(
    tmp_path: pathlib.Path, image_files: ImageFiles
) -> None:
    (tmp_path / "good").write_bytes(b"0123456789")
    (tmp_path / "large").write_bytes(b"0123456789!")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    names = ["absent", "good", "large", "folder", "broken", "loop", "pipe", "good/below", "n" * 300]
    refs = [ImageRef(name, str(tmp_path / name)) for name in names]
    refs.append(ImageRef("listed large", str(tmp_path / "good"), size_bytes=11))
    refs.append(ImageRef("scheme", "ftp://example.com/x.jpg"))
    refs.append(ImageRef("nul", "x\0y"))
    refs.append(ImageRef("last", str(tmp_path / "good"), size_bytes=10))
    part = image_files.read(refs)
    assert part.rows["image_id"].to_pylist() == ["good", "last"]
    assert part.encoded == (b"0123456789",) * 2
    assert failures_of(part) == [
        ("absent", "NotFound"),
        ("large", "FileTooLarge"),
        ("folder", "NotFound"),
        ("broken", "NotFound"),
        ("loop", "NotFound"),
        ("pipe", "NotFound"),
        ("good/below", "NotFound"),
        ("n" * 300, "NotFound"),
        ("listed large", "FileTooLarge"),
        ("scheme", "NotFound"),
        ("nul", "NotFound"),
    ]
    by_id = {failure.image_id: failure for failure in part.failures}
    assert by_id["absent"].message == f"{tmp_path}/absent: no such file or directory"
    assert by_id["absent"].uri == f"{tmp_path}/absent"
    assert "--max_image_bytes=10" in by_id["large"].message


def test_a_batch_without_a_good_image_has_no_rows(image_files: ImageFiles) -> None:
    part = image_files.read([ImageRef("x", "/nowhere/x")])
    assert (part.rows.num_rows, part.encoded, failures_of(part)) == (0, (), [("x", "NotFound")])
    assert part.rows.schema == read_schema(CARRIED)


def test_a_forbidden_file_is_a_failure(tmp_path: pathlib.Path, image_files: ImageFiles) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"x")
    path.chmod(0)
    part = image_files.read([ImageRef("x", str(path))])
    assert failures_of(part) == [("x", "PermissionDenied")]


def test_objects_of_a_remote_store_are_read_as_they_are_stored(image_files: ImageFiles) -> None:
    OBJECTS.update({"memory://b/x.gz": b"stored", "memory://b/secret": None})
    try:
        names = ("x.gz", "absent", "secret")
        part = image_files.read([ImageRef(name, f"memory://b/{name}") for name in names])
    finally:
        OBJECTS.clear()
    assert part.encoded == (b"stored",)
    assert failures_of(part) == [("absent", "NotFound"), ("secret", "PermissionDenied")]


def test_a_batch_of_files_in_no_listing_ends_by_what_was_read() -> None:
    reader = ImageFiles(FileColumns(None, None, pa.schema([])), max_image_bytes=BATCH_BYTES)
    third = b"x" * (BATCH_BYTES // 3 + 1)
    OBJECTS.update({f"memory://b/{name}": third for name in "abcd"})
    refs = [ImageRef(str(n), f"memory://b/{name}") for n, name in enumerate("aabcccd")]
    try:
        parts = list(reader.read_batches(refs, batch_size=32))
        whole = reader.read(refs)
    finally:
        OBJECTS.clear()
        reader.close()
    # Boxes of one image, which is read once, stay together.
    ids = [part.rows["image_id"].to_pylist() for part in parts]
    assert ids == [["0", "1", "2", "3", "4", "5"], ["6"]]
    assert [len(part.encoded) for part in (*parts, whole)] == [6, 1, 7]


def test_an_object_of_a_store_without_its_package_says_what_to_install(
    image_files: ImageFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    part = image_files.read([ImageRef("x", "s3://b/x.jpg")])
    assert failures_of(part) == [("x", "NotFound")]
    assert "pip install '.[s3]'" in part.failures[0].message


def test_no_more_is_read_than_may_be_kept(tmp_path: pathlib.Path, image_files: ImageFiles) -> None:
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 1 << 40)
    refs = [ImageRef("x", str(tmp_path / "sparse")), ImageRef("y", "/dev/zero")]
    part = image_files.read(refs)
    assert failures_of(part) == [("x", "FileTooLarge"), ("y", "NotFound")]
    assert part.failures[1].message == "/dev/zero: not a regular file"


def test_what_a_file_system_gives_no_size_of_is_read_whole() -> None:
    with open("/proc/version", "rb") as file:
        assert os.fstat(file.fileno()).st_size == 0
        content = read_within(file, 10_000)
    assert content == pathlib.Path("/proc/version").read_bytes() != b""
    with open("/proc/version", "rb") as file, pytest.raises(FileTooLargeError):
        read_within(file, len(content) - 1)


def test_files_on_disk_are_read_beside_files_in_memory(
    tmp_path: pathlib.Path, image_files: ImageFiles
) -> None:
    refs, is_cached = [], []
    for n in range(8):
        path = tmp_path / str(n)
        path.write_bytes(b"%d" % n)
        os.utime(path, (0, 0))  # One just modified is not believed.
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            if n % 3 == 2:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            is_cached.append(is_in_memory(file))
        refs.append(ImageRef(str(n), str(path)))
    if is_cached != [n % 3 != 2 for n in range(8)]:
        pytest.skip("this file system does not say what is in memory")
    part = image_files.read(refs)
    assert part.encoded == tuple(b"%d" % n for n in range(8))
    assert part.failures == ()


def test_what_a_disk_does_not_give_is_a_failure_beside_the_rows(
    tmp_path: pathlib.Path, image_files: ImageFiles
) -> None:
    """Reading this process's memory at 0 is an input/output error, as of a failing disk."""
    (tmp_path / "a.jpg").write_bytes(b"123")
    part = image_files.read([ImageRef("x", "/proc/self/mem"), ImageRef("a", f"{tmp_path}/a.jpg")])
    (failure,) = part.failures
    assert failure.reason == "read/Unavailable"
    assert failure.message == "/proc/self/mem: input/output error; not read in 3 tries"
    assert part.encoded == (b"123",)


def test_a_file_of_images_that_a_disk_does_not_give_costs_those_that_are_asked_of_it(
    tmp_path: pathlib.Path, image_files: ImageFiles
) -> None:
    (tmp_path / "train").symlink_to("/proc/self/mem")
    (tmp_path / "a.jpg").write_bytes(b"123")
    refs = [ImageRef(name, f"{tmp_path}/{name}") for name in ("train#3", "a.jpg", "train#4")]
    part = image_files.read(refs)
    assert failures_of(part) == [("train#3", "Unavailable"), ("train#4", "Unavailable")]
    assert part.failures[0].message == f"{tmp_path}/train: input/output error"
    assert part.encoded == (b"123",)
