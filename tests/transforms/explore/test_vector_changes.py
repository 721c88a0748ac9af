"""Vectors compared, a part at a time, against NumPy."""

import json
import pathlib
import shutil

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.runs import run_embed, write_photos
from transforms.errors import InputError
from transforms.explore import vector_changes
from transforms.explore.run_diff import compare_runs
from transforms.explore.run_join import join_runs
from transforms.explore.vector_changes import VectorChanges, compare_vectors, count_cosines
from transforms.runs.record import PublishedRun
from transforms.runs.rows import open_run, read_vectors

ROWS = 60
DIM = 24


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, mean_color: str) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("vectors")
    write_photos(folder / "photos", ROWS)
    flags = ["--input", str(folder / "photos"), "--image_id_from", "relative_path"]
    assert run_embed(mean_color, folder / "run", *flags, "--rows_per_file", "10") == 0
    return folder / "run"


def with_vectors(
    published: pathlib.Path, copy: pathlib.Path, vectors: npt.NDArray[np.float32]
) -> PublishedRun:
    """Copies a run, with other vectors, in the order of its rows."""
    shutil.copytree(published, copy)
    start = 0
    for shard in open_run(str(copy)).results:
        table = pq.read_table(shard.data.path)
        part = vectors[start : start + shard.rows]
        start += shard.rows
        kind = pa.list_(pa.field("element", pa.float32(), nullable=False), vectors.shape[1])
        column = pa.FixedSizeListArray.from_arrays(pa.array(part.reshape(-1)), type=kind)
        place = table.schema.get_field_index("embedding")
        field = pa.field("embedding", kind, nullable=False)
        pq.write_table(table.set_column(place, field, column), shard.data.path)
    return open_run(str(copy))


def compare(before: PublishedRun, after: PublishedRun, k: int = 5) -> VectorChanges:
    done: list[int] = []
    changes = compare_vectors(before, after, join_runs(before, after), k, done.append)
    assert sum(done) == ROWS
    return changes


@pytest.fixture
def vectors() -> npt.NDArray[np.float32]:
    return np.random.default_rng(3).normal(size=(ROWS, DIM)).astype(np.float32)


@pytest.mark.parametrize("part_bytes", [1, 7 * DIM * 4, 2**30])
def test_equals_numpy(
    published: pathlib.Path,
    tmp_path: pathlib.Path,
    vectors: npt.NDArray[np.float32],
    monkeypatch: pytest.MonkeyPatch,
    part_bytes: int,
) -> None:
    monkeypatch.setattr(vector_changes, "PART_BYTES", part_bytes)
    noise = np.random.default_rng(4).normal(size=vectors.shape).astype(np.float32)
    noise[::3] = 0
    moved = vectors + 0.5 * noise
    vectors[1] = moved[1] = 0
    vectors[2], moved[2] = 0, 1
    before = with_vectors(published, tmp_path / "before", vectors)
    after = with_vectors(published, tmp_path / "after", moved)
    changes = compare(before, after)

    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(moved, axis=1)
    expected = (vectors * moved).sum(axis=1) / np.where(lengths, lengths, 1)
    expected[1] = 1  # Identical, though 0.
    np.testing.assert_allclose(changes.cosines, expected, atol=1e-6)
    is_identical = (vectors == moved).all(axis=1)
    assert changes.is_identical.tolist() == is_identical.tolist()
    assert (changes.cosines[is_identical] == 1).all()

    def neighbours(of: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        unit = of / np.maximum(np.linalg.norm(of, axis=1, keepdims=True), 1e-9)
        cosines = unit @ unit.T
        np.fill_diagonal(cosines, -2)
        return np.argsort(-cosines, axis=1)[:, :5]

    assert changes.overlap is not None
    assert changes.overlap.queries.tolist() == list(range(ROWS))
    shares = [
        len(set(was) & set(now)) / 5
        for was, now in zip(neighbours(vectors), neighbours(moved), strict=True)
    ]
    nonzero = vectors.any(axis=1)  # All are as near to a vector of zeros.
    np.testing.assert_allclose(changes.overlap.shares[nonzero], np.array(shares)[nonzero])
    assert 0.2 < changes.overlap.mean < 0.9


def test_another_dimension_keeps_its_neighbours(
    published: pathlib.Path, tmp_path: pathlib.Path, vectors: npt.NDArray[np.float32]
) -> None:
    wide = np.hstack([3 * vectors, np.zeros_like(vectors)])
    before = with_vectors(published, tmp_path / "before", vectors)
    after = with_vectors(published, tmp_path / "after", wide)
    changes = compare(before, after)
    assert changes.dims == (DIM, 2 * DIM)
    assert not changes.has_cosines
    assert changes.cosines.size == changes.is_identical.size == 0
    assert changes.overlap is not None
    assert changes.overlap.mean == 1
    verdict = compare_runs(before, after, 5, lambda count: None).verdict
    assert verdict.value == 1
    assert "dimensions differ" in verdict.meaning


def test_vectors_of_one_number_differ_by_its_size(
    published: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    """All are positive: their own cosines are 1."""
    numbers = np.random.default_rng(5).uniform(0.1, 1, (ROWS, 1)).astype(np.float32)
    moved, turned = numbers.copy(), 1.1 - numbers
    numbers[7], moved[7] = 1, 0.03
    before = with_vectors(published, tmp_path / "before", numbers)
    changes = compare(before, with_vectors(published, tmp_path / "moved", moved))
    assert changes.dims == (1, 1)
    assert changes.is_identical.sum() == ROWS - 1
    assert changes.cosines.argmin() == 7
    assert changes.cosines[7] == pytest.approx(1.03 / np.hypot(1, 1) / np.hypot(0.03, 1))
    after = with_vectors(published, tmp_path / "turned", turned.astype(np.float32))
    verdict = compare_runs(before, after, 5, lambda count: None).verdict
    assert verdict.value is not None
    assert verdict.value < 0.8


def test_a_sample_is_asked_of_many(
    published: pathlib.Path,
    tmp_path: pathlib.Path,
    vectors: npt.NDArray[np.float32],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(vector_changes, "QUERIES", 11)
    run = with_vectors(published, tmp_path / "run", vectors)
    overlaps = [compare(run, run, 100).overlap for _ in range(2)]
    assert overlaps[0] is not None
    assert overlaps[1] is not None
    assert len(set(overlaps[0].queries.tolist())) == 11
    assert overlaps[0].queries.tolist() == overlaps[1].queries.tolist()
    assert overlaps[0].k == ROWS - 1
    assert overlaps[0].mean == 1


def test_the_verdict_passes_over_one_in_a_hundred(
    published: pathlib.Path, tmp_path: pathlib.Path, vectors: npt.NDArray[np.float32]
) -> None:
    before = with_vectors(published, tmp_path / "before", vectors)
    vectors[7] *= -1
    after = with_vectors(published, tmp_path / "after", vectors)
    verdict = compare_runs(before, after, 5, lambda count: None).verdict
    assert verdict.value == pytest.approx(-1)  # Of 60, one is more than that.
    assert verdict.meaning == "99% of 60 images of unchanged content have at least this cosine"


def test_another_model_is_judged_by_its_neighbours(
    published: pathlib.Path, tmp_path: pathlib.Path, vectors: npt.NDArray[np.float32]
) -> None:
    before = with_vectors(published, tmp_path / "before", vectors)
    with_vectors(published, tmp_path / "after", vectors[:, ::-1])
    record = json.loads((tmp_path / "after" / "_run.json").read_text())
    record["recipe"]["model"] |= {"engine": "openvino", "precision": "int8", "quantized": "0a1b"}
    (tmp_path / "after" / "_run.json").write_text(json.dumps(record))
    found = compare_runs(before, open_run(str(tmp_path / "after")), 5, lambda count: None)
    assert found.has_same_model
    assert found.verdict.value is not None
    assert found.verdict.value < 0.5
    record["recipe"]["model"]["fingerprint"] = "another"
    (tmp_path / "after" / "_run.json").write_text(json.dumps(record))
    found = compare_runs(before, open_run(str(tmp_path / "after")), 5, lambda count: None)
    assert not found.has_same_model
    assert found.verdict.value == 1
    assert "the models differ" in found.verdict.meaning


def test_what_is_not_finite_is_said(
    published: pathlib.Path, tmp_path: pathlib.Path, vectors: npt.NDArray[np.float32]
) -> None:
    before = with_vectors(published, tmp_path / "before", vectors)
    vectors[5, 5] = np.nan
    after = with_vectors(published, tmp_path / "after", vectors)
    with pytest.raises(InputError, match="not finite"):
        compare(before, after)


def test_reads_the_rows_of_each_run(published: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The same images in another number of files, so in another order."""
    vectors = read_vectors(open_run(str(published)))
    assert len(vectors) == ROWS
    record = json.loads((published / "_run.json").read_text())
    flags = ["--input", *record["config"]["input"], "--image_id_from", "relative_path"]
    assert run_embed(record["config"]["model"], tmp_path / "run", *flags) == 0
    changes = compare(open_run(str(published)), open_run(str(tmp_path / "run")))
    assert changes.is_identical.all()


def test_cosines_are_counted_by_bands() -> None:
    cosines = np.array([1, 1, 0.999995, 0.99999, 0.95, 0.9, 0.4999, -1], np.float32)
    counts = count_cosines(cosines, cosines == 1)
    assert counts == {
        "identical": 2,
        "0.99999 to 1": 2,
        "0.9999 to 0.99999": 0,
        "0.999 to 0.9999": 0,
        "0.99 to 0.999": 0,
        "0.9 to 0.99": 2,
        "0.5 to 0.9": 0,
        "below 0.5": 2,
    }
