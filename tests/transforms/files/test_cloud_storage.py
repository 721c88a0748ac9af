import concurrent.futures
import pathlib
import re
import sys
import threading
import time

import pytest
from apache_beam.io.filesystems import FileSystems
from google.auth.credentials import AnonymousCredentials

from tests.support.cloud import Cloud
from transforms.errors import InputError, NotFoundError, PermissionDeniedError
from transforms.files import cloud_storage, google_client, object_store, object_writer
from transforms.files.cloud_storage import GoogleStore
from transforms.files.uris import open_uri
from transforms.inputs.entries import ImageFile, Skipped
from transforms.inputs.listing import classify_input, list_source
from transforms.inputs.source import Source
from transforms.records import InputFile, ShardKind

STORE = GoogleStore()
CRC32C_OF_123 = "EHsvsg=="


def version_of(uri: str) -> str:
    (found,) = STORE.list_objects(uri)
    assert found.version is not None
    return found.version


def test_a_listing_has_sizes_and_versions_in_order_of_name(cloud: Cloud) -> None:
    before = time.time_ns()
    for name in ("p/b.jpg", "p/ä/c.jpg", "q.jpg", "p/a.jpg", "p/a b?#%&.jpg"):
        cloud.put(name)
    found = list(STORE.list_objects(f"{cloud.uri}/p/"))
    names = ["p/a b?#%&.jpg", "p/a.jpg", "p/b.jpg", "p/ä/c.jpg"]
    assert [item.uri for item in found] == [f"{cloud.uri}/{name}" for name in names]
    for item in found:
        assert item.version is not None
        generation, crc32c = item.version.split("/", 1)
        assert before < int(generation) < time.time_ns()
        assert (item.size_bytes, crc32c) == (3, CRC32C_OF_123)
    assert [item.uri for item in STORE.list_objects(f"{cloud.uri}/p/b")] == [f"{cloud.uri}/p/b.jpg"]
    assert not list(STORE.list_objects(f"{cloud.uri}/zz"))


def test_the_version_changes_with_the_object_and_not_without(cloud: Cloud) -> None:
    uri = cloud.put("x.jpg", b"123")
    first = version_of(uri)
    assert version_of(uri) == first
    cloud.put("x.jpg", b"321")
    second = version_of(uri)
    assert second.split("/")[1] != first.split("/")[1]
    cloud.put("x.jpg", b"321")
    assert version_of(uri) != second


def test_a_listing_goes_on_to_the_last_page(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"p/{index:02d}.jpg" for index in range(11)]
    for name in names:
        cloud.put(name)
    monkeypatch.setattr(object_store, "PAGE_OBJECTS", 3)
    cloud.requests.clear()
    found = [item.uri for item in STORE.list_objects(f"{cloud.uri}/p/")]
    assert found == [f"{cloud.uri}/{name}" for name in names]
    assert len(cloud.requests) == 4
    assert all("fields=items" in request for request in cloud.requests)


def test_only_the_first_page_is_asked_for_where_that_is_enough(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "PAGE_OBJECTS", 2)
    for name in ("1", "10", "11", "12", "13", "14"):
        cloud.put(name)
    cloud.requests.clear()
    found = list(list_source(classify_input(f"{cloud.uri}/1")))
    assert [item.uri for item in found] == [f"{cloud.uri}/1"]
    wanted = "is it a directory, is it there, what does it hold, what is it"
    assert len(cloud.requests) == 4, wanted


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", "p/.h/c.jpg- p/[x].jpg p/a.jpg p/d/b.png p/d/e/f.jpg p/n.txt- pq.jpg q.parquet"),
        ("/", "p/.h/c.jpg- p/[x].jpg p/a.jpg p/d/b.png p/d/e/f.jpg p/n.txt- pq.jpg q.parquet"),
        ("/p", "p/.h/c.jpg- p/[x].jpg p/a.jpg p/d/b.png p/d/e/f.jpg p/n.txt-"),
        ("/p/d/", "p/d/b.png p/d/e/f.jpg"),
        ("/p/*.jpg", "p/[x].jpg p/a.jpg"),
        ("/p*", "pq.jpg"),
        ("/p/d/*", "p/d/b.png"),
        ("/p/d/**", "p/d/b.png p/d/e/f.jpg"),
        ("/**/*.jpg", "p/.h/c.jpg- p/[x].jpg p/a.jpg p/d/e/f.jpg pq.jpg"),
        ("/p/d/**/*.*", "p/d/b.png p/d/e/f.jpg"),
        ("/p/[x].jpg", "p/[x].jpg"),
        ("/p/[a-z].jpg", "p/a.jpg"),
        ("/p/a.jpg", "p/a.jpg"),
        ("/q.parquet", "q.parquet"),
    ],
)
def test_directories_globs_and_objects_are_listed_as_on_disk(
    cloud: Cloud, pattern: str, expected: str
) -> None:
    names = "p/ p/d/ p/d/e/ p/a.jpg p/d/b.png p/d/e/f.jpg p/n.txt p/[x].jpg p/.h/c.jpg pq.jpg"
    for name in (*names.split(), "q.parquet"):
        cloud.put(name)
    found = list(list_source(classify_input(cloud.uri + pattern)))
    shown = [item.uri + "-" * isinstance(item, Skipped) for item in found]
    assert shown == [f"{cloud.uri}/{name}" for name in expected.split()]
    for item in found:
        assert isinstance(item, Skipped) or getattr(item, "size_bytes", None) == 3


def test_a_listed_image_or_file_has_its_version_and_root(cloud: Cloud) -> None:
    image, file = cloud.put("p/a.jpg"), cloud.put("p/t.tfrecord")
    root = f"{cloud.uri}/p"
    assert list(list_source(classify_input(f"{root}/"))) == [
        ImageFile(image, root, 3, version_of(image)),
        InputFile(ShardKind.TFRECORD, file, root, 3, version_of(file)),
    ]
    assert classify_input(f"{root}/*.tfrecord") == Source(
        ShardKind.TFRECORD, f"{root}/*.tfrecord", root, is_directory=False
    )


def test_an_empty_bucket_is_an_empty_directory(cloud: Cloud) -> None:
    assert list(list_source(classify_input(cloud.uri))) == []


@pytest.mark.parametrize("pattern", ["zz.jpg", "zz/", "zz*", "a", "a.jp"])
def test_an_object_that_is_not_there_is_named(cloud: Cloud, pattern: str) -> None:
    cloud.put("a.jpg")
    with pytest.raises(InputError, match=re.escape(f"'{cloud.uri}/{pattern}': ")):
        classify_input(f"{cloud.uri}/{pattern}")


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("path", ["", "/", "/p", "/p/*.jpg", "/p/a.jpg"])
def test_a_bucket_that_is_not_there_is_named(path: str) -> None:
    with pytest.raises(NotFoundError):
        list(STORE.list_objects("gs://no-such-bucket/"))
    with pytest.raises(InputError) as caught:
        classify_input(f"gs://no-such-bucket{path}")
    assert str(caught.value) == (
        f"--input 'gs://no-such-bucket{path}' cannot be listed: there is no bucket "
        "gs://no-such-bucket; check the spelling"
    )


def test_a_closed_bucket_is_named_with_what_is_missing(cloud: Cloud) -> None:
    cloud.put("p/a.jpg")
    cloud.close()
    with pytest.raises(PermissionDeniedError):
        list(STORE.list_objects(f"{cloud.uri}/"))
    for path in ("", "/p", "/p/*.jpg", "/p/a.jpg"):
        with pytest.raises(InputError) as caught:
            classify_input(cloud.uri + path)
        assert str(caught.value) == (
            f"--input '{cloud.uri}{path}' cannot be listed: {cloud.uri} is closed: Anonymous "
            "caller does not have storage.objects.list access to the bucket."
        )


def test_a_bucket_that_is_closed_meanwhile_is_named(cloud: Cloud) -> None:
    cloud.put("p/a.jpg")
    source = classify_input(f"{cloud.uri}/p")
    cloud.close()
    with pytest.raises(
        InputError, match=f"--input '{cloud.uri}/p' cannot be listed: {cloud.uri} is"
    ):
        list(list_source(source))


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize("uri", ["gs://", "gs:///x.jpg", "gs://b*/x.jpg", "gs://-/x.jpg"])
def test_a_name_that_cannot_be_a_bucket_is_an_input_error(uri: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"--input {uri!r}")):
        classify_input(uri)


def test_a_creator_whose_answer_is_lost_knows_its_own_object(cloud: Cloud) -> None:
    cloud.lose_answers()
    assert STORE.create_if_absent(f"{cloud.uri}/lock", b"mine")
    assert len([request for request in cloud.requests if "ifGenerationMatch=0" in request]) == 2
    cloud.lose_answers()
    assert not STORE.create_if_absent(f"{cloud.uri}/lock", b"mine")


@pytest.mark.usefixtures("cloud")
def test_nothing_is_created_without_a_bucket() -> None:
    with pytest.raises(NotFoundError):
        STORE.create_if_absent("gs://no-such-bucket/lock", b"")
    with pytest.raises(NotFoundError, match="gs://bucket"):
        STORE.create_if_absent("gs://no-name", b"")


def test_threads_share_one_client(cloud: Cloud) -> None:
    cloud.put("x.jpg")
    start = threading.Barrier(8)
    interval = sys.getswitchinterval()

    def use(_: int) -> str:
        start.wait()
        return version_of(f"{cloud.uri}/x.jpg")

    sys.setswitchinterval(1e-6)
    try:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(use, range(8)))) == 1
    finally:
        sys.setswitchinterval(interval)
    assert google_client.kept_client.cache_info().misses == 1


@pytest.mark.usefixtures("cloud")
def test_without_credentials_public_buckets_can_be_read(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", True)
    assert isinstance(google_client.kept_client()._credentials, AnonymousCredentials)


def test_beam_sees_the_same_objects(cloud: Cloud) -> None:
    with FileSystems.create(f"{cloud.uri}/d/a.bin") as handle:
        handle.write(b"written by Beam")
    FileSystems.rename([f"{cloud.uri}/d/a.bin"], [f"{cloud.uri}/d/b.bin"])
    FileSystems.copy([f"{cloud.uri}/d/b.bin"], [f"{cloud.uri}/e/c.bin"])
    assert [item.uri for item in STORE.list_objects(f"{cloud.uri}/")] == [
        f"{cloud.uri}/d/b.bin",
        f"{cloud.uri}/e/c.bin",
    ]
    FileSystems.delete([f"{cloud.uri}/d/b.bin"])
    assert cloud.names() == ["e/c.bin"]
    with open_uri(f"{cloud.uri}/e/c.bin") as handle:
        assert handle.read() == cloud.get("e/c.bin") == b"written by Beam"
    assert not any(re.fullmatch(r"GET /storage/v1/b/[^/]+", item) for item in cloud.requests)


def test_a_refused_upload_in_parts_says_why(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_writer, "PART_BYTES", 1 << 18)
    monkeypatch.setattr(cloud_storage, "PART_BYTES", 1 << 18)
    cloud.close()
    with (
        pytest.raises(PermissionError, match=r"\] Anonymous caller does not have storage\.objects"),
        STORE.create(f"{cloud.uri}/large.bin") as stream,
    ):
        stream.write(bytes(1 << 19))
