import hashlib
import pathlib
import tarfile
import tracemalloc

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.tars import END, Members, header, padded, write_tar
from transforms.errors import InputError
from transforms.failure import Failure, Step
from transforms.inputs.columns import FileColumns
from transforms.inputs.part import ReadPart
from transforms.inputs.tar_files import peek_tar_schema, read_tar
from transforms.inputs.tar_samples import MAX_TEXT_BYTES
from transforms.records import InputFile, ShardKind
from transforms.schemas import read_schema

NOTHING = pa.schema([])
COLUMNS = FileColumns(None, None, NOTHING)
TEXT = pa.schema([("txt", pa.string())])


def make_file(path: pathlib.Path, members: Members) -> InputFile:
    write_tar(path, members)
    return input_file(path)


def input_file(path: pathlib.Path) -> InputFile:
    return InputFile(ShardKind.TAR, str(path), str(path.parent), path.stat().st_size)


def read(
    file: InputFile, columns: FileColumns = COLUMNS, batch_size: int = 3, max_bytes: int = 100
) -> list[ReadPart]:
    return list(read_tar(file, columns, batch_size, max_bytes))


def images(parts: list[ReadPart]) -> dict[str, bytes]:
    keys = [key for part in parts for key in part.rows["image_id"].to_pylist()]
    contents = [content for part in parts for content in part.encoded]
    return dict(zip(keys, contents, strict=True))


def failures(parts: list[ReadPart]) -> list[Failure]:
    return [failure for part in parts for failure in part.failures]


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.tgz"])
def test_samples_become_batches_in_order(tmp_path: pathlib.Path, name: str) -> None:
    members = {}
    for n in range(7):
        members[f"d/{n}.cls"] = b"%d\n" % n
        members[f"d/{n}.JPG"] = b"image %d" % n
        members[f"d/{n}.json"] = b'{"n": %d}' % n
    file = make_file(tmp_path / name, members)
    carried = peek_tar_schema(file.uri, None, None, ["cls", "json"])
    assert carried == pa.schema([("cls", pa.int64()), ("json", pa.string())])
    parts = read(file, FileColumns(None, None, carried))
    assert [part.rows.num_rows for part in parts] == [3, 3, 1]
    assert all(part.rows.schema == read_schema(carried) for part in parts)
    assert images(parts) == {f"d/{n}": b"image %d" % n for n in range(7)}
    assert parts[2].rows.to_pylist() == [
        {
            "image_id": "d/6",
            "uri": f"{file.uri}#6",
            "content_sha256": hashlib.sha256(b"image 6").hexdigest(),
            "cls": 6,
            "json": '{"n": 6}',
        }
    ]


@pytest.mark.parametrize(
    ("image_id_from", "expected"),
    [
        (None, ["a", "b", "c"]),
        ("uri", ["{uri}#0", "{uri}#1", "{uri}#2"]),
        ("relative_path", ["d/x.tar#0", "d/x.tar#1", "d/x.tar#2"]),
        ("filename", ["x.tar#0", "x.tar#1", "x.tar#2"]),
        ("txt", ["first"]),
    ],
)
def test_an_image_id_comes_from_a_field_or_the_name(
    tmp_path: pathlib.Path, image_id_from: str | None, expected: list[str]
) -> None:
    (tmp_path / "d").mkdir()
    members = {"a.jpg": b"", "a.txt": b" first\n", "b.jpg": b"", "b.txt": b" \n", "c.jpg": b""}
    uri = make_file(tmp_path / "d" / "x.tar", members).uri
    file = InputFile(ShardKind.TAR, uri, str(tmp_path), 1)
    (part,) = read(file, FileColumns(None, image_id_from, NOTHING), batch_size=9)
    assert part.rows["image_id"].to_pylist() == [key.format(uri=uri) for key in expected]
    assert [failure.image_id for failure in part.failures] == [
        f"{uri}#{n}" for n in range(len(expected), 3)
    ]
    assert all("txt (--image_id_from) is empty" in it.message for it in part.failures)


@pytest.mark.parametrize("batch_size", [1, 2, 10, 100])
def test_good_and_bad_samples_are_all_accounted_for(
    tmp_path: pathlib.Path, batch_size: int
) -> None:
    samples: list[tuple[Members, str]] = [
        ({"0.jpg": b"0", "0.txt": b"zero"}, ""),
        ({"1.txt": b"one", "1.pyd": b""}, "CorruptRecord: no image: it has txt, pyd; a field"),
        ({"2.jpg": b"2"}, ""),
        ({"3.jpg": b"3" * 101}, "FileTooLarge: 101 bytes, more than --max_image_bytes=100"),
        ({"4.jpg": b"4", "4.png": b"4"}, "CorruptRecord: more than one image: it has jpg, png"),
        ({"5.jpg": b"5", "5.seg.png": b"5", "5.txt": b""}, ""),
        ({"6.jpg": b"6", "6.txt": b"x" * (MAX_TEXT_BYTES + 1)}, "CorruptRecord: its txt has 1,0"),
        ({"7.jpg": b"7", "7.txt": b"\xff"}, "CorruptRecord: its txt is no text in UTF-8"),
        ({"8.jpg": b"8", "8.TXT": b"a", "8.txt": b"b"}, "CorruptRecord: more than one txt"),
        ({"cat.0.jpg": b"", "cat.1.jpg": b""}, "CorruptRecord: no image: it has 0.jpg, 1.jpg;"),
        ({"10.webp": b"10"}, ""),
    ]
    members = {name: content for sample, _ in samples for name, content in sample.items()}
    file = make_file(tmp_path / "x.tar", members)
    parts = read(file, FileColumns(None, None, TEXT), batch_size)
    assert [part.rows.num_rows + len(part.failures) for part in parts] == [
        len(samples[start : start + batch_size]) for start in range(0, len(samples), batch_size)
    ]
    good = [n for n, (_, complaint) in enumerate(samples) if not complaint]
    assert images(parts) == {str(n): b"%d" % n for n in good}
    assert [text for part in parts for text in part.rows["txt"].to_pylist()] == [
        "zero",
        None,
        "",
        None,
    ]
    bad = [(n, complaint) for n, (_, complaint) in enumerate(samples) if complaint]
    for failure, (n, complaint) in zip(failures(parts), bad, strict=True):
        assert (failure.uri, failure.step) == (f"{file.uri}#{n}", Step.READ)
        assert failure.image_id == ("cat" if n == 9 else str(n))
        error_type, _, message = complaint.partition(": ")
        assert failure.error_type == error_type
        assert failure.message.startswith(f"sample {n} at byte ")
        assert message in failure.message


def test_an_image_key_names_the_field(tmp_path: pathlib.Path) -> None:
    members = {"a.jpg": b"1", "a.seg.png": b"2", "b.jpg": b"3", "c.seg.png": b"4"}
    file = make_file(tmp_path / "x.tar", members)
    parts = read(file, FileColumns("seg.png", None, NOTHING))
    assert images(parts) == {"a": b"2", "c": b"4"}
    assert [failure.image_id for failure in failures(parts)] == ["b"]


def test_dots_are_of_the_field_after_the_first_one_of_a_file_name(tmp_path: pathlib.Path) -> None:
    """As WebDataset cuts names. A mask must not become the image of a sample that lacks its own."""
    members = {"v1.0/a.b/000.jpg": b"1", "v1.0/a.b/000.seg.png": b"2", "b.2019.jpg": b"3"}
    parts = read(make_file(tmp_path / "x.tar", members))
    assert images(parts) == {"v1.0/a.b/000": b"1"}
    (failure,) = failures(parts)
    assert failure.image_id == "b"
    assert "no image: it has 2019.jpg; a field is what follows the first dot" in failure.message
    assert images(read(input_file(tmp_path / "x.tar"), FileColumns("2019.jpg", None, NOTHING))) == {
        "b": b"3"
    }


def test_names_that_belong_to_no_sample_are_passed_over(tmp_path: pathlib.Path) -> None:
    """As they come from macOS, from tar of a directory, and from WebDataset."""
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        for name, kind in (
            ("./", tarfile.DIRTYPE),
            ("./v1.0", tarfile.DIRTYPE),
            ("./a.jpg", tarfile.REGTYPE),
            ("./._a.jpg", tarfile.REGTYPE),
            ("./README", tarfile.REGTYPE),
            ("__meta__/info.json", tarfile.REGTYPE),
            ("./a.cls", tarfile.REGTYPE),
            ("./d.x/.hidden/b.jpg", tarfile.REGTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type = kind
            archive.addfile(member)
    parts = read(input_file(path))
    assert images(parts) == {"a": b"", "d.x/.hidden/b": b""}
    assert failures(parts) == []


def test_links_and_devices_are_no_images_and_do_not_vanish(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.tar"
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
    with tarfile.open(path, "w") as archive:
        for n, kind in enumerate(kinds):
            member = tarfile.TarInfo(f"{n}.jpg")
            member.type = kind
            member.linkname = "/etc/passwd"
            archive.addfile(member)
    parts = read(input_file(path))
    assert images(parts) == {}
    assert [failure.image_id for failure in failures(parts)] == ["0", "1", "2", "3"]
    assert all("it has jpg (no plain file)" in failure.message for failure in failures(parts))


def test_a_cut_file_keeps_every_sample_before_the_cut(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.tar"
    whole = make_file(path, {f"{n}.jpg": b"x" * 50 for n in range(10)})
    path.write_bytes(path.read_bytes()[: 10 * 1024 - 500])
    parts = read(whole)
    assert list(images(parts)) == [str(n) for n in range(9)]
    (failure,) = failures(parts)
    assert (failure.image_id, failure.uri) == ("9", f"{path}#9")
    assert failure.error_type == "TruncatedFile"
    assert failure.message.startswith("sample 9 at byte 9216: the file ends inside a member")
    assert "; the file has 20,480 bytes, and 9 images came before; " in failure.message
    assert failure.message.endswith("the rest of the file is lost")


def test_a_file_that_is_not_there_or_no_tar_is_one_failure(tmp_path: pathlib.Path) -> None:
    uri = f"{tmp_path}/x.tar"
    (failure,) = failures(read(InputFile(ShardKind.TAR, uri, str(tmp_path), 0)))
    assert (failure.image_id, failure.uri, failure.error_type) == (uri, uri, "NotFound")
    pathlib.Path(uri).write_bytes(b"no tar at all" * 99)
    (failure,) = failures(read(InputFile(ShardKind.TAR, uri, str(tmp_path), 0)))
    assert failure.image_id == failure.uri == f"{uri}#0"
    assert "no header of a tar member" in failure.message


def test_an_empty_file_has_no_parts(tmp_path: pathlib.Path) -> None:
    assert read(make_file(tmp_path / "x.tar", {})) == []


def test_content_that_is_not_wanted_is_not_held(tmp_path: pathlib.Path) -> None:
    """An image beyond the limit, a large neighbour, and a size that the file does not have."""
    path = tmp_path / "x.tar"
    large = bytes(32 << 20)
    blocks = [header("a.jpg", len(large)), large, header("b.npy", len(large)), large]
    blocks += [header("b.jpg", 1), padded(b"b"), header("b.txt", len(large)), large]
    path.write_bytes(b"".join([*blocks, header("c.jpg", 1 << 80), END]))
    file = input_file(path)
    del large, blocks
    tracemalloc.start()
    parts = read(file, max_bytes=1 << 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert images(parts) == {"b": b"b"}
    assert [failure.error_type for failure in failures(parts)] == ["FileTooLarge", "TruncatedFile"]
    assert peak < 8 << 20


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"a.jpg": b"", "b.jpg": b"", "b.txt": b"x", "b.cls": b"-12\n"}, pa.int64()),
        ({"a.jpg": b"", "a.txt": b"1", "a.cls": b"cat", "b.cls": b"3"}, pa.string()),
        ({"a.jpg": b"", "a.txt": b"1", "a.cls": b"007"}, pa.string()),
        ({"a.jpg": b"", "a.txt": b"1", "a.cls": b"9" * 19}, pa.string()),
    ],
)
def test_a_peek_finds_fields_past_the_first_samples(
    tmp_path: pathlib.Path, members: Members, expected: pa.DataType
) -> None:
    file = make_file(tmp_path / "x.tar", members)
    wanted = pa.schema([("txt", pa.string()), ("cls", expected)])
    assert peek_tar_schema(file.uri, None, "txt", ["txt", "cls"]) == wanted


def test_a_class_of_another_type_costs_its_row(tmp_path: pathlib.Path) -> None:
    members = {"a.jpg": b"", "a.cls": b"1", "b.jpg": b"", "b.cls": b"cat"}
    file = make_file(tmp_path / "x.tar", members)
    columns = FileColumns(None, None, pa.schema([("cls", pa.int64())]))
    parts = read(file, columns)
    assert parts[0].rows["cls"].to_pylist() == [1]
    (failure,) = failures(parts)
    assert "its cls is 'cat', no whole number as in the first file" in failure.message


@pytest.mark.parametrize(
    ("image_key", "id_from", "carry", "complaint"),
    [
        ("png", None, [], "no png; they have cls, jpg, npy"),
        (None, None, ["txt", "cls"], "no txt; they have"),
        (None, "key", [], "no key; they have"),
        (None, None, ["jpg"], "--carry_columns jpg: only text is carried, not images"),
        (None, None, ["npy"], "sample 0: its npy is no text in UTF-8, and cannot be carried"),
    ],
)
def test_a_field_that_is_not_there_is_refused_at_launch(
    tmp_path: pathlib.Path,
    image_key: str | None,
    id_from: str | None,
    carry: list[str],
    complaint: str,
) -> None:
    file = make_file(tmp_path / "x.tar", {"a.jpg": b"", "a.cls": b"1", "a.npy": b"\xff"})
    with pytest.raises(InputError, match=complaint) as caught:
        peek_tar_schema(file.uri, image_key, id_from, carry)
    assert file.uri in str(caught.value)


def test_most_samples_decide_the_type_of_a_value_in_json(tmp_path: pathlib.Path) -> None:
    members = {}
    for number in range(20):
        members[f"{number:02}.jpg"] = b"%d" % number
        members[f"{number:02}.json"] = b'{"label": "a"}' if number else b'{"label": 7}'
    file = make_file(tmp_path / "x.tar", members)
    carried = peek_tar_schema(file.uri, None, None, ["json.label"])
    assert carried == pa.schema([("json.label", pa.string())])
    (part,) = read(file, FileColumns(None, None, carried), batch_size=99)
    assert part.rows.num_rows == 19
    assert "its json.label does not fit string, as in the first files: 7 is no" in (
        part.failures[0].message
    )


def test_a_field_goes_before_a_value_in_json(tmp_path: pathlib.Path) -> None:
    members = {
        "0.jpg": b"0",
        "0.json.txt": b"a field",
        "1.jpg": b"1",
        "1.json": b'{"txt": "in it"}',
    }
    file = make_file(tmp_path / "x.tar", members)
    carried = peek_tar_schema(file.uri, None, "json.txt", ["json.txt", "json"])
    assert carried == pa.schema([("json.txt", pa.string()), ("json", pa.string())])
    (part,) = read(file, FileColumns(None, "json.txt", carried))
    assert part.failures == ()
    assert part.rows["json.txt"].to_pylist() == ["a field", "in it"]
    assert part.rows["image_id"].to_pylist() == ["a field", "in it"]


def test_a_field_of_another_type_than_the_value_in_json_costs_its_row(
    tmp_path: pathlib.Path,
) -> None:
    members = {"0.jpg": b"0", "0.json": b'{"n": 1}', "1.jpg": b"1", "1.json.n": b"1"}
    file = make_file(tmp_path / "x.tar", members)
    (part,) = read(file, FileColumns(None, None, pa.schema([("json.n", pa.int64())])))
    assert part.rows["json.n"].to_pylist() == [1]
    assert "its json.n does not fit int64, as in the first files: '1' is no" in (
        part.failures[0].message
    )


def test_a_cut_file_keeps_a_sample_that_has_all_but_a_field_of_a_values_name(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "x.tar"
    whole = make_file(path, {"0.jpg": b"0", "0.json": b'{"n": 1}', "1.jpg": b"1"})
    path.write_bytes(path.read_bytes()[: 4 * 512 + 100])
    (part,) = read(whole, FileColumns(None, None, pa.schema([("json.n", pa.int64())])))
    assert part.rows["json.n"].to_pylist() == [1]
    assert part.failures[0].error_type == "TruncatedFile"


@pytest.mark.parametrize(
    ("content", "column", "message"),
    [
        (b'{"v": {"a": 1}}', "json.v", r"json\.v \(2 of 2: it is an object, of which"),
        (b'{"v": [1, "a"]}', "json.v", r"json\.v \(2 of 2: it is a list of objects, of values"),
        (b'{"v": [{"a": 1}]}', "json.v", r"json\.v \(2 of 2: it is a list of objects"),
        (b'{"v": null}', "json.v", r"json\.v \(it is null\); they have jpg, json, json\.v "),
        (b'{"w": 1}', "json.v", r"no json\.v; they have jpg, json, json\.w "),
        (b"{bad", "json.v", r"json\.v \(2 of 2: its json is not JSON: "),
        (b'"text"', "json.v", r"json\.v \(2 of 2: no object around 'v': 'text'\)"),
        (b'{"\\u001b[31m": 1}', "json.v", r"they have '\\x1b\[31m'|json\.\\x1b"),
    ],
)
def test_what_json_holds_in_a_values_place_is_told(
    tmp_path: pathlib.Path, content: bytes, column: str, message: str
) -> None:
    members = {"0.jpg": b"", "0.json": content, "1.jpg": b"", "1.json": content}
    file = make_file(tmp_path / "x.tar", members)
    with pytest.raises(InputError, match=message) as caught:
        peek_tar_schema(file.uri, None, None, [column])
    assert str(caught.value).isprintable()


def test_the_first_names_of_many_are_told(tmp_path: pathlib.Path) -> None:
    content = "{" + ", ".join(f'"k{number:05}": 1' for number in range(30_000)) + "}"
    file = make_file(tmp_path / "x.tar", {"0.jpg": b"", "0.json": content.encode()})
    with pytest.raises(InputError, match=r"json\.k00017 and 29,982 more") as caught:
        peek_tar_schema(file.uri, None, None, ["json.v"])
    assert len(str(caught.value)) < 1000


def test_a_tar_without_images_is_refused_at_launch(tmp_path: pathlib.Path) -> None:
    file = make_file(tmp_path / "x.tar", {"setup.py": b"", "setup.cfg": b""})
    with pytest.raises(InputError, match="no image; they have cfg, py"):
        peek_tar_schema(file.uri, None, None, [])


def test_a_peek_at_a_file_without_readable_samples_tells_nothing(tmp_path: pathlib.Path) -> None:
    uri = make_file(tmp_path / "x.tar", {}).uri
    (tmp_path / "y.tar").write_bytes(b"no tar at all")
    for unreadable in (uri, f"{tmp_path}/y.tar", f"{tmp_path}/absent.tar"):
        assert peek_tar_schema(unreadable, None, None, ["txt"]) is None


@settings(derandomize=True, max_examples=150, deadline=None)
@given(position=st.integers(0, 20000), mask=st.integers(0, 255), batch_size=st.integers(1, 7))
def test_damage_anywhere_costs_at_most_what_comes_after_it(
    tmp_path_factory: pytest.TempPathFactory, position: int, mask: int, batch_size: int
) -> None:
    """A mask of 0 cuts the file at the position; any other flips bits there."""
    path = tmp_path_factory.getbasetemp() / "damaged.tar"
    members = {f"{n}.{field}": b"%d" % n * 300 for n in range(6) for field in ("jpg", "txt")}
    file = make_file(path, members)
    content = bytearray(path.read_bytes())
    position %= 6 * 2048
    if mask:
        content[position] ^= mask
    else:
        del content[position:]
    path.write_bytes(content)
    parts = read(file, FileColumns(None, None, TEXT), batch_size, max_bytes=300)
    found = images(parts)
    before = position // 2048
    assert list(found)[:before] == [str(n) for n in range(before)]
    assert all(found[str(n)] == b"%d" % n * 300 for n in range(before))
    if not mask:
        assert len(found) == before + (position % 2048 >= 2048 - 512 + 300)
        assert len(failures(parts)) == (position > 0)
    else:
        assert len(found) >= 5 or failures(parts)
