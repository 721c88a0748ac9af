"""Flags that are misspelt, of programs that have no others than their own."""

import pytest

from pipelines.cli.spelling import check_likeness
from transforms.errors import FlagError

FLAGS = ["--help", "-h", "--output", "--image_id", "--allow_zero_vectors", "--no-antialias"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("--outptu=x", "--output"),
        ("--image-di", "--image_id"),
        ("--allow", "--allow_zero_vectors"),
        ("--no_antialas", "--no-antialias"),
    ],
)
def test_a_misspelt_flag_is_named_with_the_one_that_was_meant(word: str, meant: str) -> None:
    name = word.partition("=")[0]
    with pytest.raises(FlagError, match=f"unknown flag or argument {name}; did you mean {meant}"):
        check_likeness(["run", word, "x"], FLAGS)


@pytest.mark.parametrize(
    "words",
    [["--output", "--outputs_are_not_like_this"], ["--image-id", "x"], ["--", "--outptu"], ["-o"]],
)
def test_what_is_right_or_like_nothing_passes(words: list[str]) -> None:
    check_likeness(words, FLAGS)
