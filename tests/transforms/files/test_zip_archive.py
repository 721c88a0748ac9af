"""Zips: all that is written faithfully is read, and no lie costs more than its own member."""

import collections
import io
import os
import pathlib
import random
import shutil
import struct
import subprocess
import tracemalloc
import zipfile
import zlib
from collections.abc import Mapping

import pytest

from tests.support.zips import end, entry, stored, write_zip
from transforms.errors import CorruptRecordError, TruncatedFileError
from transforms.files.zip_archive import ZipArchive
from transforms.files.zip_directory import MAX_DIRECTORY_BYTES, ZipMember

FILES = {
    "a.jpg": os.urandom(3000),
    "d/" * 60 + "long" * 20 + ".jpg": bytes(100_000),
    "empty.jpg": b"",
    "ümlaut 犬.jpg": b"z",
    "../../etc/passwd.jpg": b"only a name",
}


def walk(content: bytes) -> dict[str, bytes | str]:
    """Reads an archive: by name what is in each file, or what is wrong with it."""
    archive = ZipArchive(io.BytesIO(content))
    return {m.name: read(archive, m) for m in archive.directory.members() if m.is_file}


def read(archive: ZipArchive, member: ZipMember) -> bytes | str:
    try:
        return archive.read(member)
    except TruncatedFileError:
        raise
    except CorruptRecordError as error:
        return str(error)


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


class Unseekable(io.RawIOBase):
    """A stream into which a writer cannot go back, so that sizes come behind the content."""

    def __init__(self) -> None:
        self.content = b""

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        self.content += bytes(content)
        return len(content)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_names_and_contents_are_read(compression: int) -> None:
    content = zipped(FILES, compression)
    assert walk(content) == FILES
    assert walk(b"a program that unpacks it" + content) == FILES
    stream = Unseekable()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.comment = b"an end in PK\5\6 that is none" * 9
        for name, file in FILES.items():
            archive.writestr(name, file)
    assert walk(stream.content) == FILES


def test_numbers_of_64_bits_are_read() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in FILES.items():
            with archive.open(name, "w", force_zip64=True) as handle:
                handle.write(content)
    assert walk(stream.getvalue()) == FILES
    file = stored(b"a", b"abc", extra=struct.pack("<2H2Q", 1, 16, 3, 3))
    extra = struct.pack("<2H3Q", 1, 24, 3, 3, 0)
    directory = entry(b"a", b"abc", 0xFFFFFFFF, extra=extra, sizes=(0xFFFFFFFF, 0xFFFFFFFF))
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(directory), len(file))
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, len(file) + len(directory), 1)
    last = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, *[0xFFFFFFFF] * 2, 0)
    content = file + directory + record + locator + last
    assert zipfile.ZipFile(io.BytesIO(content)).read("a") == b"abc"
    assert walk(content) == {"a": b"abc"}


def test_an_archive_of_many_members_is_read() -> None:
    names = {f"{n}": b"" for n in range(70_000)}  # More than 16 bits count.
    assert walk(zipped(names, zipfile.ZIP_STORED)) == names


@pytest.mark.parametrize("flags", [[], ["-0"], ["-fz"], ["-y"], ["-9", "-D"], ["-z"]])
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_what_zip_writes_is_read(tmp_path: pathlib.Path, flags: list[str], locale: str) -> None:
    if shutil.which("zip") is None:
        pytest.skip("zip is not here")
    source = tmp_path / "in"
    files = {name: content for name, content in FILES.items() if ".." not in name}
    for name, content in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    (source / "link.jpg").symlink_to("a.jpg")
    (source / "d.jpg").mkdir()
    argv = ["zip", "-q", "-r", *flags, "../x.zip", "."]
    env = {**os.environ, "LC_ALL": locale}
    subprocess.run(argv, cwd=source, check=True, env=env, input=b"a comment\n")
    followed = {} if flags == ["-y"] else {"link.jpg": FILES["a.jpg"]}
    assert walk((tmp_path / "x.zip").read_bytes()) == files | followed


def test_names_are_of_utf8_or_of_code_page_437() -> None:
    path = "犬.jpg".encode()
    other = b"caf\x82.jpg"
    unicode_path = b"\1" + zlib.crc32(b"?.jpg").to_bytes(4, "little") + path
    extra = struct.pack("<2H", 0x7075, len(unicode_path)) + unicode_path
    stale = extra.replace(b"\1" + zlib.crc32(b"?.jpg").to_bytes(4, "little"), b"\1abcd")
    entries = [
        entry(path, b"", 0, flags=1 << 11),
        entry(b"\xff.jpg", b"", 0, flags=1 << 11),
        entry(path, b"", 0, made_by=3),
        entry(other, b"", 0, made_by=3),
        entry(other, b"", 0),
        entry(b"?.jpg", b"", 0, extra=b"\x55\x54\0\0" + extra),
        entry(b"?.jpg", b"", 0, extra=stale),
        entry(b"./a.jpg", b"", 0),
    ]
    directory = b"".join(entries)
    archive = ZipArchive(io.BytesIO(directory + end(directory, 0)))
    assert [member.name for member in archive.directory.members()] == [
        "犬.jpg", "\\xff.jpg", "犬.jpg", "café.jpg", "café.jpg", "犬.jpg", "?.jpg", "a.jpg",
    ]  # fmt: skip


def test_other_ways_to_pack_cost_their_own_members(tmp_path: pathlib.Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", b"a")
        archive.writestr("b", b"b" * 99, zipfile.ZIP_BZIP2)
        archive.writestr("c", b"c" * 99, zipfile.ZIP_LZMA)
        archive.writestr("d", b"d")
    assert walk(stream.getvalue()) == {
        "a": b"a",
        "b": "it is compressed by bzip2 (method 12); wanted deflate, or none",
        "c": "it is compressed by LZMA (method 14); wanted deflate, or none",
        "d": b"d",
    }
    if shutil.which("zip") is None:
        return
    (tmp_path / "a").write_bytes(b"secret")
    subprocess.run(["zip", "-q", "-P", "x", "x.zip", "a"], cwd=tmp_path, check=True)
    complaint = "it is encrypted; wanted one that needs no password"
    assert walk((tmp_path / "x.zip").read_bytes()) == {"a": complaint}


FIRST, LAST = stored(b"a", b"abc"), stored(b"z", b"xyz")


@pytest.mark.parametrize(
    ("file", "lie", "complaint"),
    [
        (stored(b"b", b"123"), {"sizes": (2, 2)}, "its own header says something else"),
        (stored(b"b", b"123"), {"sizes": (3, 4)}, "it has 3 bytes in the archive, which are not"),
        (stored(b"b", b"123"), {"sizes": (1 << 31, 3)}, "it has 2,147,483,648 bytes"),
        (stored(b"c", b"123"), {}, "its own header says something else"),
        (stored(b"b", b"124"), {}, "its own header says something else"),
        (stored(b"b", b"123").replace(b"123", b"124"), {}, "another checksum"),
        (b"no header", {}, "no header of it at byte 34"),
        (stored(b"b", b"123", b"x" * 9)[:-3], {}, "are those of another member"),
    ],
)
def test_a_lie_costs_its_own_member(
    file: bytes, lie: dict[str, tuple[int, int]], complaint: str
) -> None:
    directory = entry(b"a", b"abc", 0)
    directory += entry(b"b", b"123", len(FIRST), **lie)  # type: ignore[arg-type]
    directory += entry(b"z", b"xyz", len(FIRST + file))
    content = FIRST + file + LAST + directory
    found = walk(content + end(directory, len(FIRST + file + LAST)))
    assert (found["a"], found["z"]) == (b"abc", b"xyz")
    assert complaint in str(found["b"])


@pytest.mark.parametrize("offset", [1, 10_000, 0xFFFFFFF0])
def test_a_member_outside_of_the_file_costs_itself(offset: int) -> None:
    directory = entry(b"a", b"abc", 0) + entry(b"b", b"", offset)
    found = walk(FIRST + directory + end(directory, len(FIRST)))
    assert found == {"a": b"abc", "b": f"no header of it at byte {offset}"} or offset == 1


def test_members_that_share_bytes_are_refused() -> None:
    """As the bombs are made that unpack to a million times their size."""
    shared = FIRST + b"".join(entry(b"a", b"abc", 0) for _ in range(2))
    archive = ZipArchive(io.BytesIO(shared + end(shared[len(FIRST) :], len(FIRST))))
    complaints = [read(archive, member) for member in archive.directory.members()]
    assert complaints == ["its bytes are those of another member, too: a zip bomb?"] * 2
    inner = stored(b"b", b"abc")
    outer = stored(b"a", inner)
    directory = entry(b"a", inner, 0) + entry(b"b", b"abc", len(outer) - len(inner))
    found = walk(outer + directory + end(directory, len(outer)))
    assert found == {"a": "its bytes are those of another member, too: a zip bomb?", "b": b"abc"}


def test_what_unpacks_to_more_than_it_says_takes_no_memory() -> None:
    content = bytearray(zipped({"a": bytes(64 << 20)}))
    for place, at in ((0, 22), (content.rindex(b"PK\1\2"), 24)):
        content[place + at : place + at + 4] = (1 << 20).to_bytes(4, "little")
    tracemalloc.start()
    found = walk(bytes(content))
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert found == {"a": "its deflate stream does not become 1,048,576 bytes"}


def test_the_directory_is_not_held() -> None:
    count = 200_000
    directory = b"".join(entry(b"%060d" % n, b"", 0) for n in range(count))
    handle = io.BytesIO(directory + end(directory, 0))
    tracemalloc.start()
    archive = ZipArchive(handle)
    (last,) = collections.deque(archive.directory.members(), maxlen=1)
    assert isinstance(read(archive, last), str)
    assert tracemalloc.get_traced_memory()[1] < 16 * count + (4 << 20)
    tracemalloc.stop()


def test_a_cut_file_has_no_directory() -> None:
    content = zipped(FILES)
    for kept in (0, 3, 1000, len(content) - 1):
        with pytest.raises(TruncatedFileError, match="no directory at its end: it is cut, or no"):
            walk(content[:kept])
    with pytest.raises(TruncatedFileError, match="bytes are missing"):
        walk(content[100:])
    assert walk(end(b"", 0)) == {}


def test_a_damaged_directory_is_told_where_the_damage_is() -> None:
    content = bytearray(zipped(FILES))
    place = content.rindex(b"PK\1\2")
    content[place] = 0
    members = ZipArchive(io.BytesIO(content)).directory.members()
    assert [next(members).name for _ in range(4)] == list(FILES)[:4]
    with pytest.raises(TruncatedFileError, match=f"the directory is damaged at byte {place};"):
        next(members)


def test_a_directory_that_is_too_large_is_not_read(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "x.zip"
    size = MAX_DIRECTORY_BYTES + 1
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, size, 0, 0))
    with path.open("rb") as handle, pytest.raises(TruncatedFileError, match="536,870,913 bytes"):
        ZipArchive(handle)


def test_noise_never_raises_anything_else(tmp_path: pathlib.Path) -> None:
    write_zip(tmp_path / "x.zip", {f"{n}": os.urandom(40) for n in range(5)})
    whole = (tmp_path / "x.zip").read_bytes()
    draw = random.Random(0)
    for _ in range(3000):
        content = bytearray(whole)
        for _ in range(draw.choice([1, 2, 8])):
            content[draw.randrange(len(content))] = draw.choice([0, 255, draw.randrange(256)])
        try:
            walk(bytes(content))
        except TruncatedFileError:
            continue
