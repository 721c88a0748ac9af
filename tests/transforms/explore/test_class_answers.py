"""The classes of a run, read back in either format."""

import pathlib

import pytest

from pipelines import classify
from tests.support.runs import write_photos
from transforms.explore.class_answers import ClassAnswers
from transforms.runs.rows import open_run


@pytest.mark.parametrize("output_format", ["parquet", "tfrecord"])
def test_classes_without_labels_have_none_in_either_format(
    tmp_path: pathlib.Path, logits: str, output_format: str
) -> None:
    write_photos(tmp_path / "photos", 3)
    flags = ["--input", str(tmp_path / "photos"), "--output_format", output_format]
    model = ["--model", logits, "--top_k", "3", "--output", str(tmp_path / "run")]
    assert classify.main([*flags, *model]) == 0
    answers = ClassAnswers.read(open_run(str(tmp_path / "run")))
    assert answers.labels == {0: None, 1: None, 2: None}
