"""What --exclude leaves out, of directories here and of stores."""

import os
import pathlib

import pytest

from tests.support.buckets import Bucket
from tests.support.remote import OBJECTS
from transforms.inputs.entries import Skipped, Unlisted
from transforms.inputs.exclusion import check_exclusion, excluded_part
from transforms.inputs.listing import classify_inputs, list_source
from transforms.lifecycle.recall import Unseen

TREE = (
    "a.jpg",
    "a_small.jpg",
    "d/b.jpg",
    "d/b_small.jpg",
    "d/@eaDir/b.jpg/THUMB_1.jpg",
    "d/@eaDir/b.jpg/THUMB_2.jpg",
    "d/@eaDirs/c.jpg",
    "d/x/@eaDir/c.jpg",
    "x/@eaDir",
    "x/d/b.jpg",
    ".thumbnails/t.jpg",
)
FILES = {name for name in TREE if name.endswith(".jpg") and not name.startswith(".")}


def parts_of(root: str, pattern: str, *globs: str) -> tuple[set[str], list[str]]:
    """Lists an input as the names taken, and those that are excluded."""
    taken, excluded = set(), []
    for source in classify_inputs(f"{root}/{pattern}", excluded=globs):
        for listed in list_source(source):
            assert not isinstance(listed, Unlisted)
            name = listed.uri[len(root) + 1 :]
            if not isinstance(listed, Skipped):
                taken.add(name)
            elif listed.reason == "excluded":
                excluded.append(name)
    return taken, sorted(excluded)


@pytest.mark.parametrize(
    ("globs", "path", "part"),
    [
        (("@eaDir",), "a/@eaDir/b/c.jpg", "a/@eaDir"),
        (("@eaDir",), "@eaDir", "@eaDir"),
        (("@eaDir",), "a/@eaDirs/c.jpg", None),
        (("@eaDir/",), "a/@eaDir/c.jpg", "a/@eaDir"),
        (("@eaDir/",), "a/@eaDir", None),
        (("*_small.jpg",), "a/b_small.jpg", "a/b_small.jpg"),
        (("**/*_small.jpg",), "a_small.jpg", "a_small.jpg"),
        (("**/*_small.jpg",), "a/b/c_small.jpg", "a/b/c_small.jpg"),
        (("a/*.jpg",), "a/b.jpg", "a/b.jpg"),
        (("a/*.jpg",), "a/b/c.jpg", None),
        (("a/*.jpg",), "x/a/b.jpg", None),
        (("2019/raw",), "2019/raw/b/c.jpg", "2019/raw"),
        (("2019/raw",), "x/2019/raw/c.jpg", None),
        (("x", "b"), "a/b/x/c.jpg", "a/b"),
        (("?",), "ab/c/d.jpg", "ab/c"),
        (("a?b", "a[!x]b"), "a/b", None),
        (("*.{png,gif}",), "a/b.gif", "a/b.gif"),
        (("{a,b}",), "{a,b}/c.jpg", "{a,b}"),
        (("A",), "a/b.jpg", None),
        ((".",), "a/b.jpg", None),
    ],
)
def test_a_glob_excludes_a_name_anywhere_or_a_path_below_the_root(
    globs: tuple[str, ...], path: str, part: str | None
) -> None:
    assert excluded_part(globs, path) == part


@pytest.mark.parametrize("glob", ["", "/photos/@eaDir", "gs://b/x", "./a", "a/../b", "a//b", "/"])
def test_a_glob_that_can_exclude_nothing_is_refused(glob: str) -> None:
    with pytest.raises(ValueError, match=r"got .*; wanted a name, such as @eaDir, or a path"):
        check_exclusion(glob)


def test_a_glob_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="bad character range z-a"):
        check_exclusion("[z-a].jpg")
    with pytest.raises(ValueError, match=r"^'{0\.\.999999}': the braces stand for more than"):
        check_exclusion("{0..999999}")


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> str:
    for name in TREE:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"123")
    return str(tmp_path / "tree")


CASES = [
    ("", (), FILES, []),
    ("", ("@eaDir",), FILES, ["d/@eaDir", "d/x/@eaDir", "x/@eaDir"]),
    ("", ("@eaDir/", "a_*"), FILES, ["a_small.jpg", "d/@eaDir", "d/x/@eaDir"]),
    ("", ("d/*_small.jpg", "x"), FILES, ["d/b_small.jpg", "d/x", "x"]),
    ("**/*.jpg", ("d", ".thumbnails"), FILES, [".thumbnails", "d", "x/d"]),
    ("d/*.jpg", ("*_small*", "x"), {"d/b.jpg", "d/b_small.jpg"}, ["d/b_small.jpg"]),
    ("d", ("d", "b.jpg", "x/@eaDir"), FILES, ["d/@eaDir/b.jpg", "d/b.jpg", "d/x/@eaDir"]),
    ("a.jpg", ("*.jpg",), {"a.jpg"}, ["a.jpg"]),
]  # fmt: skip


def left(names: set[str], pattern: str, excluded: list[str]) -> set[str]:
    below = names if "*" in pattern else {name for name in names if name.startswith(pattern)}
    return {name for name in below if not any(f"{name}/".startswith(f"{e}/") for e in excluded)}


@pytest.mark.parametrize(("pattern", "globs", "names", "excluded"), CASES)
def test_what_is_excluded_here_is_counted_a_directory_once(
    tree: str, pattern: str, globs: tuple[str, ...], names: set[str], excluded: list[str]
) -> None:
    assert parts_of(tree, pattern, *globs) == (left(names, pattern, excluded), excluded)


@pytest.mark.parametrize(("pattern", "globs", "names", "excluded"), CASES)
def test_what_is_excluded_of_a_store_is_what_is_excluded_of_a_directory(
    bucket: Bucket, pattern: str, globs: tuple[str, ...], names: set[str], excluded: list[str]
) -> None:
    for name in TREE:
        bucket.put(f"tree/{name}")
    root = f"{bucket.uri}/tree"
    assert parts_of(root, pattern, *globs) == (left(names, pattern, excluded), excluded)


def test_what_beam_alone_lists_is_excluded_alike() -> None:
    OBJECTS.update({f"memory://b/tree/{name}": b"123" for name in TREE})
    try:
        found = parts_of("memory://b/tree", "", "@eaDir/", "*_small.jpg")
    finally:
        OBJECTS.clear()
    excluded = ["a_small.jpg", "d/@eaDir", "d/b_small.jpg", "d/x/@eaDir"]
    assert found == (left(FILES, "", excluded), excluded)


def test_an_excluded_folder_of_a_store_is_not_listed(bucket: Bucket) -> None:
    for name in TREE:
        bucket.put(f"tree/{name}")
    (source,) = classify_inputs(f"{bucket.uri}/tree", excluded=("@eaDir",))
    del bucket.requests[:]
    list(list_source(source))
    asked = [request.replace("%40", "@").replace("%2F", "/") for request in bucket.requests]
    assert any("tree/d/" in request for request in asked)
    assert not any("d/@eaDir/" in request for request in asked)


def test_an_excluded_directory_is_not_opened(tree: str) -> None:
    closed = pathlib.Path(tree, "d/@eaDir")
    closed.chmod(0)
    try:
        taken, excluded = parts_of(tree, "", "@eaDir")
    finally:
        closed.chmod(0o755)
    assert excluded == ["d/@eaDir", "d/x/@eaDir", "x/@eaDir"]
    assert "d/b.jpg" in taken


def test_an_image_on_the_web_is_excluded_by_its_name() -> None:
    assert parts_of("https://example.com/p", "a_small.jpg", "*_small.jpg") == (
        set(), ["a_small.jpg"],
    )  # fmt: skip
    assert parts_of("https://example.com/p", "a.jpg", "*_small.jpg") == ({"a.jpg"}, [])


def test_a_name_that_is_not_utf8_is_excluded_as_others_are(tmp_path: pathlib.Path) -> None:
    (tmp_path / os.fsdecode(b"\xff_small.jpg")).write_bytes(b"123")
    (source,) = classify_inputs(str(tmp_path), excluded=("*_small.jpg",))
    assert list(list_source(source)) == [Skipped(f"{tmp_path.as_uri()}/%FF_small.jpg", "excluded")]


def test_what_is_excluded_is_not_recalled_from_the_run_before(tree: str) -> None:
    (source,) = classify_inputs(tree, excluded=("@eaDir",))
    unseen = Unseen(source, Unlisted(f"{tree}/d", "permission denied"))
    assert unseen.covers(f"{tree}/d/b.jpg")
    assert not unseen.covers(f"{tree}/d/@eaDir/b.jpg/THUMB_1.jpg")
