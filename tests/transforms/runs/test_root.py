"""The root of refreshes: its newest run, and why that cannot be read."""

import pathlib

import pytest

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
