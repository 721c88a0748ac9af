"""What every store of objects does, with each of them: gs://, s3:// and az://."""

import concurrent.futures
import gc
import random
import re
import threading
import time
from collections.abc import Callable

import pytest

from tests.support.buckets import Bucket
from tests.support.cloud import Cloud
from tests.support.s3 import S3Bucket
from transforms.errors import (
    FileTooLargeError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)
from transforms.files import object_store, object_writer
from transforms.files.directory_listing import list_directory
from transforms.files.file_systems import (
    FileSystems,
    create_as_stored,
    create_if_absent,
    delete,
    list_files,
    look_at,
    open_as_stored,
)
from transforms.files.object_store import ObjectStore, TransientError
from transforms.files.stores import store_of
from transforms.files.uris import open_uri

CONTENT = random.Random(0).randbytes(100_000)
NAMES = [
    "a",
    "a-b/c",
    "a/b.jpg",
    "a/b/c/d/e.jpg",
    "a//b.jpg",
    "a0",
    "p/a b?#%&+~.jpg",
    "p/%41.jpg",
    "p/é.jpg",
    "p/ä/c.jpg",
    "p/*[x].jpg",
    "pb.jpg",
    "\U0001f600",
]


def store(bucket: Bucket) -> ObjectStore:
    found = store_of(bucket.uri)
    assert found is not None
    return found


def listed(bucket: Bucket, prefix: str) -> list[str]:
    start = len(bucket.uri) + 1
    return [found.uri[start:] for found in store(bucket).list_objects(f"{bucket.uri}/{prefix}")]


@pytest.mark.parametrize("page", [2, 1000])
def test_names_that_begin_alike_are_listed_in_order(
    bucket: Bucket, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "PAGE_OBJECTS", page)
    for name in NAMES:
        bucket.put(name)
    for prefix in ("", "a", "a/", "p", "p/", "p/é", "zz"):
        wanted = sorted((name for name in NAMES if name.startswith(prefix)), key=str.encode)
        assert listed(bucket, prefix) == wanted
    assert list(list_directory(store(bucket), f"{bucket.uri}/")) == list(
        store(bucket).list_objects(f"{bucket.uri}/")
    )


def test_a_folder_holds_objects_and_folders(bucket: Bucket) -> None:
    for name in ("p/a.jpg", "p/q/b.jpg", "p/q/r/c.jpg", "p/s/d.jpg", "pa/e.jpg"):
        bucket.put(name)
    found = list(store(bucket).list_folder(f"{bucket.uri}/p/"))
    uris = sorted(entry if isinstance(entry, str) else entry.uri for entry in found)
    assert uris == [f"{bucket.uri}/p/{name}" for name in ("a.jpg", "q/", "s/")]


def test_each_name_is_its_own(bucket: Bucket) -> None:
    # The emulator takes two slashes for one.
    names = [name for name in NAMES if "//" not in name or not isinstance(bucket, Cloud)]
    for number, name in enumerate(names):
        content = f"{number}".encode()
        with store(bucket).create(f"{bucket.uri}/{name}") as stream:
            stream.write(content)
    for number, name in enumerate(names):
        assert store(bucket).read(f"{bucket.uri}/{name}", 10) == f"{number}".encode()
        assert store(bucket).stat(f"{bucket.uri}/{name}").size_bytes == len(f"{number}")


def test_a_version_changes_with_the_content_and_not_without(bucket: Bucket) -> None:
    before = time.time() - 2
    uri = bucket.put("x.jpg", b"123")
    first = store(bucket).stat(uri)
    assert first == store(bucket).stat(uri)
    assert [first] == list(store(bucket).list_objects(uri))
    assert (first.uri, first.size_bytes) == (uri, 3)
    assert first.updated_seconds is not None
    assert before < first.updated_seconds < time.time() + 2
    bucket.put("x.jpg", b"321")
    second = store(bucket).stat(uri)
    assert first.version
    assert first.version != second.version


def test_an_object_is_read_whole_in_one_request(bucket: Bucket) -> None:
    uri = bucket.put("a.jpg", CONTENT)
    bucket.requests.clear()
    assert store(bucket).read(uri, len(CONTENT)) == CONTENT
    assert len(bucket.requests) == 1
    with pytest.raises(FileTooLargeError, match="--max_image_bytes=99999"):
        store(bucket).read(uri, len(CONTENT) - 1)
    assert store(bucket).read(bucket.put("empty", b""), 10) == b""


def test_a_range_is_read_in_one_request(bucket: Bucket) -> None:
    uri = bucket.put("a.bin", CONTENT)
    bucket.requests.clear()
    assert store(bucket).read_range(uri, 10, 20) == CONTENT[10:20]
    assert store(bucket).read_range(uri, 99_990, 200_000) == CONTENT[99_990:]
    assert store(bucket).read_range(uri, 100_000, 100_001) == b""
    assert len(bucket.requests) == 3
    assert store(bucket).read_range(uri, 7, 7) == b""
    assert store(bucket).read_range(bucket.put("empty", b""), 0, 10) == b""


def test_a_range_that_is_read_first_says_nothing_of_other_reads(bucket: Bucket) -> None:
    uri = bucket.put("a.jpg", CONTENT)
    assert store(bucket).read_range(uri, 0, 10) == CONTENT[:10]
    assert store(bucket).read(uri, len(CONTENT)) == CONTENT
    assert store(bucket).read_range(uri, 5, 20) == CONTENT[5:20]


def test_ranges_are_of_one_version(bucket: Bucket) -> None:
    uri = bucket.put("a.bin", b"old" * 100_000)
    with open_as_stored(uri) as stream, open_as_stored(uri) as other:
        assert stream.read(10) == b"old" * 3 + b"o"
        bucket.put("a.bin", b"new" * 200_000)
        with pytest.raises(OSError, match="it was replaced after it was opened"):
            stream.read()
        bucket.put("a.bin", b"")
        with pytest.raises(OSError, match="it was replaced after it was opened"):
            other.read(10)
    version = store(bucket).stat(bucket.put("a.bin", CONTENT)).version
    assert store(bucket).read_range(uri, 5, 10, version) == CONTENT[5:10]


def test_a_file_is_opened_in_the_version_that_was_listed(bucket: Bucket) -> None:
    uri = bucket.put("a.bin", CONTENT)
    version = store(bucket).stat(uri).version
    with open_uri(uri, version) as stream:
        assert stream.read() == CONTENT
    bucket.put("a.bin", CONTENT[1:])
    with pytest.raises(UnavailableError, match=f"^{uri}: it was replaced after it was listed$"):
        open_uri(uri, version)


def test_what_is_absent_is_not_found(bucket: Bucket) -> None:
    found, scheme = store(bucket), bucket.uri.partition(":")[0]
    absent = [f"{bucket.uri}/zz.jpg", f"{scheme}://no-such-bucket/a.jpg", bucket.uri]
    for uri in [*absent, f"{scheme}://", f"{scheme}://b*/x.jpg", f"{scheme}:///x.jpg"]:
        for look in (
            lambda uri: found.read(uri, 10),
            lambda uri: found.read_range(uri, 0, 10),
            found.stat,
        ):
            with pytest.raises(NotFoundError, match=re.escape(uri)):
                look(uri)
    for uri in (f"{scheme}://no-such-bucket/", f"{scheme}://-/"):
        with pytest.raises(NotFoundError, match=f"^{uri[:-1]}: "):
            list(found.list_objects(uri))
        with pytest.raises(NotFoundError, match=f"^{uri[:-1]}: "):
            list(found.list_folder(uri))
    with pytest.raises(NotFoundError):
        found.create_if_absent(f"{scheme}://no-such-bucket/x", b"")
    with pytest.raises(NotFoundError):
        found.copy(f"{bucket.uri}/zz.jpg", f"{bucket.uri}/a.jpg")
    found.delete(f"{bucket.uri}/zz.jpg")
    with pytest.raises(FileNotFoundError), found.create(f"{scheme}://no-such-bucket/x") as stream:
        stream.write(b"1")


def test_what_is_closed_is_denied(bucket: Bucket) -> None:
    uri, found = bucket.put("a.jpg", CONTENT), store(bucket)
    bucket.close()
    for refused in (
        lambda: found.read(uri, len(CONTENT)),
        lambda: found.read_range(uri, 0, 10),
        lambda: found.stat(uri),
        lambda: list(found.list_objects(f"{bucket.uri}/")),
        lambda: list(found.list_folder(f"{bucket.uri}/")),
        lambda: found.create_if_absent(uri, b""),
        lambda: found.copy(uri, f"{bucket.uri}/b.jpg"),
        lambda: found.delete(uri),
    ):
        with pytest.raises(PermissionDeniedError, match=f"^{bucket.uri}") as caught:
            refused()
        assert "\n" not in str(caught.value)
        assert "http" not in str(caught.value)
    with pytest.raises(PermissionError), found.create(uri) as stream:
        stream.write(b"1")


# Google's client leaves the connection of a refusal to be closed with its last reference.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_busy_store_is_asked_once_for_a_range(bucket: Bucket, code: int) -> None:
    uri = bucket.put("a.jpg", CONTENT)
    store(bucket).read_range(uri, 0, 10)
    bucket.requests.clear()
    bucket.be_busy(code)
    with pytest.raises(TransientError) as caught:
        store(bucket).read_range(uri, 0, 10)
    assert len(bucket.requests) == 1
    assert caught.value.is_throttled == (code in (429, 503))
    assert caught.value.reason == str(code)
    if code == 503 and not isinstance(bucket, Cloud):
        assert caught.value.retry_after_seconds == 1
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_busy_store_is_asked_again_for_what_is_no_read(bucket: Bucket) -> None:
    uri, found = bucket.put("a.jpg", CONTENT), store(bucket)
    for work in (
        lambda: list(found.list_objects(f"{bucket.uri}/")),
        lambda: found.stat(uri),
        lambda: found.create_if_absent(f"{bucket.uri}/new", b""),
        lambda: found.copy(uri, f"{bucket.uri}/copy.jpg"),
        lambda: found.delete(uri),
    ):
        bucket.be_busy(503)
        work()
    assert bucket.names() == ["copy.jpg", "new"]
    gc.collect()


def test_half_a_body_is_transient(bucket: Bucket) -> None:
    if isinstance(bucket, Cloud):
        pytest.skip("the emulator sends whole bodies")
    uri = bucket.put("a.jpg", CONTENT)
    cut_bodies = bucket.cut_bodies  # type: ignore[attr-defined]
    cut_bodies(3)
    with pytest.raises(TransientError):
        store(bucket).read(uri, len(CONTENT))
    cut_bodies(3)
    with pytest.raises(TransientError):
        store(bucket).read_range(uri, 0, 1000)


def test_an_object_is_there_once_it_is_closed(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = 5 << 20  # The least that s3:// takes.
    monkeypatch.setattr(object_writer, "PART_BYTES", part)
    for name, size_bytes in (("none", 0), ("small", 9), ("whole", part), ("large", part + 9)):
        content = random.Random(size_bytes).randbytes(size_bytes)
        stream = store(bucket).create(f"{bucket.uri}/{name}")
        for start in range(0, size_bytes, 1 << 20):
            stream.write(memoryview(content)[start : start + (1 << 20)])
        assert name not in bucket.names()
        stream.close()
        stream.close()
        assert bucket.get(name) == content


@pytest.mark.parametrize("size_bytes", [9, (5 << 20) + 9])
@pytest.mark.parametrize("end", ["exception", "discard", "forget"])
def test_what_is_not_closed_is_never_there(
    bucket: Bucket, size_bytes: int, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_writer, "PART_BYTES", 5 << 20)
    uri = f"{bucket.uri}/half"

    def fail() -> None:
        with store(bucket).create(uri) as stream:
            stream.write(bytes(size_bytes))
            raise RuntimeError("in the middle")

    if end == "exception":
        with pytest.raises(RuntimeError, match="in the middle"):
            fail()
    else:
        stream = store(bucket).create(uri)
        stream.write(bytes(size_bytes))
        if end == "discard":
            stream.discard()  # type: ignore[attr-defined]
        del stream
    gc.collect()
    assert bucket.names() == []
    if isinstance(bucket, S3Bucket) and end != "forget":
        assert bucket.parts() == 0


def test_an_object_is_copied_and_replaced(bucket: Bucket) -> None:
    uri = bucket.put("p/a b?#%.bin", CONTENT)
    bucket.put("q/c.bin", b"earlier")
    store(bucket).copy(uri, f"{bucket.uri}/q/c.bin")
    assert bucket.get("q/c.bin") == CONTENT


def test_of_many_creators_one_succeeds(bucket: Bucket) -> None:
    start = threading.Barrier(8)

    def create(text: bytes) -> bool:
        start.wait()
        return store(bucket).create_if_absent(f"{bucket.uri}/lock", text)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        texts = [f"{index}".encode() for index in range(8)]
        created = list(pool.map(create, texts))
    assert sum(created) == 1
    assert bucket.get("lock") == texts[created.index(True)]
    assert not store(bucket).create_if_absent(f"{bucket.uri}/lock", b"late")
    store(bucket).delete(f"{bucket.uri}/lock")
    assert store(bucket).create_if_absent(f"{bucket.uri}/lock", b"late")


def test_a_creator_whose_answer_is_lost_knows_its_own_object(bucket: Bucket) -> None:
    bucket.lose_answers()
    assert store(bucket).create_if_absent(f"{bucket.uri}/lock", b"mine")
    bucket.lose_answers()
    assert not store(bucket).create_if_absent(f"{bucket.uri}/lock", b"mine")


def test_threads_share_a_client(bucket: Bucket) -> None:
    uri = bucket.put("x.jpg")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: store(bucket).read(uri, 10), range(64))) == {b"123"}


def test_file_systems_speak_of_objects_as_of_files(bucket: Bucket) -> None:
    uri = FileSystems.join(bucket.uri, "p", "a.bin")
    assert uri == f"{bucket.uri}/p/a.bin"
    assert not FileSystems.exists(uri)
    with create_as_stored(uri) as stream:
        stream.write(CONTENT)
    assert FileSystems.exists(uri)
    assert not FileSystems.exists(f"{bucket.uri}/p")
    with open_as_stored(uri) as stream:
        assert stream.read(5) == CONTENT[:5]
        assert stream.seek(-7, 2) == len(CONTENT) - 7
        assert stream.read() == CONTENT[-7:]
        assert stream.seek(0) == 0
        assert stream.read() == CONTENT
    FileSystems.copy(uri, f"{bucket.uri}/p/b.bin")
    bucket.put("pq.bin")
    found = list_files(f"{bucket.uri}/p")
    assert [(each.path, each.size_in_bytes) for each in found] == [
        (uri, len(CONTENT)),
        (f"{bucket.uri}/p/b.bin", len(CONTENT)),
    ]
    assert look_at(uri) == found[0]
    assert list_files(f"{bucket.uri}/zz") == []
    assert create_if_absent(f"{bucket.uri}/lock", b"1")
    assert not create_if_absent(f"{bucket.uri}/lock", b"2")
    delete([uri, f"{bucket.uri}/p/b.bin", f"{bucket.uri}/absent"])
    assert bucket.names() == ["lock", "pq.bin"]
    for look in (open_as_stored, look_at):
        with pytest.raises(FileNotFoundError, match="no such object"):
            look(uri)
    bucket.close()
    refused: list[Callable[[str], object]]
    refused = [FileSystems.exists, look_at, open_as_stored, list_files]
    for call in refused:
        with pytest.raises(PermissionError):
            call(uri)
    with pytest.raises(PermissionError):
        delete([uri])


# Google's client leaves the connection of a refusal to be closed with its last reference.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_file_is_read_on_where_the_store_was_busy(bucket: Bucket) -> None:
    uri = bucket.put("a.bin", CONTENT)
    with open_as_stored(uri) as stream:
        bucket.be_busy(503)
        assert stream.read(10) == CONTENT[:10]
    with open_as_stored(uri) as stream:
        bucket.delete("a.bin")
        with pytest.raises(FileNotFoundError, match="no such object"):
            stream.read(10)
    gc.collect()


def test_a_file_is_unpacked_by_its_name(bucket: Bucket) -> None:
    import gzip

    uri = bucket.put("labels.txt.gz", gzip.compress(b"cat\ndog\n"))
    with FileSystems.open(uri) as stream:
        assert stream.read(100) == b"cat\ndog\n"
