"""Zips as an input: members that are images by their names, and what is wrong with each."""

import pathlib
import stat
import zipfile
from collections.abc import Mapping

import pyarrow as pa
import pytest

from tests.support.zips import write_zip
from transforms.errors import InputError, TruncatedFileError
from transforms.failure import Failure
from transforms.inputs.columns import FileColumns
from transforms.inputs.division import SpanLimits, divide
from transforms.inputs.first_ids import check_first_ids
from transforms.inputs.look import Look
from transforms.inputs.members import read_members
from transforms.inputs.part import ReadPart
from transforms.inputs.zip_files import look_at_zip, peek_zip_schema, read_zip
from transforms.records import InputFile, ShardKind

COLUMNS = FileColumns(None, None, pa.schema([]))
MEMBERS = {
    "cats/": b"",
    "cats/a.JPG": b"a",
    "cats/a.txt": b"a cat",
    "__MACOSX/cats/._a.JPG": b"no image",
    "cats/.DS_Store": b"",
    ".hidden/b.jpg": b"hidden",
    "../b.seg.png": b"b",
    "x/__MACOSX/c.jpg": b"no image either",
    "d.tif": b"d",
}


def make_file(path: pathlib.Path, members: Mapping[str, bytes] = MEMBERS) -> InputFile:
    path.parent.mkdir(exist_ok=True)
    write_zip(path, members)
    return input_file(path)


def input_file(path: pathlib.Path) -> InputFile:
    return InputFile(ShardKind.ZIP, str(path), str(path.parent.parent), path.stat().st_size)


def read(
    file: InputFile, columns: FileColumns = COLUMNS, batch_size: int = 2, max_bytes: int = 100
) -> list[ReadPart]:
    return list(read_zip(file, columns, batch_size, max_bytes))


def images(parts: list[ReadPart]) -> list[tuple[str, str, bytes]]:
    return [
        (row["image_id"], row["uri"].rpartition("/")[2], content)
        for part in parts
        for row, content in zip(part.rows.to_pylist(), part.encoded, strict=True)
    ]


def failures(parts: list[ReadPart]) -> list[Failure]:
    return [failure for part in parts for failure in part.failures]


def test_members_that_are_images_by_their_names_become_rows(tmp_path: pathlib.Path) -> None:
    file = make_file(tmp_path / "d" / "x.zip")
    parts = read(file)
    assert [part.matched for part in parts] == [2, 1]
    assert failures(parts) == []
    assert images(parts) == [
        ("cats/a.JPG", "x.zip#1", b"a"),
        ("../b.seg.png", "x.zip#6", b"b"),
        ("d.tif", "x.zip#8", b"d"),
    ]
    names = zipfile.ZipFile(file.uri).namelist()
    assert [names[n] for n in (1, 6, 8)] == [key for key, _, _ in images(parts)]
    assert look_at_zip(file, COLUMNS) == Look(3, file.size_bytes, is_whole=True)
    wanted = [f"{file.uri}#{n}" for n in (8, 2)]
    found = dict(read_members(wanted, COLUMNS, 100))
    assert found[wanted[0]] == b"d"
    assert "no such record" in str(found[wanted[1]])


@pytest.mark.parametrize(
    ("image_key", "ids"),
    [("png", ["../b.seg.png"]), ("SEG.png", ["../b.seg.png"]), ("txt", ["cats/a.txt"])],
)
def test_image_key_is_an_extension(tmp_path: pathlib.Path, image_key: str, ids: list[str]) -> None:
    file = make_file(tmp_path / "d" / "x.zip")
    columns = FileColumns(image_key, None, pa.schema([]))
    assert [key for key, _, _ in images(read(file, columns))] == ids
    assert look_at_zip(file, columns).images == len(ids)
    assert peek_zip_schema(file.uri, image_key, None, []) == pa.schema([])


@pytest.mark.parametrize(
    ("image_id_from", "first"),
    [("uri", "{}/d/x.zip#1"), ("relative_path", "d/x.zip#1"), ("filename", "x.zip#1")],
)
def test_ids_may_come_from_the_place(
    tmp_path: pathlib.Path, image_id_from: str, first: str
) -> None:
    file = make_file(tmp_path / "d" / "x.zip")
    columns = FileColumns(None, image_id_from, pa.schema([]))
    assert images(read(file, columns))[0][0] == first.format(tmp_path)


def test_what_is_wrong_with_a_member_is_its_own_failure(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "d" / "x.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", b"a")
        archive.writestr("b.jpg", b"b" * 101)
        archive.writestr("c.jpg", b"c" * 99, zipfile.ZIP_LZMA)
        link = zipfile.ZipInfo("l.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, b"/etc/passwd")
        archive.writestr("z.jpg", b"z")
    parts = read(input_file(path))
    assert [key for key, _, _ in images(parts)] == ["a.jpg", "z.jpg"]
    assert [(f.image_id, f.uri, f.reason, f.message) for f in failures(parts)] == [
        ("b.jpg", f"{path}#1", "read/FileTooLarge", "101 bytes, more than --max_image_bytes=100"),
        (
            "c.jpg",
            f"{path}#2",
            "read/CorruptRecord",
            "c.jpg: it is compressed by LZMA (method 14); wanted deflate, or none",
        ),
        (
            "l.jpg",
            f"{path}#3",
            "read/CorruptRecord",
            "l.jpg: it is a link or a directory, no plain file",
        ),
    ]


def test_spans_count_from_the_start_of_the_file(tmp_path: pathlib.Path) -> None:
    members = MEMBERS | {f"e/{n}.png": b"%d" % n for n in range(20)}
    file = make_file(tmp_path / "d" / "x.zip", members)
    spans = divide(file, SpanLimits(images=4, size_bytes=1 << 40))
    assert len(spans) == 8
    found = [image for span in spans for image in images(read(span))]
    assert found == images(read(file))
    assert len(found) == 23


def test_a_file_without_a_directory_is_one_failure(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "d" / "x.zip"
    make_file(path)
    path.write_bytes(path.read_bytes()[:-9])
    (failure,) = failures(read(input_file(path)))
    assert (failure.image_id, failure.uri) == (str(path), str(path))
    assert failure.reason == "read/TruncatedFile"
    assert failure.message == (
        f"no directory at its end: it is cut, or no zip; the file has {path.stat().st_size:,} "
        "bytes, and 0 images came before; the rest of the file is lost"
    )
    with pytest.raises(TruncatedFileError):
        look_at_zip(input_file(path), COLUMNS)
    assert peek_zip_schema(str(path), None, None, []) is None
    path.unlink()
    assert peek_zip_schema(str(path), None, None, []) is None


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((None, None, ["cls"]), "--carry_columns: a zip has no columns or fields"),
        ((None, "cls", []), "--image_id_from cls: a zip has no columns or fields"),
        (("webp", None, []), "no member has the extension webp; the first is cats/ "),
    ],
)
def test_what_a_zip_does_not_have_is_told_at_launch(
    tmp_path: pathlib.Path, arguments: tuple[str | None, str | None, list[str]], complaint: str
) -> None:
    file = make_file(tmp_path / "d" / "x.zip")
    with pytest.raises(InputError, match=complaint):
        peek_zip_schema(file.uri, *arguments)


def test_members_of_one_name_in_two_files_are_told_at_launch(tmp_path: pathlib.Path) -> None:
    files = [make_file(tmp_path / "d" / name) for name in ("x.zip", "y.zip")]
    with pytest.raises(InputError, match=r"'cats/a.JPG' is not unique: .*/x.zip#1 and .*/y.zip#1"):
        check_first_ids(files, COLUMNS)
