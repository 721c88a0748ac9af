import os
import pathlib
import urllib.parse
from collections.abc import Iterator

import pytest

from tests.support.remote import CLOSED, OBJECTS
from transforms.errors import InputError
from transforms.files.file_uris import path_of_uri
from transforms.files.uris import open_uri
from transforms.inputs.columns import image_id
from transforms.inputs.entries import ImageFile, Skipped, Unlisted
from transforms.inputs.listing import classify_input, list_source
from transforms.inputs.source import Source
from transforms.records import InputFile, ShardKind


def make_files(folder: pathlib.Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"123")


def names_of(folder: pathlib.Path, pattern: str | pathlib.Path) -> dict[str, str]:
    """Lists an input as relative name -> "image", a kind of file, or why it is skipped."""
    found = {}
    for listed in list_source(classify_input(str(pattern))):
        name = os.path.relpath(listed.uri, folder)
        assert name not in found, f"{name} is listed twice"
        match listed:
            case ImageFile():
                found[name] = "image"
            case InputFile():
                found[name] = str(listed.kind)
            case Skipped():
                found[name] = f"skipped: {listed.reason}"
    return found


def test_a_directory_gives_every_kind_of_file_and_counts_what_it_leaves_out(
    tmp_path: pathlib.Path,
) -> None:
    make_files(
        tmp_path,
        "b.JPG",
        "a/deep/er/x.heic",
        "a/t.tfrecord-00000-of-00002",
        "a/t.tfrecord-00001-of-00002.gz",
        "u.record.gz",
        "p.parquet",
        "s.tar",
        "s.TAR.gz",
        "s.tgz",
        "s.tar.bz2",
        "s.tar.lz4",
        "notes.txt",
        "README",
        ".hidden.png",
        ".git/y.png",
        "t.tfrecord.jpg",
    )
    assert names_of(tmp_path, tmp_path) == {
        "b.JPG": "image",
        "a/deep/er/x.heic": "image",
        "a/t.tfrecord-00000-of-00002": "tfrecord",
        "a/t.tfrecord-00001-of-00002.gz": "tfrecord",
        "u.record.gz": "tfrecord",
        "p.parquet": "parquet",
        "s.tar": "tar",
        "s.TAR.gz": "skipped: compressed tar; name it with --input",
        "s.tgz": "skipped: compressed tar; name it with --input",
        "s.tar.bz2": "skipped: compressed tar; name it with --input",
        "s.tar.lz4": "skipped: .lz4",
        "notes.txt": "skipped: .txt",
        "README": "skipped: no extension",
        ".hidden.png": "skipped: hidden",
        ".git/y.png": "skipped: hidden",
        "t.tfrecord.jpg": "image",
    }


def test_a_listed_image_has_its_size_time_and_root(tmp_path: pathlib.Path) -> None:
    make_files(tmp_path, "a/x.png", "t.tfrecord")
    for name in ("a/x.png", "t.tfrecord"):
        os.utime(tmp_path / name, (0, 1_600_000_000.5))
    root = str(tmp_path)
    assert list(list_source(classify_input(f"{tmp_path}/"))) == [
        InputFile(ShardKind.TFRECORD, f"{root}/t.tfrecord", root, 3, "1600000000500000000"),
        ImageFile(f"{root}/a/x.png", root, 3, "1600000000500000000"),
    ]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("*.jpg", {"a.jpg", "b.jpg"}),
        ("**/*.jpg", {"a.jpg", "b.jpg", "d/c.jpg", "d/e/f.jpg"}),
        ("**", {"a.jpg", "b.jpg", "d/c.jpg", "d/e/f.jpg", "d/c.txt", "t.tfrecord"}),
        ("*/*.jpg", {"d/c.jpg"}),
        ("d/**/*.jpg", {"d/c.jpg", "d/e/f.jpg"}),
        ("?.jpg", {"a.jpg", "b.jpg"}),
        ("[a-b].jpg", {"a.jpg", "b.jpg"}),
        ("[!a].jpg", {"b.jpg"}),
        ("*", {"a.jpg", "b.jpg", "t.tfrecord"}),
        ("d/c.*", {"d/c.jpg", "d/c.txt"}),
    ],
)
def test_a_glob_gives_what_it_gives_in_a_shell(
    tmp_path: pathlib.Path, glob: str, expected: set[str]
) -> None:
    make_files(tmp_path, "a.jpg", "b.jpg", "d/c.jpg", "d/c.txt", "d/e/f.jpg", "t.tfrecord")
    assert names_of(tmp_path, tmp_path / glob).keys() == expected


def test_what_hadoop_and_spark_keep_beside_tables_is_no_table(tmp_path: pathlib.Path) -> None:
    beside = ("_delta_log/9.checkpoint.parquet", "_temporary/0/b.tfrecord", "d/_a.parquet")
    others = ("_y=1/a.parquet", "_x.jpg", "_o/x.jpg", "_o/a.tar")
    folder = tmp_path / "_in"
    make_files(folder, *beside, *others)
    found = names_of(folder, folder)
    assert {found[name] for name in beside} == {"skipped: hidden"}
    assert [found[name] for name in others] == ["parquet", "image", "image", "tar"]
    assert names_of(folder, folder / "_delta_log") == {beside[0]: "parquet"}


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("*", {"a.jpg": "image", "._a.jpg": "skipped: hidden"}),
        ("*.jpg", {"a.jpg": "image", "._a.jpg": "skipped: hidden"}),
        ("**/b.jpg", {"d/b.jpg": "image", ".t/b.jpg": "skipped: hidden"}),
        ("._*", {"._a.jpg": "image"}),
        (".t/*.jpg", {".t/b.jpg": "image"}),
        ("[.]_a.jpg", {"._a.jpg": "skipped: hidden"}),
        ("._a.jpg", {"._a.jpg": "image"}),
    ],
)
def test_a_glob_gives_hidden_files_only_if_it_asks_for_them(
    tmp_path: pathlib.Path, glob: str, expected: dict[str, str]
) -> None:
    folder = tmp_path / ".photos"  # What is above counts for nothing.
    make_files(folder, "a.jpg", "._a.jpg", "d/b.jpg", ".t/b.jpg")
    assert names_of(folder, folder / glob) == expected


@pytest.mark.parametrize(
    ("glob", "kind"),
    [
        ("x.jpg", ShardKind.IMAGES),
        ("*", ShardKind.IMAGES),
        ("*.tfrecord", ShardKind.TFRECORD),
        ("*.tfrecords.gz", ShardKind.TFRECORD),
        ("*.tfrecord*", ShardKind.TFRECORD),
        ("*.tfrecord-?????-of-00002", ShardKind.TFRECORD),
        ("*.tfrecord-*.gz", ShardKind.TFRECORD),
        ("x-00000-of-00002.record", ShardKind.TFRECORD),
        ("*.parquet", ShardKind.PARQUET),
        ("*.tar", ShardKind.TAR),
        ("*.tar.gz", ShardKind.TAR),
        ("x-0000?.t*", ShardKind.IMAGES),
        ("*.tgz", ShardKind.TAR),
        ("*.record*.jpg", ShardKind.IMAGES),
    ],
)
def test_the_kind_of_a_file_or_glob_is_told_by_its_name(
    tmp_path: pathlib.Path, glob: str, kind: ShardKind
) -> None:
    make_files(
        tmp_path,
        "x.jpg",
        "x.tfrecord",
        "x.tfrecords.gz",
        "x.tfrecord-00000-of-00002",
        "x.tfrecord-00001-of-00002.gz",
        "x-00000-of-00002.record",
        "x.parquet",
        "x-00001.tar",
        "x.tar.gz",
        "x.tgz",
        "x.record.jpg",
    )
    source = classify_input(str(tmp_path / glob))
    assert source == Source(kind, str(tmp_path / glob), str(tmp_path), is_directory=False)
    if kind is not ShardKind.IMAGES:
        assert set(names_of(tmp_path, tmp_path / glob).values()) == {str(kind)}


def test_a_named_file_is_taken_whatever_it_is_called(tmp_path: pathlib.Path) -> None:
    for name in ("photo[1].dat", "photo1.dat", ".hidden"):
        (tmp_path / name).write_bytes(b"\xff\xd8\xff")
    assert names_of(tmp_path, tmp_path / "photo[1].dat") == {"photo[1].dat": "image"}
    assert names_of(tmp_path, tmp_path / ".hidden") == {".hidden": "image"}


@pytest.mark.parametrize("above", ["[2021] trip", "a*b", "what?", "a[", "[!x]"])
@pytest.mark.parametrize(
    ("glob", "root", "expected"),
    [
        ("*.jpg", "in", {"in/a.jpg"}),
        ("**/*.jpg", "in", {"in/a.jpg", "in/[x]/b.jpg"}),
        ("[[]x]/*.jpg", "in", {"in/[x]/b.jpg"}),
        ("../*.jpg", "", {"c.jpg"}),
        ("../in/a.???", "in", {"in/a.jpg"}),
    ],
)
def test_a_relative_glob_takes_no_wildcard_from_the_working_directory(
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    above: str,
    glob: str,
    root: str,
    expected: set[str],
) -> None:
    top = tmp_path / above
    make_files(top, "in/a.jpg", "in/[x]/b.jpg", "c.jpg")
    make_files(tmp_path, "2 trip/in/d.jpg", "aab/in/d.jpg", "whats/in/d.jpg", "a/d.jpg")
    monkeypatch.chdir(top / "in")
    assert names_of(top, glob) == dict.fromkeys(expected, "image")
    assert classify_input(glob).root == str(top / root).rstrip("/")


def test_a_glob_below_no_directory_matches_nothing(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError, match="the glob matches no file"):
        classify_input(f"{tmp_path}/nosuch/*.jpg")


@pytest.mark.parametrize("glob", ["[z-a].jpg", "a/[b-[a].jpg"])
def test_a_glob_that_is_none_is_refused(glob: str) -> None:
    with pytest.raises(InputError, match=r"bad character range .*wanted \[a-z\] for one of"):
        classify_input(glob)


def test_a_glob_of_brackets_that_matches_nothing_says_how_a_bracket_is_written(
    tmp_path: pathlib.Path,
) -> None:
    make_files(tmp_path, "[x]/a.jpg")
    with pytest.raises(InputError, match=r"matches no file.*\[\[\] for a bracket"):
        classify_input(f"{tmp_path}/[x]/*.jpg")


def test_relative_paths_become_absolute(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_files(tmp_path, "d/x.jpg")
    monkeypatch.chdir(tmp_path)
    for pattern in ("d", "./d/", "*/*.jpg", "d/x.jpg", "d/../d"):
        listed = list(list_source(classify_input(pattern)))
        assert [found.uri for found in listed] == [f"{tmp_path}/d/x.jpg"], pattern


def test_links_and_pipes_neither_crash_nor_vanish(tmp_path: pathlib.Path) -> None:
    make_files(tmp_path, "real/x.jpg")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "good.jpg").symlink_to(tmp_path / "real/x.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert names_of(tmp_path, tmp_path) == {
        "real/x.jpg": "image",
        "broken.jpg": "image",
        "loop.jpg": "image",
        "good.jpg": "image",
        "linked": "skipped: linked directory",
        "pipe.jpg": "skipped: not a regular file",
    }
    broken = next(
        found
        for found in list_source(classify_input(str(tmp_path / "b*.jpg")))
        if isinstance(found, ImageFile)
    )
    assert (broken.size_bytes, broken.version) == (None, None)


@pytest.mark.parametrize("name", [b"\xff.jpg", b"caf\xe9 %/b#1.jpg", b"100%E9/\xe9.JPG"])
def test_a_name_that_is_not_utf8_is_an_image_of_a_file_uri(
    tmp_path: pathlib.Path, name: bytes
) -> None:
    path = tmp_path / os.fsdecode(name)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"123")
    source = classify_input(str(tmp_path))
    (found,) = list_source(source)
    assert isinstance(found, ImageFile)
    assert found.uri == path.as_uri()
    assert (found.size_bytes, found.version) == (3, str(path.stat().st_mtime_ns))
    assert path_of_uri(found.uri) == str(path)
    with open_uri(found.uri) as handle:
        assert handle.read() == b"123"
    relative = image_id(found.uri, found.root, "relative_path")
    assert urllib.parse.unquote_to_bytes(relative) == name


def test_other_names_that_are_not_utf8_are_skipped_and_counted(tmp_path: pathlib.Path) -> None:
    for name in (b".\xff/x.jpg", b"\xff.txt"):
        path = tmp_path / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"123")
    found = list(list_source(classify_input(str(tmp_path))))
    root = tmp_path.as_uri()
    assert set(found) == {
        Skipped(f"{root}/.%FF/x.jpg", "hidden"),
        Skipped(f"{root}/%FF.txt", ".txt"),
    }


def test_an_input_whose_own_name_is_not_utf8_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff")
    path.mkdir()
    with pytest.raises(InputError, match="the name is not UTF-8; rename it, or name a directory"):
        classify_input(str(path))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("", {"closed", "d/closed"}),
        ("**/*.jpg", {"closed", "d/closed"}),
        ("*/*.jpg", {"closed"}),
        ("*/*/*.jpg", {"closed", "d/closed"}),
        (".*/*.jpg", {".closed"}),
        ("[c-d]*/closed/*.jpg", {"closed", "d/closed"}),
        ("d/*/*.jpg", {"d/closed"}),
        ("e*/**/*.jpg", set()),
        ("*/open/*.jpg", {"closed"}),
        ("*.jpg", set()),
    ],
)
@pytest.mark.parametrize("mode", [0, 0o444, 0o111])
def test_a_directory_that_cannot_be_listed_is_named_if_an_image_may_be_in_it(
    tmp_path: pathlib.Path, pattern: str, expected: set[str], mode: int
) -> None:
    closed = ("closed", "d/closed", ".closed")
    make_files(tmp_path, "y.jpg", "e/z.jpg", *(f"{name}/sub/x.jpg" for name in closed))
    for name in closed:
        make_files(tmp_path, f"{name}/x.jpg")
        (tmp_path / name).chmod(mode)
    found = list(list_source(classify_input(str(tmp_path / pattern))))
    for name in closed:
        (tmp_path / name).chmod(0o700)
    unlisted = [one for one in found if isinstance(one, Unlisted)]
    assert sorted(one.uri for one in unlisted) == sorted(f"{tmp_path}/{name}" for name in expected)
    assert {one.reason for one in unlisted} <= {"permission denied"}
    if not pattern:
        assert Skipped(f"{tmp_path}/.closed", "hidden") in found


@pytest.mark.parametrize("pattern", ["closed", "closed/in/x.jpg", "closed/in"])
def test_an_input_that_may_not_be_looked_into_is_refused(
    tmp_path: pathlib.Path, pattern: str
) -> None:
    make_files(tmp_path, "closed/in/x.jpg")
    (tmp_path / "closed").chmod(0)
    with pytest.raises(InputError, match="cannot be listed: permission denied"):
        classify_input(str(tmp_path / pattern))
    (tmp_path / "closed").chmod(0o700)


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("nope.jpg", "no such file"),
        ("nope/", "no such file"),
        ("*.png", "matches no file"),
        ("broken.jpg", "no such file"),
    ],
)
def test_an_input_that_is_not_there_is_named(
    tmp_path: pathlib.Path, pattern: str, complaint: str
) -> None:
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=complaint) as caught:
        classify_input(f"{tmp_path}/{pattern}")
    assert pattern.strip("/") in str(caught.value)


@pytest.mark.parametrize("pattern", ["ftp://example.com/x.jpg", "", "nul\0.jpg"])
def test_an_input_that_cannot_be_a_file_is_an_input_error(pattern: str) -> None:
    with pytest.raises(InputError, match="--input"):
        classify_input(pattern)


@pytest.fixture
def remote() -> Iterator[None]:
    names = ("p/a.jpg", "p/d/b.png", "p/d/", "p/n.txt", "p/[x].jpg", "p/.h/c.jpg", "q.parquet")
    OBJECTS.update({f"memory://b/{name}": b"123" for name in names})
    yield
    OBJECTS.clear()


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("p", {"p/a.jpg": 1, "p/d/b.png": 1, "p/[x].jpg": 1, "p/n.txt": 0, "p/.h/c.jpg": 0}),
        ("p/d/", {"p/d/b.png": 1}),
        ("p/*.jpg", {"p/a.jpg": 1, "p/[x].jpg": 1}),
        ("**/*.jpg", {"p/a.jpg": 1, "p/[x].jpg": 1, "p/.h/c.jpg": 0}),
        ("p/.h/*", {"p/.h/c.jpg": 1}),
        ("p/a.jpg", {"p/a.jpg": 1}),
        ("p/[x].jpg", {"p/[x].jpg": 1}),
        ("p/[a-z].jpg", {"p/a.jpg": 1}),
        ("q.parquet", {"q.parquet": 1}),
    ],
)
def test_a_store_without_directories_is_listed_like_one_with_them(
    pattern: str, expected: dict[str, int]
) -> None:
    source = classify_input(f"memory://b/{pattern}")
    found = list(list_source(source))
    taken = {item.uri: int(not isinstance(item, Skipped)) for item in found}
    assert taken == {f"memory://b/{name}": is_taken for name, is_taken in expected.items()}
    assert len(found) == len(expected)
    images = [item for item in found if isinstance(item, ImageFile)]
    assert all((item.size_bytes, item.version) == (3, "1600000000.5") for item in images)
    assert source.root == "memory://b/p".removesuffix("/p" * (pattern[0] in "*q")) + (
        {"p/d/": "/d", "p/.h/*": "/.h"}.get(pattern, "")
    )


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError(13, "Permission denied"), "permission denied; whoever runs this must be"),
        (OSError(5, "Input/output error"), "[Errno 5] Input/output error"),
        (RuntimeError("503:\n  Slow Down"), "503: Slow Down"),
    ],
)
@pytest.mark.parametrize("pattern", ["p", "p/*.jpg"])
def test_a_store_that_fails_while_it_is_listed_is_told_in_a_line(
    error: Exception, told: str, pattern: str
) -> None:
    source = classify_input(f"memory://b/{pattern}")
    CLOSED["memory://b/p/d/"] = error
    try:
        for list_again in (
            lambda: list(list_source(source)),
            lambda: classify_input(f"memory://b/{pattern}"),
        ):
            with pytest.raises(InputError) as caught:
                list_again()
            expected = f"--input 'memory://b/{pattern}' cannot be listed: {told}"
            assert str(caught.value).startswith(expected)
            assert "\n" not in str(caught.value)
    finally:
        CLOSED.clear()


@pytest.mark.usefixtures("remote")
@pytest.mark.parametrize("pattern", ["p/zz.jpg", "zz/", "zz*"])
def test_an_object_that_is_not_there_is_an_input_error(pattern: str) -> None:
    with pytest.raises(InputError, match="no"):
        classify_input(f"memory://b/{pattern}")


@pytest.mark.parametrize(
    ("image_id_from", "expected"),
    [
        (None, "gs://b/photos/a/x.jpg"),
        ("uri", "gs://b/photos/a/x.jpg"),
        ("relative_path", "a/x.jpg"),
        ("filename", "x.jpg"),
    ],
)
def test_an_image_id_comes_from_the_name(image_id_from: str | None, expected: str) -> None:
    assert image_id("gs://b/photos/a/x.jpg", "gs://b/photos", image_id_from) == expected


def test_an_image_file_has_no_column_for_its_id() -> None:
    with pytest.raises(InputError, match="relative_path"):
        image_id("x.jpg", "", "label")
