"""A model on demand: loaded once, aside, and again after a failure."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from transforms.errors import ModelError
from transforms.steps.model_on_demand import ModelOnDemand


def test_nothing_is_loaded_before_somebody_asks() -> None:
    loaded: list[str] = []
    model = ModelOnDemand(lambda: loaded.append("model"))
    assert loaded == []
    model()
    assert loaded == ["model"]


def test_threads_that_call_at_the_same_time_get_one_model() -> None:
    model = ModelOnDemand(object)
    model.begin()
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: id(model()), range(64)))) == 1


def test_it_is_loaded_while_others_work() -> None:
    may_end = threading.Event()

    def load() -> str:
        assert may_end.wait(timeout=60)
        return "model"

    model = ModelOnDemand(load)
    assert not model.begin().done()
    may_end.set()
    assert model() == "model"
    assert model.begin().done()


def away_at_first() -> ModelOnDemand[str]:
    """Makes a model that can be loaded the second time."""
    tries = iter((ModelError("the store is away"), None))

    def load() -> str:
        error = next(tries)
        if error is not None:
            raise error
        return "model"

    return ModelOnDemand(load)


def test_a_failure_is_told_to_all_who_wait_and_the_next_call_tries_again() -> None:
    model = away_at_first()
    model.begin()
    with pytest.raises(ModelError, match="the store is away"):
        model()
    assert model() == "model"


def test_a_failure_that_nobody_heard_of_can_be_forgotten() -> None:
    model = away_at_first()
    assert isinstance(model.begin().exception(timeout=60), ModelError)
    model.forget_failure()
    assert model() == "model"
    model.forget_failure()
    assert model() == "model"
