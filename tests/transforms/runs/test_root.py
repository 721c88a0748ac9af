"""The root of refreshes: its newest run, why that cannot be read, and what is deleted."""

import pathlib

import pytest

from tests.support.buckets import Bucket
from transforms.errors import InputError, UnreadableRunError
from transforms.runs.directory import RUN_FILE, SUCCESS_FILE
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
