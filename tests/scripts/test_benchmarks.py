"""What scripts/benchmark names in words, and no type checker sees."""

import importlib.util

import pytest

from scripts.benchmarks.registry import CONTENDERS, DOFN, find_contender


@pytest.mark.parametrize("name", [*CONTENDERS, DOFN])
def test_a_contender_has_its_module(name: str) -> None:
    module = find_contender(name).module
    assert importlib.util.find_spec(f"scripts.benchmarks.contenders.{module}") is not None
