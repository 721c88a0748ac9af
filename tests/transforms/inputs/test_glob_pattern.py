"""What globs mean: the same as to Beam, but for what a shell says otherwise."""

import itertools
import re
import warnings

import pytest
from apache_beam.io.filesystem import FileSystem

from transforms.inputs.glob_pattern import (
    fixed_part,
    glob_regex,
    has_wildcards,
    quoted,
    with_any_character,
)

PIECES = ("*", "?", "[", "]", "[a-c]", "[!b]", "[^b]", "[]x]", "a", "b", "/", ".", "\\")
NAMES = ["".join(parts) for n in range(1, 5) for parts in itertools.product("a[]/.\\^", repeat=n)]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_glob_means_what_it_means_to_beam(length: int) -> None:
    for pieces in itertools.product(PIECES, repeat=length):
        glob = "".join(pieces)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            pattern = FileSystem.translate_pattern(glob).replace(".*/", "(?:.*/)?")
            # Beam's * stops at a backslash, for Windows.
            theirs = re.compile(pattern.replace(r"[^/\\]*", "[^/]*"))
        ours = glob_regex(glob)
        for name in NAMES[:: 1 if length < 3 else 7]:
            assert bool(ours.match(name)) == bool(theirs.match(name)), (glob, name)


def test_what_is_no_glob_says_so() -> None:
    with pytest.raises(
        ValueError, match=r"bad character range z-a in '/a/\[z-a\]'; wanted \[a-z\]"
    ):
        glob_regex("/a/[z-a]")


@pytest.mark.parametrize("path", ["/a/b.jpg", "/[2021] trip/?", "/a*/[[]x]", "/[!a]"])
def test_a_quoted_path_matches_itself_alone(path: str) -> None:
    assert glob_regex(quoted(path)).match(path)
    assert not any(glob_regex(quoted(path)).match(other) for other in ("/a/b-jpg", "/2 trip/x"))


def test_wildcards_are_found_cut_off_and_replaced() -> None:
    assert [has_wildcards(uri) for uri in ("/a/x*", "/a/x?", "/a/x[1]", "/a/x]")] == [
        True, True, True, False,
    ]  # fmt: skip
    assert fixed_part("gs://b/a/x-*.jpg") == "gs://b/a/x-"
    assert fixed_part("gs://b/a/x.jpg") == "gs://b/a/x.jpg"
    assert with_any_character("/a/x[1].jpg") == "/a/x?1].jpg"
