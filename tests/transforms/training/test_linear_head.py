import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.linear_model import LogisticRegression

from tests.support.heads import gaussians, labelled, standardize
from transforms.training.class_labels import ClassLabels
from transforms.training.linear_head import Epoch, HeadSettings, TrainedHead, train_head
from transforms.training.vector_file import LabelledVectors

SETTINGS = HeadSettings(
    activation="softmax",
    l2=1e-4,
    label_smoothing=0.0,
    class_weights="none",
    epochs=100,
    patience=5,
    batch_size=64,
    learning_rate=0.01,
    seed=0,
)


@pytest.fixture(scope="module")
def rows() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    return gaussians(4000, 32, 8, 0.55)


def train(
    rows: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]],
    **settings: Any,  # noqa: ANN401
) -> TrainedHead:
    """Trains on three quarters."""
    vectors, classes = rows
    cut = len(vectors) * 3 // 4
    return train_head(
        labelled(vectors[:cut], classes[:cut]),
        labelled(vectors[cut:], classes[cut:]),
        standardize(vectors[:cut]),
        dataclasses.replace(SETTINGS, **settings),
        lambda epoch: None,
    )


def accuracy(
    head: TrainedHead, vectors: npt.NDArray[np.float32], classes: npt.NDArray[np.int64]
) -> float:
    return float((head.logits(vectors).argmax(axis=1) == classes).mean())


def test_it_is_as_accurate_as_scikit_learn(
    rows: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]],
) -> None:
    vectors, classes = rows
    head = train(rows)
    whole = standardize(vectors[:3000])
    theirs = LogisticRegression(max_iter=1000).fit(whole.apply(vectors[:3000]), classes[:3000])
    wanted = theirs.score(whole.apply(vectors[3000:]), classes[3000:])
    assert 0.6 < wanted < 0.95  # Neither chance nor easy.
    assert accuracy(head, vectors[3000:], classes[3000:]) > wanted - 0.005


def test_the_same_seed_gives_the_same_bytes(
    rows: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]],
) -> None:
    first, second, other = (train(rows, epochs=3, seed=seed) for seed in (1, 1, 2))
    assert first.kernel.tobytes() == second.kernel.tobytes()
    assert first.bias.tobytes() == second.bias.tobytes()
    assert first.kernel.tobytes() != other.kernel.tobytes()


def test_training_ends_when_the_validation_loss_no_longer_falls(
    rows: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]],
) -> None:
    vectors, classes = rows
    few = (np.concatenate([vectors[:60], vectors[60:80]]), classes[:80])  # It soon learns by heart.
    told: list[Epoch] = []
    head = train_head(
        labelled(few[0][:60], few[1][:60]),
        labelled(vectors[1000:2000], classes[1000:2000]),
        standardize(few[0][:60]),
        dataclasses.replace(SETTINGS, patience=3, learning_rate=0.1, l2=0.0),
        told.append,
    )
    assert [epoch.number for epoch in told] == list(range(1, len(head.epochs) + 1))
    assert len(told) == head.best.number + 3 < 100
    assert head.best.validation_loss <= min(epoch.validation_loss for epoch in told) / (1 - 1e-3)
    # The weights are the best pass's, not the last one's.
    logits = head.logits(vectors[1000:2000]).astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    chosen = logits[np.arange(1000), classes[1000:2000]]
    loss = (np.log(np.exp(logits).sum(axis=1)) - chosen).mean()
    assert loss == pytest.approx(head.best.validation_loss, rel=1e-3)


def test_more_l2_makes_smaller_weights(
    rows: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]],
) -> None:
    weak, strong = (train(rows, l2=l2, epochs=5) for l2 in (0.0, 0.1))
    assert np.abs(strong.kernel).sum() < 0.5 * np.abs(weak.kernel).sum()


def test_label_smoothing_makes_answers_less_sure(
    rows: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]],
) -> None:
    sharp, smooth = (train(rows, label_smoothing=value, epochs=8) for value in (0.0, 0.3))
    vectors = rows[0][3000:]
    assert (
        np.ptp(smooth.logits(vectors), axis=1).mean()
        < 0.8 * np.ptp(sharp.logits(vectors), axis=1).mean()
    )


def test_balanced_weights_find_more_of_a_rare_class() -> None:
    vectors, classes = gaussians(6000, 8, 2, 0.25)
    kept = (classes == 0) | (np.arange(len(classes)) % 20 == 0)
    rows = vectors[kept], classes[kept]
    cut = len(rows[0]) * 3 // 4
    rare = rows[1][cut:] == 1
    plain, balanced = (
        train(rows, class_weights=kind).logits(rows[0][cut:]).argmax(axis=1)
        for kind in ("none", "balanced")
    )
    assert (balanced[rare] == 1).mean() > (plain[rare] == 1).mean() + 0.2


def test_sigmoid_decides_each_class_by_itself() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(2000, 6)).astype(np.float32)
    holds = vectors[:, :3] + 0.3 * random.normal(size=(2000, 3)) > 0.5  # None, one or several.
    counts = holds.sum(axis=1)
    labels = ClassLabels(
        ("a", "b", "c"),
        np.concatenate([[0], np.cumsum(counts)]),
        np.nonzero(holds)[1].astype(np.int32),
        np.ones(2000, bool),
    )
    parts = [np.arange(2000) < 1500, np.arange(2000) >= 1500]
    training, validation = (LabelledVectors(vectors[p], labels.select(p)) for p in parts)
    settings = dataclasses.replace(SETTINGS, activation="sigmoid", class_weights="balanced")
    head = train_head(
        training, validation, standardize(vectors[:1500]), settings, lambda epoch: None
    )
    right = (head.logits(vectors[1500:]) > 0) == holds[1500:]
    assert right.mean() > 0.9
