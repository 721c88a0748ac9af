"""What int8 costs, by answers that are known."""

import numpy as np
import pytest

from transforms.models.quantization_cost import NEIGHBOURS, measure_cost


def answers(images: int, dim: int = 8) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(images, dim)).astype(np.float32)


def test_the_same_answers_cost_nothing() -> None:
    cost = measure_cost(answers(40), answers(40))
    assert (cost.images, cost.top_1_agreement, cost.neighbour_overlap) == (40, 1, 1)
    assert (cost.cosine_median, cost.cosine_least) == (1, 1)


def test_each_measure_sees_its_own_kind_of_damage() -> None:
    reference = answers(40)
    one_turned = reference.copy()
    one_turned[7] *= -1
    cost = measure_cost(reference, one_turned)
    assert (cost.cosine_median, cost.cosine_least) == (1, -1)
    assert cost.top_1_agreement == pytest.approx(39 / 40)
    assert 0.9 < cost.neighbour_overlap < 1

    # A shift that all share moves every cosine and the neighbours, and no largest output.
    peaked = (reference / 4 + np.eye(8)[np.arange(40) % 8] * 10).astype(np.float32)
    cost = measure_cost(peaked, peaked + 1)
    assert cost.top_1_agreement == 1
    assert cost.cosine_median < 0.98


def test_neighbours_are_found_among_the_others_alone() -> None:
    """Two heaps of 11: the ten nearest of each image are the rest of its heap."""
    heaps = np.zeros((22, 2), np.float32)
    heaps[:11, 0] = heaps[11:, 1] = 1
    heaps += np.linspace(0, 0.1, 22, dtype=np.float32)[:, None]
    assert measure_cost(heaps, heaps[:, ::-1].copy()).neighbour_overlap == 1
    mixed = heaps.copy()
    mixed[:, 0], mixed[:, 1] = np.arange(22) % 2, np.arange(22) % 2 == 0
    assert measure_cost(heaps, mixed).neighbour_overlap == pytest.approx(0.5, abs=0.1)
    assert NEIGHBOURS == 10


def test_of_one_output_the_side_counts() -> None:
    outputs = np.arange(40, dtype=np.float32)[:, None] + 1
    assert measure_cost(outputs, outputs + 0.4).top_1_agreement == 1
    assert measure_cost(outputs, outputs + 4.0).top_1_agreement == pytest.approx(0.9)


def test_of_one_output_the_difference_counts() -> None:
    """All are positive: by direction each answer is like each other, and all are neighbours."""
    outputs = (answers(40, 1) ** 2 + 0.1).astype(np.float32)
    same = measure_cost(outputs, outputs)
    assert (same.cosine_least, same.neighbour_overlap) == (1, 1)
    mixed = measure_cost(outputs, np.random.default_rng(1).permutation(outputs))
    assert mixed.cosine_least < 0.9
    assert mixed.neighbour_overlap < 0.5
    moved = outputs.copy()
    moved[3] += 0.05 * outputs.max()
    assert 0.995 < measure_cost(outputs, moved).cosine_least < 0.9999
