"""Vectors of a real run judged by their neighbours, against NumPy and scikit-learn."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from tests.support.runs import run_embed, write_photos
from transforms.errors import InputError
from transforms.evaluation import vector_accuracy
from transforms.evaluation.truth import Truth
from transforms.evaluation.vector_accuracy import measure_vectors
from transforms.runs.record import PublishedRun
from transforms.runs.rows import open_run, read_vectors

ROWS = 60
NAMES = ("a", "b", "c", "alone", "nowhere")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, mean_color: str) -> PublishedRun:
    """A run of several files."""
    folder = tmp_path_factory.mktemp("vectors")
    write_photos(folder / "photos", ROWS)
    flags = ["--input", str(folder / "photos"), "--image_id_from", "relative_path"]
    flags += ["--rows_per_file", "10"]
    assert run_embed(mean_color, folder / "run", *flags) == 0
    return open_run(str(folder / "run"))


@pytest.fixture(scope="module")
def truth(run: PublishedRun) -> Truth:
    """Labels of 50 rows, in no order: by brightness, but for a few, and for one that is alone."""
    random = np.random.default_rng(2)
    rows = random.permutation(ROWS)[:50]
    labels = (read_vectors(run)[rows, 1] * 3).astype(np.int32).clip(0, 2)
    labels[:6] = random.integers(0, 3, 6)
    labels[20] = 3
    return Truth("made up", NAMES, rows, labels, ())


def unit_vectors(run: PublishedRun, truth: Truth) -> np.ndarray:
    vectors = read_vectors(run)[truth.rows].astype(np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_neighbours_are_those_of_all_pairs(run: PublishedRun, truth: Truth) -> None:
    done: list[int] = []
    found = measure_vectors(run, truth, done.append)
    assert sum(done) == 2 * ROWS
    asked = np.flatnonzero(truth.labels != 3)
    assert found.queries.tolist() == asked.tolist()
    assert (found.alone, found.images, len(found), found.k) == (1, 50, 49, 10)
    vectors = unit_vectors(run, truth)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    wanted = -np.sort(-cosines[asked], axis=1)[:, :10]
    np.testing.assert_allclose(found.neighbours.cosines, wanted, atol=1e-6)
    # Of equally near ones any may be found.
    nearest = np.take_along_axis(cosines[asked], found.nearest[:, None], axis=1)
    np.testing.assert_allclose(nearest, wanted[:, :1], atol=1e-6)
    np.testing.assert_array_equal(found.neighbours.labels[:, 0], truth.labels[found.nearest])
    np.testing.assert_array_equal(found.neighbours.truth, truth.labels[asked])


def test_silhouettes_are_those_of_scikit_learn(run: PublishedRun, truth: Truth) -> None:
    found = measure_vectors(run, truth, lambda count: None)
    wanted = silhouette_samples(unit_vectors(run, truth), truth.labels, metric="cosine")
    np.testing.assert_allclose(found.silhouettes, wanted, atol=1e-5)


def test_some_of_many_are_asked_about_all(
    run: PublishedRun, truth: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = measure_vectors(run, truth, lambda count: None)
    monkeypatch.setattr(vector_accuracy, "QUERIES", 7)
    some = measure_vectors(run, truth, lambda count: None)
    assert len(some) == 7
    places = np.searchsorted(everything.queries, some.queries)
    np.testing.assert_array_equal(everything.queries[places], some.queries)
    np.testing.assert_allclose(
        everything.neighbours.cosines[places], some.neighbours.cosines, atol=1e-6
    )
    np.testing.assert_array_equal(everything.silhouettes, some.silhouettes)


def test_the_surest_mistake_has_the_nearest_neighbour(run: PublishedRun, truth: Truth) -> None:
    found = measure_vectors(run, truth, lambda count: None)
    worst = found.surest_mistakes()
    assert len(worst) == (~found.neighbours.is_voted_right(1)).sum() > 1
    assert (np.diff(found.neighbours.cosines[worst, 0]) <= 0).all()


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_one_class_or_none_of_two_images_says_nothing(
    run: PublishedRun, truth: Truth, labels: list[int]
) -> None:
    few = dataclasses.replace(truth, rows=np.arange(3), labels=np.array(labels, np.int32))
    with pytest.raises(InputError, match=r"made up: got . classes of at most . images"):
        measure_vectors(run, few, lambda count: None)
