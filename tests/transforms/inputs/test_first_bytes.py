"""Files whose names do not say what they are: told by the user, or by their first bytes."""

import gzip
import io
import itertools
import os
import pathlib
import threading
import zlib
from collections.abc import Callable

import pytest

from tests.support.cloud import Cloud
from tests.support.runs import solid
from transforms.files.tf_record import (
    Record,
    is_tfrecord,
    open_tfrecord,
    read_records,
    write_record,
)
from transforms.inputs import first_bytes
from transforms.inputs.entries import ImageFile, Skipped, Unlisted
from transforms.inputs.first_bytes import (
    FILES_ASKED,
    READS_AT_ONCE,
    is_told_by_name,
    kind_of_file,
)
from transforms.inputs.listing import classify_input, list_source
from transforms.inputs.members import is_member
from transforms.records import InputFile, ShardKind

PACKINGS = [bytes, gzip.compress, zlib.compress, lambda b: zlib.compress(b, 1)]


def frames(*records: bytes) -> bytes:
    stream = io.BytesIO()
    for record in records:
        write_record(stream, record)
    return stream.getvalue()


SOME = frames(b"one", os.urandom(5000), b"three")


@pytest.mark.parametrize("pack", PACKINGS)
def test_a_tfrecord_is_told_by_its_first_bytes_and_read(
    tmp_path: pathlib.Path, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "train-00000-of-00002"
    path.write_bytes(pack(SOME))
    assert is_tfrecord(path.read_bytes()[:4096])
    assert kind_of_file(str(path)) is ShardKind.TFRECORD
    assert classify_input(str(path)).kind is ShardKind.TFRECORD
    assert is_member(f"{path}#2")
    with open_tfrecord(str(path)) as handle:
        found = list(read_records(handle, max_record_bytes=9999))
    assert [len(one.data) for one in found if isinstance(one, Record)] == [3, 5000, 5]


@pytest.mark.parametrize("pack", PACKINGS[1:])
def test_a_packed_file_that_is_cut_keeps_what_came_before(
    tmp_path: pathlib.Path, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "x.tfrec"
    path.write_bytes(pack(SOME)[:3000])
    with open_tfrecord(str(path)) as handle:
        first, *_, damage = read_records(handle, max_record_bytes=9999)
    assert isinstance(first, Record)
    assert not isinstance(damage, Record)
    assert damage.error.error_type == "TruncatedFile"


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 4096, SOME[:11], solid(1, 2, 3), gzip.compress(b"text" * 9), b"x\x9c"]
)
def test_what_is_no_tfrecord_is_not_taken_for_one(content: bytes) -> None:
    assert not is_tfrecord(content)


@pytest.mark.parametrize(
    ("name", "is_told"),
    [
        ("a.jpg", True),
        ("x.tfrec", True),
        ("notes.txt-00000-of-00002", True),
        ("events.out.tfevents.17.host.1", True),
        ("train-00000-of-00128", False),
        ("README", False),
        ("shard.0001", False),
        ("d.jpg/x", False),
    ],
)
def test_only_names_that_say_nothing_cost_a_look(name: str, is_told: bool) -> None:
    assert is_told_by_name(f"/in/{name}") == is_told


def listed(folder: pathlib.Path, pattern: str = "", told: ShardKind | None = None) -> dict:
    found = {}
    for one in list_source(classify_input(f"{folder}{pattern}", told)):
        match one:
            case InputFile():
                found[os.path.relpath(one.uri, folder)] = str(one.kind)
            case ImageFile():
                found[os.path.relpath(one.uri, folder)] = "image"
            case Skipped():
                found[os.path.relpath(one.uri, folder)] = one.reason
            case Unlisted():
                found[os.path.relpath(one.uri, folder)] = f"unlisted: {one.reason}"
    return found


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    for name, content in {
        "train-00000-of-00003": bytes(500),  # Damaged: its siblings say what it is.
        "train-00001-of-00003": SOME,
        "train-00002-of-00003": SOME,
        "flowers-10.tfrec": SOME,
        "shard.0007": SOME,
        "README": b"text",
        "photo": solid(1, 2, 3),
        "a.jpg": b"",
        "notes.txt": SOME,
        "events.out.tfevents.17": SOME,
        "x.tar": b"",
        ".hidden": SOME,
    }.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


TRAIN = {f"train-0000{n}-of-00003": "tfrecord" for n in range(3)}


def test_a_directory_gives_what_its_files_hold(folder: pathlib.Path) -> None:
    assert listed(folder) == {
        **TRAIN,
        "flowers-10.tfrec": "tfrecord",
        "shard.0007": "tfrecord",
        "README": "no extension",
        "photo": "no extension",
        "a.jpg": "image",
        "notes.txt": ".txt",
        "events.out.tfevents.17": ".17",
        "x.tar": "tar",
        ".hidden": "hidden",
    }


def test_a_glob_gives_what_its_files_hold(folder: pathlib.Path) -> None:
    assert listed(folder, "/train-*") == TRAIN
    assert listed(folder, "/[ps]*") == {"photo": "image", "shard.0007": "tfrecord"}


def test_the_user_may_say_what_files_are(folder: pathlib.Path) -> None:
    images = listed(folder, told=ShardKind.IMAGES)
    assert {name for name, found in images.items() if found == "image"} == {
        *TRAIN, "shard.0007", "README", "photo", "a.jpg",
    }  # fmt: skip
    assert images["x.tar"] == ".tar"
    tfrecords = listed(folder, told=ShardKind.TFRECORD)
    assert {name for name, found in tfrecords.items() if found == "tfrecord"} == {
        *TRAIN, "flowers-10.tfrec", "shard.0007", "README", "photo",
    }  # fmt: skip
    assert tfrecords["a.jpg"] == ".jpg"
    assert listed(folder, "/*.txt", ShardKind.TFRECORD) == {"notes.txt": "tfrecord"}
    assert listed(folder, "/*.tar", ShardKind.IMAGES) == {"x.tar": "image"}
    assert listed(folder, "/photo", ShardKind.PARQUET) == {"photo": "parquet"}


def test_of_many_files_named_alike_few_are_looked_into(tmp_path: pathlib.Path) -> None:
    asked = {place * 1000 // FILES_ASKED for place in range(FILES_ASKED)}
    for n in range(1000):
        (tmp_path / f"{n:08x}").write_bytes(b"no TFRecord" if n in asked else SOME)
    assert set(listed(tmp_path).values()) == {"no extension"}
    for n in range(1000):
        (tmp_path / f"{n:08x}").write_bytes(SOME if n in asked else b"damaged")
    assert set(listed(tmp_path).values()) == {"tfrecord"}


def test_of_many_files_none_named_alike_few_are_looked_into_unless_they_differ(
    tmp_path: pathlib.Path,
) -> None:
    names = sorted(map("".join, itertools.product("klmnopqrst", repeat=3)))
    asked = {place * 1000 // FILES_ASKED for place in range(FILES_ASKED)}
    for place, name in enumerate(names):
        (tmp_path / name).write_bytes(b"no TFRecord" if place in asked else SOME)
    for place in range(300):  # Alike, and more than are asked: a group of their own.
        (tmp_path / f"train-{place}").write_bytes(SOME)
    trains = {f"train-{place}": "tfrecord" for place in range(300)}
    for place in range(3):  # Shards are alike, however few.
        (tmp_path / f"val-{place}-of-3").write_bytes(SOME)
        trains[f"val-{place}-of-3"] = "tfrecord"
    assert listed(tmp_path) == dict.fromkeys(names, "no extension") | trains
    (tmp_path / names[0]).write_bytes(SOME)
    differing = {
        name: "no extension" if place in asked - {0} else "tfrecord"
        for place, name in enumerate(names)
    }
    assert listed(tmp_path) == differing | trains


def test_files_none_named_alike_are_looked_into_side_by_side(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(READS_AT_ONCE, timeout=60)

    def read_together(uri: str) -> bytes:
        together.wait()
        return pathlib.Path(uri).read_bytes()

    monkeypatch.setattr(first_bytes, "read_beginning", read_together)
    for name in itertools.product("kl", repeat=5):
        (tmp_path / "".join(name)).write_bytes(SOME)
    assert set(listed(tmp_path).values()) == {"tfrecord"}


@pytest.fixture
def closed(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "secret").write_bytes(SOME)
    (tmp_path / "secret").chmod(0)
    (tmp_path / "bad-sector").symlink_to("/proc/self/mem")
    return tmp_path


def test_a_file_that_cannot_be_told_costs_itself(closed: pathlib.Path) -> None:
    assert listed(closed) == {
        "a.jpg": "image",
        "secret": "unlisted: permission denied (it has no known extension)",
        "bad-sector": "unlisted: input/output error (it has no known extension)",
    }
    assert listed(closed, "/*") == dict.fromkeys(("a.jpg", "secret", "bad-sector"), "image")


def test_a_file_that_cannot_be_told_is_what_its_siblings_are(closed: pathlib.Path) -> None:
    for name, content in {"train-1": SOME, "train-3": SOME, "note-1": b"text"}.items():
        (closed / name).write_bytes(content)
    (closed / "secret").rename(closed / "train-2")
    (closed / "bad-sector").rename(closed / "note-2")
    assert listed(closed) == {
        **dict.fromkeys(("train-1", "train-2", "train-3"), "tfrecord"),
        **dict.fromkeys(("note-1", "note-2"), "no extension"),
        "a.jpg": "image",
    }


def test_objects_are_told_by_their_first_bytes(cloud: Cloud) -> None:
    for name, content in {"d/train-0-of-1": SOME * 9, "d/LICENSE": b"text", "d/a.jpg": b""}.items():
        cloud.put(name, content)
    source = classify_input(f"{cloud.uri}/d")
    assert {one.uri.rpartition("/")[2]: type(one) for one in list_source(source)} == {
        "train-0-of-1": InputFile,
        "LICENSE": Skipped,
        "a.jpg": ImageFile,
    }
    assert classify_input(f"{cloud.uri}/d/train-0-of-1").kind is ShardKind.TFRECORD
