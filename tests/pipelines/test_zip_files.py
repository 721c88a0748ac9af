"""Zips through the whole program: planned, embedded, resumed, refreshed and verified."""

import pathlib

import pytest

from pipelines import verify
from tests.support.runs import (
    latest,
    read,
    read_failures,
    read_record,
    run_embed,
    run_refresh,
    solid,
    swap_content,
    vectors_of,
)
from tests.support.tars import write_tar
from tests.support.zips import write_zip

IMAGES = {f"cats/{n:02}.png": solid(n, 9 * n, 255 - n) for n in range(12)}


def test_a_zip_gives_the_vectors_of_its_images(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tar(tmp_path / "a.tar", IMAGES)
    write_zip(tmp_path / "a.zip", {"cats/": b"", **IMAGES, "notes.txt": b""})
    argv = ["--input", str(tmp_path / "a.zip")]
    assert run_embed(mean_color, tmp_path / "zip", *argv, "--plan") == 0
    assert "zip" in capsys.readouterr().out
    assert run_embed(mean_color, tmp_path / "zip", *argv) == 0
    assert run_embed(mean_color, tmp_path / "tar", "--input", str(tmp_path / "a.tar")) == 0
    found, expected = read(tmp_path / "zip"), read(tmp_path / "tar")
    assert found["image_id"].to_pylist() == list(IMAGES)
    assert found["uri"].to_pylist() == [f"{tmp_path}/a.zip#{n + 1}" for n in range(12)]
    assert (vectors_of(found) == vectors_of(expected)).all()
    assert verify.main([str(tmp_path / "zip")]) == 0


def test_a_refresh_takes_what_did_not_change(tmp_path: pathlib.Path, mean_color: str) -> None:
    root, a, b = tmp_path / "root", tmp_path / "a.zip", tmp_path / "b.zip"
    write_zip(a, IMAGES)
    write_zip(b, {f"b/{n}.png": solid(n, n, 7) for n in range(9)} | {"b/bad.png": b"no image"})
    argv = ["--input", str(a), str(b), "--max_failed_fraction", "0.5"]
    assert run_refresh(mean_color, root, *argv) == 0
    swap_content(a, b"")  # Not opened.
    members = {f"b/{n}.png": solid(n, n, 7) for n in (8, 2, 3)}
    write_zip(b, {"new.png": solid(1, 2, 3), **members, "b/0.png": solid(99, 0, 0)})
    assert run_refresh(mean_color, root, *argv) == 0
    changes = read_record(latest(root))["changes"]
    names = ("new", "changed", "unchanged", "deleted", "reused")
    assert [changes[name] for name in names] == [1, 1, 12 + 3, 6, 12 + 3]
    assert read_failures(latest(root)) == []
    assert verify.main([str(latest(root))]) == 0
