"""How the head is trained, as far as the flags leave it open."""

import pytest

from pipelines.cli.train_flags import TrainConfig
from pipelines.training.head_training import choose_settings


@pytest.mark.parametrize(
    ("training_rows", "batch_size"),
    [(10, 64), (3_249, 64), (10_000, 200), (102_400, 2_048), (10_000_000, 2_048)],
)
def test_a_pass_has_about_fifty_steps(training_rows: int, batch_size: int) -> None:
    config = TrainConfig(embeddings=("vectors",), output="classifier")
    assert choose_settings(config, training_rows).batch_size == batch_size


def test_a_flag_decides() -> None:
    config = TrainConfig(embeddings=("vectors",), output="classifier", batch_size=7, l2=0.5, seed=3)
    settings = choose_settings(config, 10_000)
    assert (settings.batch_size, settings.l2, settings.seed) == (7, 0.5, 3)
    assert (settings.activation, settings.epochs) == ("softmax", 100)
