"""Directories as people have them: thumbnails beside the photos, and links."""

import json
import pathlib

import pytest

from tests.support.runs import (
    contents,
    latest,
    read,
    read_record,
    run_embed,
    run_refresh,
    solid,
    write_photos,
)

EXCLUDE = ("--exclude", "@eaDir", "**/*_small.png")


def write_tree(folder: pathlib.Path) -> None:
    """Writes 6 photos, 3 thumbnails as a NAS makes them, and 2 small copies."""
    write_photos(folder / "2019", 4)
    write_photos(folder / "2020" / "trip", 2)
    write_photos(folder / "2019" / "@eaDir" / "photo-000.png", 3)
    for name in ("2019/photo-000_small.png", "2020/trip/photo-001_small.png"):
        (folder / name).write_bytes(solid(1, 2, 3))


def test_a_run_has_no_row_of_what_is_excluded_and_counts_it(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tree(tmp_path / "photos")
    argv = ["--input", str(tmp_path / "photos"), "--image_id_from", "relative_path", *EXCLUDE]
    planned = ["--plan", "--json"]
    assert run_embed(mean_color, tmp_path / "out", *argv, *planned) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["images"] == 6, told
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    rows = read(tmp_path / "out").column("image_id").to_pylist()
    assert sorted(rows) == [
        *(f"2019/photo-00{n}.png" for n in range(4)),
        *(f"2020/trip/photo-00{n}.png" for n in range(2)),
    ]
    record = read_record(tmp_path / "out")
    assert record["skipped_by_reason"] == {"excluded": 3}
    assert told["skipped_examples"] == record["skipped_examples"]
    assert record["skipped_examples"] == {"excluded": f"{tmp_path}/photos/2019/@eaDir"}


def test_what_a_refresh_excludes_is_deleted_and_that_is_guarded(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    write_tree(photos)
    assert run_refresh(mean_color, root, "--input", str(photos)) == 0
    argv = ["--input", str(photos), *EXCLUDE]
    assert run_refresh(mean_color, root, *argv, "--max_deleted_fraction", "0.2") == 1
    assert "5 of 11 images" in capsys.readouterr().err
    assert run_refresh(mean_color, root, *argv, "--resume") == 0
    changes = read_record(latest(root))["changes"]
    assert (changes["deleted"], changes["unchanged"], changes["reused"]) == (5, 6, 6)
    assert run_embed(mean_color, tmp_path / "full", *argv) == 0
    assert contents(latest(root)) == contents(tmp_path / "full")


def test_a_run_of_nothing_but_what_is_excluded_says_so(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos" / "a", 3)
    argv = ["--input", str(tmp_path / "photos"), "--exclude", "a/"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    assert "no images found" in (told := capsys.readouterr().err)
    assert "left out: 1 excluded" in told
    argv[-1] = str(tmp_path / "photos" / "a")
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    assert "wanted a name, such as @eaDir, or a path below the --input" in capsys.readouterr().err


def test_linked_directories_are_read_under_their_own_names(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    colours = write_photos(tmp_path / "far", 3)
    write_photos(photos, 2)
    (photos / "album").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "back").symlink_to(photos)
    argv = ["--input", str(photos), "--image_id_from", "relative_path"]
    assert run_refresh(mean_color, root, *argv) == 0
    assert read_record(latest(root))["skipped_by_reason"] == {"linked directory": 1}
    assert run_refresh(mean_color, root, *argv, "--follow_links") == 0
    rows = read(latest(root))
    found = dict(zip(*(rows.column(c).to_pylist() for c in ("image_id", "embedding")), strict=True))
    names = ["photo-000.png", "photo-001.png", *(f"album/{name}" for name in colours)]
    assert sorted(found) == sorted(names)
    for name in names:
        assert found[name] == pytest.approx(colours[name.removeprefix("album/")], abs=1e-4)
    record = read_record(latest(root))
    assert record["skipped_by_reason"] == {"loop of links": 1}
    assert (record["changes"]["new"], record["changes"]["unchanged"]) == (3, 2)


def test_a_manifest_may_write_accents_in_another_way_than_the_disk(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    photos.mkdir()
    (photos / "cafe\u0301.png").write_bytes(solid(10, 20, 30))
    (photos / "list.csv").write_text("uri\ncaf\u00e9.png\n")
    for changes in ({"new": 1, "unchanged": 0}, {"new": 0, "unchanged": 1}):
        argv = ["--manifest", str(photos / "list.csv")]
        assert run_refresh(mean_color, root, *argv) == 0
        assert changes.items() <= read_record(latest(root))["changes"].items()
        (row,) = read(latest(root)).to_pylist()
        assert row["image_id"] == str(photos / "caf\u00e9.png")
        assert row["uri"] == str(photos / "cafe\u0301.png")


def test_the_names_of_directories_are_carried(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, root = tmp_path / "photos", tmp_path / "root"
    for label in ("label=cat", "label=sea%2Flake", "label=__HIVE_DEFAULT_PARTITION__", "none"):
        write_photos(photos / label / "year=2019", 2)
    argv = ["--input", str(photos), "--image_id_from", "relative_path"]
    assert run_refresh(mean_color, root, *argv) == 0
    argv += ["--carry_columns", "label", "year"]
    assert run_embed(mean_color, tmp_path / "out", *argv, "--plan") == 0
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    rows = read(tmp_path / "out").select(["image_id", "label", "year"]).to_pylist()
    labels = {"label=cat": "cat", "label=sea%2Flake": "sea/lake"}
    assert len(rows) == 8
    for row in rows:
        assert row["label"] == labels.get(row["image_id"].split("/")[0])
        assert row["year"] == "2019"
    for _ in range(2):
        assert run_refresh(mean_color, root, *argv) == 0
        assert contents(latest(root)) == contents(tmp_path / "out")
    argv[-1] = "month"
    assert run_embed(mean_color, tmp_path / "none", *argv) == 2
    assert "nor is an image in a directory such as month=a/" in capsys.readouterr().err
