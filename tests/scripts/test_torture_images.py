"""Image files made to cost, a hundredth of their size, and damaged ones."""

import pathlib
from collections.abc import Iterator

import pytest

from scripts.torture.images.__main__ import KINDS
from scripts.torture.images.repeat import unlike
from scripts.torture.images.watch import Watch

SCALE = 0.01
MAX_SECONDS, MAX_BYTES, PIXEL_BYTES = 2.0, 150_000_000, 20


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.close()


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_costs_more_than_it_may(kind: str, watch: Watch, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    for name, make in KINDS[kind].items():
        path.write_bytes(make(SCALE))
        cost = watch.decode(name, path)
        assert not cost.is_breach, cost
        assert cost.seconds < MAX_SECONDS, cost
        assert cost.peak_bytes < MAX_BYTES + PIXEL_BYTES * cost.pixels + cost.file_bytes, cost


def test_damaged_files_are_the_same_whatever_was_in_memory() -> None:
    assert unlike(20) == []
