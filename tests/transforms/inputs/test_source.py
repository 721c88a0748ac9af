"""Which names an input stands for."""

import warnings

import pytest

from transforms.inputs.source import Source
from transforms.records import ShardKind


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        ("gs://b/a/**/*.jpg", ["a/x.jpg", "a/b/x.jpg", "a/b/c/x.jpg"], ["x.jpg", "a/x.png"]),
        ("gs://b/*/x-?.jpg", ["a/x-1.jpg"], ["a/b/x-1.jpg", "a/x-10.jpg", "x-1.jpg"]),
        ("gs://b/[!a].jpg", ["b.jpg"], ["a.jpg"]),
    ],
)
def test_a_glob_matches_as_in_a_shell(glob: str, matching: list[str], others: list[str]) -> None:
    source = Source(ShardKind.IMAGES, glob, "gs://b", is_directory=False)
    assert all(source.matches(f"gs://b/{name}") for name in matching)
    assert not any(source.matches(f"gs://b/{name}") for name in others)


def test_a_directory_matches_what_is_below_it_and_not_its_neighbours() -> None:
    source = Source(ShardKind.IMAGES, "/a/b", "/a/b", is_directory=True)
    assert source.matches("/a/b/c/x.jpg")
    assert not source.matches("/a/bc/x.jpg")


def test_a_glob_may_say_a_bracket_without_a_warning() -> None:
    source = Source(ShardKind.IMAGES, "/a/[[]x]/*.jpg", "/a", is_directory=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert source.matches("/a/[x]/1.jpg")
    assert not source.matches("/a/x/1.jpg")
