"""Classes compared between two runs: flips, sets, scores, and which classes are the same."""

import json
import pathlib
import shutil
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import classify
from tests.support.runs import write_photos
from transforms.errors import InputError
from transforms.explore.label_changes import LabelChanges, compare_labels, count_score_changes
from transforms.explore.run_diff import compare_runs
from transforms.explore.run_join import join_runs
from transforms.runs.rows import open_run

Answer = tuple[Sequence[int], Sequence[float]]
"""The classes of an image, best first, and their scores."""

BEFORE: list[Answer] = [
    ([0, 1], [0.9, 0.1]),
    ([1, 2], [0.8, 0.2]),
    ([1, 0], [0.7, 0.2]),
    ([2, 1], [0.6, 0.4]),
    ([1, 2], [0.5, 0.4]),
]
AFTER: list[Answer] = [
    ([0, 1], [0.9, 0.1]),
    ([2, 1], [0.6, 0.3]),
    ([2, 1], [0.9, 0.1]),
    ([2, 0], [0.8, 0.1]),
    ([0, 3], [0.9, 0.05]),
]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, logits: str) -> pathlib.Path:
    """A run of five images in one file."""
    folder = tmp_path_factory.mktemp("labels")
    write_photos(folder / "photos", len(BEFORE))
    flags = ["--input", str(folder / "photos"), "--model", logits, "--top_k", "2"]
    assert classify.main([*flags, "--output", str(folder / "run")]) == 0
    return folder / "run"


def with_answers(
    published: pathlib.Path,
    copy: pathlib.Path,
    answers: list[Answer],
    labels: Sequence[str] | None = None,
) -> None:
    """Copies a run, with other classes and labels, in the order of its rows."""
    shutil.copytree(published, copy)
    record = json.loads((copy / "_run.json").read_text())
    record["recipe"]["outputs"]["labels"] = None if labels is None else "/".join(labels)
    (copy / "_run.json").write_text(json.dumps(record))
    (shard,) = open_run(str(copy)).results
    table = pq.read_table(shard.data.path)
    columns = {
        "class_index": [index for index, _ in answers],
        "class_label": [[labels and labels[i] for i in index] for index, _ in answers],
        "score": [score for _, score in answers],
    }
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        field = table.schema.field(name)
        table = table.set_column(place, field, pa.array(values, field.type))
    pq.write_table(table, shard.data.path)


def compare(before: pathlib.Path, after: pathlib.Path) -> LabelChanges:
    runs = open_run(str(before)), open_run(str(after))
    return compare_labels(*runs, join_runs(*runs))


def test_counts_flips_and_sets(published: pathlib.Path, tmp_path: pathlib.Path) -> None:
    names = ["cat", "dog", "cow", "hen"]
    with_answers(published, tmp_path / "before", BEFORE, names)
    with_answers(published, tmp_path / "after", AFTER, names)
    changes = compare(tmp_path / "before", tmp_path / "after")
    assert changes.matched_by == "class_index"
    assert changes.is_flip.tolist() == [False, True, True, False, True]
    assert changes.k == 2
    assert changes.overlaps.tolist() == [1, 1, 0.5, 0.5, 0]
    assert changes.score_before.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5])
    assert changes.score_after.tolist() == pytest.approx([0.9, 0.6, 0.9, 0.8, 0.9])
    # The surest in both: 0.7 of image 2, 0.6 of image 1, 0.5 of image 4.
    assert changes.surest_flips().tolist() == [2, 1, 4]
    flips = [(flip.before, flip.after, flip.pairs.tolist()) for flip in changes.flips()]
    assert flips == [("dog", "cow", [2, 1]), ("dog", "cat", [4])]
    verdict = compare_runs(
        open_run(str(tmp_path / "before")), open_run(str(tmp_path / "after")), 10, print
    ).verdict
    assert verdict.value == 0.4
    assert verdict.meaning == "the share of 5 images of unchanged content with the same best class"


def test_other_label_lists_are_matched_by_text(
    published: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with_answers(published, tmp_path / "before", BEFORE, ["cat", "dog", "cow"])
    shifted: list[Answer] = [([i + 1 for i in index], score) for index, score in BEFORE]
    with_answers(published, tmp_path / "after", shifted, ["background", "cat", "dog", "cow"])
    changes = compare(tmp_path / "before", tmp_path / "after")
    assert changes.matched_by == "class_label"
    assert not changes.is_flip.any()
    assert changes.overlaps.tolist() == [1] * 5
    assert set(changes.names) == {"cat", "dog", "cow"}


@pytest.mark.parametrize("named", ["before", "after", "neither"])
def test_without_labels_numbers_say_it(
    published: pathlib.Path, tmp_path: pathlib.Path, named: str
) -> None:
    names = ["cat", "dog", "cow", "hen"]
    for which, answers in (("before", BEFORE), ("after", AFTER)):
        with_answers(published, tmp_path / which, answers, names if which == named else None)
    changes = compare(tmp_path / "before", tmp_path / "after")
    assert changes.matched_by == "class_index"
    first = changes.flips()[0]
    wanted = ("1", "2") if named == "neither" else ("dog", "cow")
    assert (first.before, first.after) == wanted
    assert first.pairs.tolist() == [2, 1]


def test_another_number_of_classes_an_image(
    published: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with_answers(published, tmp_path / "before", BEFORE)
    one: list[Answer] = [(index[:1], score[:1]) for index, score in BEFORE]
    with_answers(published, tmp_path / "after", one)
    changes = compare(tmp_path / "before", tmp_path / "after")
    assert changes.k == 1
    assert not changes.is_flip.any()
    assert changes.overlaps.tolist() == [1] * 5


@pytest.mark.parametrize(
    "answers",
    [
        [([0, 1], [0.5, 0.5]), ([0], [0.5]), *BEFORE[2:]],
        [([], []), *BEFORE[1:]],
        [([0, 1], [0.5]), *BEFORE[1:]],
    ],
)
def test_damaged_rows_are_said(
    published: pathlib.Path, tmp_path: pathlib.Path, answers: list[Answer]
) -> None:
    with_answers(published, tmp_path / "after", answers)
    with pytest.raises(InputError, match="classes"):
        compare(published, tmp_path / "after")


def test_score_changes_are_counted_by_bands() -> None:
    changes = np.array([-1, -0.05, -0.005, 0, 0.0005, 0.05, 0.1, 0.5], np.float64)
    assert count_score_changes(changes.astype(np.float32)) == {
        "below -0.1": 1,
        "-0.1 to -0.01": 1,
        "-0.01 to -0.001": 1,
        "-0.001 to +0.001": 2,
        "+0.001 to +0.01": 0,
        "+0.01 to +0.1": 1,
        "+0.1 or more": 2,
    }
