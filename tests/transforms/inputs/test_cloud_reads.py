"""Reading images on gs:// in one request, and listing directories side by side."""

import gc
import hashlib
import itertools
import pathlib
import random
import re
import time

import pytest

from tests.support.cloud import Cloud
from tests.support.runs import solid
from transforms.errors import FileTooLargeError, NotFoundError, PermissionDeniedError
from transforms.files import directory_listing, object_store
from transforms.files.cloud_reads import read_object
from transforms.files.cloud_storage import GoogleStore
from transforms.files.directory_listing import list_directory
from transforms.files.flight import FLIGHT
from transforms.files.uris import read_remote

STORE = GoogleStore()
CONTENT = random.Random(0).randbytes(100_000)


def test_an_object_is_read_in_one_request(cloud: Cloud) -> None:
    uri = cloud.put("p/a b?#%ä.jpg", CONTENT)
    cloud.requests.clear()
    assert read_object(uri, len(CONTENT)) == CONTENT
    assert len(cloud.requests) == 1


def test_an_empty_object_is_read(cloud: Cloud) -> None:
    assert read_object(cloud.put("empty", b""), 10) == b""


def test_one_byte_too_many_is_refused(cloud: Cloud) -> None:
    with pytest.raises(FileTooLargeError, match="--max_image_bytes=99999"):
        read_remote(cloud.put("a.jpg", CONTENT), len(CONTENT) - 1)


def test_what_is_absent_closed_or_no_name_is_said(cloud: Cloud) -> None:
    uri = cloud.put("a.jpg", CONTENT)
    for absent in (f"{cloud.uri}/zz.jpg", "gs://no-such-bucket/a.jpg", cloud.uri, "gs://"):
        with pytest.raises(NotFoundError, match=re.escape(absent)):
            read_remote(absent, 10)
    cloud.close()
    with pytest.raises(PermissionDeniedError, match=re.escape(uri)):
        read_remote(uri, len(CONTENT))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_who_may_read_if_they_pay_or_log_in_is_told_so(cloud: Cloud) -> None:
    uri = cloud.put("a.jpg", CONTENT)
    cloud.be_busy(400)
    with pytest.raises(NotFoundError, match=f"^{uri}: Bucket is a requester pays bucket but no"):
        read_remote(uri, len(CONTENT))
    for ask in (
        lambda: read_remote(uri, len(CONTENT)),
        lambda: STORE.read_range(uri, 0, 1),
        lambda: STORE.stat(uri),
        lambda: list(STORE.list_objects(uri)),
    ):
        cloud.be_busy(401)
        with pytest.raises(PermissionDeniedError, match="by gcloud auth application-default login"):
            ask()
    gc.collect()


# The client leaves the connection of a refusal to be closed with its last reference.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("codes", [(429,), (503,), (503, 429, 500)])
def test_a_busy_storage_is_asked_again(cloud: Cloud, codes: tuple[int, ...]) -> None:
    uri = cloud.put("a.jpg", CONTENT)
    cloud.requests.clear()
    cloud.be_busy(*codes)
    assert FLIGHT.backoff.call(lambda: read_object(uri, len(CONTENT))) == CONTENT
    assert len(cloud.requests) == len(codes) + 1
    cloud.be_busy(*codes)
    assert len(list(list_directory(STORE, f"{cloud.uri}/"))) == 1
    gc.collect()


@pytest.fixture
def tree(cloud: Cloud) -> list[str]:
    """Names in a bucket, some of which sort between a directory and its objects."""
    names = [
        "a",
        "a/",
        "a-b/c",
        "a/b/c/d/e.jpg",
        "a/b.jpg",
        "a0",
        "ä/x",
        "z//y",
        "z/é",
        "\U0001f600",
    ]
    names += [f"many/{directory:02d}/{index}" for directory in range(30) for index in range(3)]
    for name in names:
        cloud.put(name)
    return names


@pytest.mark.parametrize("prefix", ["", "a/", "a/b/", "many/", "many/07/", "z/", "zz/"])
@pytest.mark.parametrize("page", [2, 1000])
def test_directories_are_listed_as_objects_are(
    cloud: Cloud, tree: list[str], prefix: str, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "PAGE_OBJECTS", page)
    monkeypatch.setattr(directory_listing, "OBJECTS_AHEAD", page)
    found = list(list_directory(STORE, f"{cloud.uri}/{prefix}"))
    wanted = sorted((name for name in tree if name.startswith(prefix)), key=str.encode)
    objects = list(STORE.list_objects(f"{cloud.uri}/{prefix}"))
    assert [item.uri for item in objects] == [f"{cloud.uri}/{name}" for name in wanted]
    assert found == objects


def test_a_flat_directory_is_not_listed_twice(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "PAGE_OBJECTS", 5)
    for index in range(40):
        cloud.put(f"{index:02d}.jpg")
    cloud.requests.clear()
    assert len(list(list_directory(STORE, f"{cloud.uri}/"))) == 40
    assert len(cloud.requests) <= 8 + 2, "eight pages, and two to see that it is flat"


@pytest.mark.parametrize(("objects", "is_flat"), [(1, True), (4, False)])
def test_many_folders_are_listed_one_by_one_only_if_they_hold_many(
    cloud: Cloud, objects: int, is_flat: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "PAGE_OBJECTS", 32)
    for folder, index in itertools.product(range(100), range(objects)):
        cloud.put(f"products/{folder:03d}/{index}.jpg")
    cloud.put("products/about.jpg")
    cloud.requests.clear()
    found = list(list_directory(STORE, f"{cloud.uri}/products/", lambda uri: "/01" in uri))
    requests = len(cloud.requests)
    left_out = (
        [] if is_flat else [f"{cloud.uri}/products/{folder:03d}/" for folder in range(10, 20)]
    )
    assert [entry for entry in found if isinstance(entry, str)] == left_out
    all_objects = STORE.list_objects(f"{cloud.uri}/products/")
    wanted = [item for item in all_objects if is_flat or "/01" not in item.uri]
    assert [entry for entry in found if not isinstance(entry, str)] == wanted
    if is_flat:
        assert requests <= 2 + 16 + 4, "two pages of folders, a look at some, four of objects"
    else:
        assert requests == 4 + 16 + 90


def test_a_listing_can_be_left(cloud: Cloud, tree: list[str]) -> None:
    first = next(list_directory(STORE, f"{cloud.uri}/"))
    assert not isinstance(first, str)
    assert first.uri == f"{cloud.uri}/{min(tree, key=str.encode)}"


def test_a_run_reads_each_image_once(
    cloud: Cloud, mean_color: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipelines import embed

    images = {f"photos/{n % 7}/{n:03d}.png": solid(n, 2 * n, 255 - n) for n in range(20)}
    for name, content in images.items():
        cloud.put(name, content)
    cloud.requests.clear()
    started = time.monotonic()
    output = tmp_path / "out"
    argv = ["--input", f"{cloud.uri}/photos", "--model", mean_color, "--output", str(output)]
    assert embed.main(argv) == 0, capsys.readouterr().err
    assert time.monotonic() - started < 60
    for name in images:
        quoted = name.replace("/", "%2F")
        assert len([request for request in cloud.requests if quoted in request]) == 1, name

    import pyarrow.dataset as ds

    table = ds.dataset(sorted(map(str, output.glob("*.parquet")))).to_table()
    columns = (table[name].to_pylist() for name in ("image_id", "content_sha256"))
    found = dict(zip(*columns, strict=True))
    assert found == {
        f"{cloud.uri}/{name}": hashlib.sha256(content).hexdigest()
        for name, content in images.items()
    }
