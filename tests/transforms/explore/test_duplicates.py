"""Copies and near-duplicates of a real run, also where only a sample of it is at hand."""

import pathlib

import numpy as np
import pytest

from tests.support.runs import run_embed, write_photos
from transforms.explore.duplicates import find_duplicates
from transforms.explore.input_survey import InputSurvey
from transforms.explore.vector_survey import draw_sample, survey_vectors
from transforms.runs.rows import open_run, read_vectors

LEAST = 0.99999
PHOTOS = 60


@pytest.mark.parametrize("sample_rows", [PHOTOS + 2, 20])
def test_groups_are_those_of_comparing_everything(
    tmp_path: pathlib.Path, mean_color: str, sample_rows: int
) -> None:
    write_photos(tmp_path / "photos", PHOTOS)
    for name in ("copy-1.png", "copy-2.png"):
        (tmp_path / "photos" / name).write_bytes((tmp_path / "photos/photo-007.png").read_bytes())
    assert run_embed(mean_color, tmp_path / "run", "--input", str(tmp_path / "photos")) == 0
    run = open_run(str(tmp_path / "run"))
    read = 0

    def on_rows(count: int) -> None:
        nonlocal read
        read += count

    inputs = InputSurvey()
    survey = survey_vectors(run, sample_rows, inputs, on_rows)
    assert read == survey.rows == len(inputs.sizes()) == PHOTOS + 2
    vectors = read_vectors(run)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(survey.sample, unit[survey.sample_rows], rtol=1e-6)
    assert len(survey.sample_rows) == sample_rows
    duplicates = find_duplicates(run, survey, LEAST)
    (copies,) = duplicates.copies
    assert len(copies.rows) == 3
    assert (vectors[copies.rows] == vectors[copies.rows[0]]).all()
    near = np.argwhere(np.triu(unit @ unit.T >= LEAST, k=1))
    expected = {int(row) for row in near.flatten()} - set(copies.rows[1:].tolist())
    found = {int(row) for group in duplicates.near for row in group.rows}
    assert found - set(copies.rows.tolist()) == expected - set(copies.rows.tolist())
    assert duplicates.unchecked == 0
    assert duplicates.probes.found == duplicates.probes.near


def test_a_sample_is_ascending_and_the_same_every_time() -> None:
    rows = draw_sample(1000, 100)
    assert (np.diff(rows) > 0).all()
    assert (draw_sample(1000, 100) == rows).all()
    assert draw_sample(5, 100).tolist() == [0, 1, 2, 3, 4]
