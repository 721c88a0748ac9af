"""Two runs put together: what is shared, moved, gone and new, and what fails."""

import pathlib
import shutil

import numpy as np
import pytest

from tests.support.runs import run_embed, solid, write_photos
from transforms.errors import InputError
from transforms.explore.run_join import Rows, RunJoin, join_runs, pair_by_content
from transforms.runs.record import PublishedRun
from transforms.runs.rows import open_run, take_rows

BY_NAME = ["--image_id_from", "relative_path", "--max_failed_fraction", "0.5"]


def embed(model: str, photos: pathlib.Path, run: pathlib.Path, *flags: str) -> PublishedRun:
    assert run_embed(model, run, "--input", str(photos), *BY_NAME, *flags) == 0
    return open_run(str(run))


def ids(run: PublishedRun, rows: Rows) -> list[str]:
    return take_rows(run, rows, ["image_id"])["image_id"].to_pylist()


@pytest.fixture(scope="module")
def runs(
    tmp_path_factory: pytest.TempPathFactory, mean_color: str
) -> tuple[PublishedRun, PublishedRun]:
    """A run of 80 photos, and one after much has happened to them; in another number of files."""
    folder = tmp_path_factory.mktemp("join")
    photos = folder / "photos"
    write_photos(photos, 80)
    (photos / "photo-001.png").write_bytes(b"damaged")
    (photos / "photo-002.png").write_bytes(b"damaged")
    before = embed(mean_color, photos, folder / "before", "--rows_per_file", "10")
    (photos / "photo-001.png").write_bytes(solid(1, 1, 1))
    (photos / "photo-003.png").write_bytes(b"damaged")
    (photos / "photo-004.png").unlink()
    (photos / "photo-005.png").write_bytes(solid(250, 250, 250))
    (photos / "photo-006.png").rename(photos / "renamed.png")
    (photos / "fresh.png").write_bytes(solid(9, 9, 9))
    after = embed(mean_color, photos, folder / "after")
    assert len(before.results) > len(after.results)
    return before, after


def test_every_row_is_in_one_place(runs: tuple[PublishedRun, PublishedRun]) -> None:
    before, after = runs
    join = join_runs(before, after)
    assert ids(before, join.removed) == ["photo-004.png"]
    assert ids(after, join.added) == ["fresh.png"]
    assert ids(before, join.failing) == ["photo-003.png"]
    assert ids(after, join.recovered) == ["photo-001.png"]
    was, now = ids(before, join.before), ids(after, join.after)
    moved = [(was[n], now[n]) for n in np.flatnonzero(join.is_moved)]
    assert moved == [("photo-006.png", "renamed.png")]
    assert [now[n] for n in np.flatnonzero(~join.is_unchanged)] == ["photo-005.png"]
    assert all(was[n] == now[n] for n in np.flatnonzero(~join.is_moved))
    assert (np.diff(join.before) > 0).all()
    rows_before = np.concatenate([join.before, join.removed, join.failing])
    rows_after = np.concatenate([join.after, join.added, join.recovered])
    assert sorted(rows_before) == list(range(78))
    assert sorted(rows_after) == list(range(78))
    assert len(join) == 76


def test_the_other_way_round_is_the_mirror(runs: tuple[PublishedRun, PublishedRun]) -> None:
    def pairs(join: RunJoin) -> set[tuple[int, int]]:
        return set(zip(join.before.tolist(), join.after.tolist(), strict=True))

    before, after = runs
    there, back = join_runs(before, after), join_runs(after, before)
    assert {(now, was) for was, now in pairs(there)} == pairs(back)
    for name, mirror in (("removed", "added"), ("failing", "recovered")):
        assert getattr(there, name).tolist() == getattr(back, mirror).tolist()


def test_all_ids_may_be_others(
    runs: tuple[PublishedRun, PublishedRun], tmp_path: pathlib.Path, mean_color: str
) -> None:
    photos = tmp_path / "photos"
    write_photos(photos, 80)
    uris = run_embed(mean_color, tmp_path / "run", "--input", str(photos))
    assert uris == 0
    run = open_run(str(tmp_path / "run"))
    join = join_runs(runs[0], run)
    assert join.is_moved.all()
    assert len(join) == 78
    was, now = ids(runs[0], join.before), ids(run, join.after)
    assert [f"{photos}/{name}" for name in was] == now


@pytest.mark.parametrize(
    ("first", "second", "pairs"),
    [
        ("", "", []),
        ("ab", "", []),
        ("abc", "cxa", [(0, 2), (2, 0)]),
        ("aaab", "baa", [(0, 1), (1, 2), (3, 0)]),
        ("ab", "aaabb", [(0, 0), (1, 3)]),
    ],
)
def test_copies_are_paired_one_to_one(
    first: str, second: str, pairs: list[tuple[int, int]]
) -> None:
    columns = [np.array([*map(ord, text)], np.uint64) for text in (first, second)]
    places = pair_by_content(*columns)
    assert sorted(zip(*(found.tolist() for found in places), strict=True)) == pairs


def test_a_damaged_run_is_said(
    runs: tuple[PublishedRun, PublishedRun], tmp_path: pathlib.Path
) -> None:
    before, after = runs
    shutil.copytree(after.directory, tmp_path / "copy")
    copy = open_run(str(tmp_path / "copy"))
    (tmp_path / "copy" / "_failures.jsonl").unlink()
    with pytest.raises(InputError, match=r"failures\.jsonl cannot be read"):
        join_runs(before, copy)
    shutil.copyfile(copy.results[0].data.path, copy.results[1].data.path)
    with pytest.raises(InputError, match="more than once"):
        join_runs(before, copy)
