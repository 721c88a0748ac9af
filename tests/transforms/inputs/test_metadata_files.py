"""Parquet that says something of images, and holds none."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.tars import write_tar
from transforms.inputs.entries import ImageFile, Skipped
from transforms.inputs.listing import classify_input, list_source
from transforms.records import InputFile

TEXT = pa.table({"url": ["u"], "key": ["k"], "width": [3], "exif": pa.nulls(1)})


def listed(pattern: pathlib.Path | str) -> dict[str, str]:
    found = {}
    for item in list_source(classify_input(str(pattern))):
        assert isinstance(item, InputFile | ImageFile | Skipped)
        found[item.uri.rpartition("/")[2]] = item.reason if isinstance(item, Skipped) else ""
    return found


def test_a_directory_as_img2dataset_writes_it(tmp_path: pathlib.Path) -> None:
    for n in range(2):
        write_tar(tmp_path / f"0000{n}.tar", {"a.jpg": b"1"})
        pq.write_table(TEXT, tmp_path / f"0000{n}.parquet")
        (tmp_path / f"0000{n}_stats.json").touch()
    assert listed(tmp_path) == {
        "00000.tar": "",
        "00001.tar": "",
        "00000_stats.json": ".json",
        "00001_stats.json": ".json",
        "00000.parquet": "Parquet without images",
        "00001.parquet": "Parquet without images",
    }
    assert set(listed(f"{tmp_path}/*.parquet").values()) == {""}


def test_a_table_among_images(tmp_path: pathlib.Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "a.jpg").touch()
    pq.write_table(TEXT, tmp_path / "metadata.parquet")
    assert listed(tmp_path) == {"a.jpg": "", "metadata.parquet": "Parquet without images"}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([b"1"]),
        pa.array([b"1"], pa.large_binary()),
        pa.array([b"1"], pa.binary(1)),
        pa.array([b"1"]).dictionary_encode(),
        pa.array([{"bytes": b"1", "path": "a.jpg"}]),
        pa.array([[b"1", b"2"]]),
        pa.array([[{"inner": b"1"}]]),
    ],
    ids=str,
)
def test_bytes_of_any_kind_may_be_images(tmp_path: pathlib.Path, column: pa.Array) -> None:
    (tmp_path / "a.jpg").touch()
    pq.write_table(TEXT.append_column("img", column), tmp_path / "p.parquet")
    assert listed(tmp_path) == {"a.jpg": "", "p.parquet": ""}


def test_what_may_hold_images_that_are_missing_is_not_passed_over(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.jpg").touch()
    pq.write_table(TEXT.append_column("image", pa.nulls(1)), tmp_path / "null.parquet")
    twice = pa.table([pa.nulls(1), pa.nulls(1)], names=["image", "image"])
    pq.write_table(twice, tmp_path / "twice.parquet")
    (tmp_path / "damaged.parquet").write_bytes(b"no Parquet")
    assert set(listed(tmp_path).values()) == {""}


def test_a_directory_of_nothing_else_gives_it(tmp_path: pathlib.Path) -> None:
    pq.write_table(TEXT, tmp_path / "p.parquet")
    (tmp_path / "notes.txt").touch()
    assert listed(tmp_path) == {"p.parquet": "", "notes.txt": ".txt"}
