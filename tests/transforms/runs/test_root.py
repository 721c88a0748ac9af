"""The root of refreshes: its newest run, why that cannot be read, and what is deleted."""

import pathlib

import pytest

from tests.support.buckets import Bucket
from transforms.errors import InputError, UnreadableRunError
from transforms.runs.directory import INDEX_FILE, RUN_FILE, SUCCESS_FILE
from transforms.runs.root import RunRoot


@pytest.fixture
def run(tmp_path: pathlib.Path) -> pathlib.Path:
    """A run that is there, of which nothing but that is known."""
    directory = tmp_path / "2026-11-30T02-15-04Z"
    directory.mkdir()
    (directory / RUN_FILE).write_text("{")
    (directory / SUCCESS_FILE).touch()
    return directory


def test_a_damaged_run_is_to_be_moved_away(run: pathlib.Path) -> None:
    with pytest.raises(InputError, match=f"cannot be read: Expecting .* move {run} away: the ref"):
        RunRoot(str(run.parent)).read_newest()


def test_a_run_that_may_not_be_read_is_not(run: pathlib.Path) -> None:
    (run / RUN_FILE).chmod(0)
    with pytest.raises(UnreadableRunError) as caught:
        RunRoot(str(run.parent)).read_newest()
    assert str(caught.value) == f"{run}/{RUN_FILE} cannot be read: Permission denied; mend that"


def test_what_is_left_of_older_runs_in_a_store_is_deleted(bucket: Bucket) -> None:
    data, parts = "embeddings-00000-of-00001.parquet", {}
    parts["2026-11-01T00-00-00Z"] = [data, RUN_FILE, SUCCESS_FILE]
    parts["2026-11-02T00-00-00Z"] = ["_inputs/00000-of-00001.arrow", data]  # half deleted
    parts["2026-11-03T00-00-00Z"] = [data, "notes.txt"]  # somebody's
    parts["2026-11-04T00-00-00Z"] = [data, RUN_FILE, SUCCESS_FILE]
    parts["2026-11-05T00-00-00Z"] = [data]  # newer than all that is complete
    for run, names in parts.items():
        for name in names:
            bucket.put(f"root/{run}/{name}")
    root = RunRoot(f"{bucket.uri}/root")
    root.prune()
    del parts["2026-11-02T00-00-00Z"]
    assert bucket.names() == sorted(f"root/{run}/{name}" for run in parts for name in parts[run])
    RunRoot(root.directory, keep=1).prune()
    del parts["2026-11-01T00-00-00Z"]
    assert bucket.names() == sorted(f"root/{run}/{name}" for run in parts for name in parts[run])


def test_an_index_goes_with_its_run(tmp_path: pathlib.Path) -> None:
    runs = [f"2026-11-0{day}T00-00-00Z" for day in (1, 2, 3, 4)]
    for run in runs:
        for name in (f"{run}/{RUN_FILE}", f"{run}/{SUCCESS_FILE}", f"{run}.index/{INDEX_FILE}"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("{}")
    (tmp_path / f"{runs[0]}.index" / "vectors-0.faiss").touch()
    (tmp_path / f"{runs[1]}.index").rename(tmp_path / "elsewhere")
    (tmp_path / f"{runs[1]}.index").symlink_to(tmp_path / "elsewhere")
    (tmp_path / f"{runs[2]}.index" / INDEX_FILE).rename(tmp_path / f"{runs[2]}.index" / "notes")
    half = f".{runs[0]}.index.0123abcd.pruned"
    (tmp_path / half).mkdir()
    RunRoot(str(tmp_path), keep=1).prune()
    left = sorted(path.name for path in tmp_path.iterdir())
    others = [f"{runs[1]}.index", f"{runs[2]}.index", "elsewhere"]
    assert left == sorted([runs[3], f"{runs[3]}.index", *others])
    assert (tmp_path / "elsewhere" / INDEX_FILE).exists()


def test_an_index_in_a_store_goes_with_its_run(bucket: Bucket) -> None:
    runs = ["2026-11-01T00-00-00Z", "2026-11-02T00-00-00Z"]
    for run in runs:
        for name in (RUN_FILE, SUCCESS_FILE):
            bucket.put(f"root/{run}/{name}")
        for name in (INDEX_FILE, "vectors-0.faiss"):
            bucket.put(f"root/{run}.index/{name}")
    RunRoot(f"{bucket.uri}/root", keep=1).prune()
    assert {name.split("/")[1] for name in bucket.names()} == {runs[1], f"{runs[1]}.index"}
