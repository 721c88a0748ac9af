"""Where a run goes, and what the two kinds of place say to the same questions."""

import pathlib
import re

import pytest

from pipelines.running.destination import Destination, RefreshRoot, RunDirectory, keep_apart
from tests.support.runs import latest, read_record, run_refresh, write_photos
from transforms.errors import OutputError
from transforms.inputs.listing import classify_input
from transforms.lifecycle.basis import Fresh, Refresh
from transforms.runs.root import RunRoot


def test_a_run_directory_is_known_before_it_is_claimed() -> None:
    place = RunDirectory("/out/run")
    assert place.flag == "--output /out/run"
    assert place.output == place.choose_output() == "/out/run"
    assert place.root is None
    assert place.basis({}) == Fresh()


def test_a_refresh_root_names_a_new_run_and_builds_on_the_newest(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    place = RefreshRoot(RunRoot(str(tmp_path / "root")), 0.25)
    assert place.flag == f"--output_root {tmp_path / 'root'}"
    assert place.output is None
    assert place.basis({}) == Fresh()
    write_photos(tmp_path / "photos", 2)
    assert run_refresh(mean_color, tmp_path / "root", "--input", str(tmp_path / "photos")) == 0
    newest = latest(tmp_path / "root")
    assert re.fullmatch(r"[\dT:-]+Z", pathlib.Path(place.choose_output()).name)
    assert place.choose_output() > str(newest)
    basis = place.basis(read_record(newest)["recipe"])
    assert isinstance(basis, Refresh)
    assert basis.run.directory == str(newest)
    assert basis.has_same_recipe
    assert basis.counts.max_deleted_fraction == 0.25


@pytest.mark.parametrize("kind", ["output", "output_root"])
def test_an_input_that_holds_the_output_is_refused(tmp_path: pathlib.Path, kind: str) -> None:
    (tmp_path / "photos").mkdir()
    source = classify_input(str(tmp_path / "photos"))

    def place(path: pathlib.Path) -> Destination:
        directory = str(path)
        return RunDirectory(directory) if kind == "output" else RefreshRoot(RunRoot(directory), 1)

    keep_apart(place(tmp_path / "photos-run"), [source])
    for inside in (tmp_path / "photos", tmp_path / "photos" / "run"):
        with pytest.raises(OutputError, match=rf"--{kind} {inside} is inside --input"):
            keep_apart(place(inside), [source])
