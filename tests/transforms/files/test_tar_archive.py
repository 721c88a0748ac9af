import binascii
import io
import lzma
import os
import pathlib
import shutil
import subprocess
import tarfile
import tracemalloc

import pyarrow as pa
import pytest

from tests.support.tars import END, PACKERS, header, padded, write_tar
from transforms.errors import CorruptRecordError, TruncatedFileError
from transforms.files.tar_archive import (
    MAX_EXTENSION_BYTES,
    Member,
    TarArchive,
    open_tar,
)
from transforms.files.tar_padding import MAX_PADDING_BYTES


def walk(content: bytes) -> tuple[dict[str, bytes], str]:
    """Reads an archive; returns its files by name, and what is wrong with it."""
    archive = TarArchive(io.BytesIO(content))
    found = {}
    try:
        for member in archive.members():
            if member.is_file and member.size_bytes < 1 << 30:
                found[member.name] = archive.read()
    except CorruptRecordError as error:
        return found, str(error)
    return found, ""


def read_all(path: pathlib.Path) -> tuple[dict[str, bytes], str]:
    """Reads a file's members; returns them by name, and what is wrong with it."""
    found = {}
    try:
        with open_tar(str(path)) as archive:
            for member in archive.members():
                found[member.name] = archive.read()
    except TruncatedFileError as error:
        return found, str(error)
    return found, ""


def members_of(path: pathlib.Path) -> list[Member]:
    with open_tar(str(path)) as archive:
        return list(archive.members())


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize(
    "name",
    ["x.tar", "x.tar.gz", "x.tgz", "x.tar.bz2", "x.tbz2", "x.tar.xz", "x.TXZ", "x.tar.zst"],
)
def test_every_format_gives_names_and_contents(
    tmp_path: pathlib.Path, name: str, format: int
) -> None:
    files = {
        "a.jpg": b"x" * 512,
        "d/" * 60 + "long" * 20 + ".jpg": b"y" * 513,
        "empty.jpg": b"",
        "ümlaut.jpg": b"z",
        "../../etc/passwd.jpg": b"only a name",
    }
    write_tar(tmp_path / name, files, format)
    if name == "x.tar":
        assert walk((tmp_path / name).read_bytes()) == (files, "")
    with open_tar(str(tmp_path / name)) as archive:
        assert {member.name: archive.read() for member in archive.members()} == files


def test_what_is_not_read_is_passed_over(tmp_path: pathlib.Path) -> None:
    sizes = [0, 1, 511, 512, 513, 3 << 20]
    write_tar(tmp_path / "x.tar", {f"{size}": b"x" * size for size in sizes})
    members = members_of(tmp_path / "x.tar")
    assert [(member.name, member.size_bytes) for member in members] == [
        (str(size), size) for size in sizes
    ]
    assert [member.offset for member in members[:4]] == [0, 512, 1536, 2560]


def test_only_files_stored_whole_are_files(tmp_path: pathlib.Path) -> None:
    """As GNU tar writes links, pipes, directories and files with holes, in either format."""
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.jpg").write_bytes(b"whole")
    (source / "hard.jpg").hardlink_to(source / "a.jpg")
    (source / "soft.jpg").symlink_to("a.jpg")
    (source / "d.jpg").mkdir()
    os.mkfifo(source / "pipe.jpg")
    for pieces in (3, 23, 24, 25, 60):  # A header holds 4 of them, each block after it 21.
        with (source / f"holes{pieces}.jpg").open("wb") as file:
            for place in range(0, pieces << 20, 1 << 20):
                file.seek(place)
                file.write(b"x")
    (source / "z.jpg").write_bytes(b"last")
    for format in ("gnu", "pax"):
        path = tmp_path / f"{format}.tar"
        argv = ["tar", "--sort=name", "--sparse", f"--format={format}", "-cf", str(path), "."]
        subprocess.run(argv, cwd=source, check=True)
        members = {member.name: member for member in members_of(path)}
        assert [name for name, member in members.items() if member.is_file] == ["a.jpg", "z.jpg"]
        assert [name for name, member in members.items() if member.is_directory] == [".", "d.jpg"]
        assert {"hard.jpg", "soft.jpg", "pipe.jpg", "holes60.jpg"} <= members.keys()
        assert walk(path.read_bytes()) == ({"a.jpg": b"whole", "z.jpg": b"last"}, "")


def test_a_name_that_is_not_utf8_stays_one_of_its_own() -> None:
    names = [b"a\xff.jpg", b"a\xfe.jpg"]
    blocks = []
    for name in names:
        block = bytearray(header("x" * len(name)))
        block[: len(name)] = name
        block[148:156] = b" " * 8
        block[148:155] = b"%06o\0" % sum(block)
        blocks.append(bytes(block))
    assert walk(b"".join(blocks) + END)[0].keys() == {"a\\xff.jpg", "a\\xfe.jpg"}


def test_archives_one_behind_the_other_are_read_as_one(tmp_path: pathlib.Path) -> None:
    write_tar(tmp_path / "a.tar", {"a": b"1"})
    write_tar(tmp_path / "b.tar", {"b": b"2"})
    content = (tmp_path / "a.tar").read_bytes() + (tmp_path / "b.tar").read_bytes()
    assert walk(content) == ({"a": b"1", "b": b"2"}, "")


def test_an_empty_file_has_no_members() -> None:
    assert walk(b"") == ({}, "")
    assert walk(END) == ({}, "")


@pytest.mark.parametrize("kept", [1, 512, 700, 1023])
def test_a_cut_inside_the_mark_at_the_end_loses_nothing(kept: int) -> None:
    assert walk(GOOD + END[:kept]) == ({"a": b"abc"}, "")


def test_a_tail_of_zeros_that_no_archive_has_is_what_a_copy_left_out() -> None:
    for record in (10_240, 1 << 16, 1 << 20, MAX_PADDING_BYTES):
        assert walk(GOOD + bytes(record - len(GOOD))) == ({"a": b"abc"}, "")
    for zeros in (20_000, 100_352, MAX_PADDING_BYTES - 512):
        found, message = walk(GOOD + bytes(zeros))
        assert found == {"a": b"abc"}
        assert message.startswith("more zeros than end an archive of its size, from byte 1024")
    found, message = walk(GOOD + bytes(MAX_PADDING_BYTES + 512))
    assert found == {"a": b"abc"}
    assert message.startswith("more zeros than any archive ends in, 4,194,304 bytes from byte 1024")


def test_zeros_in_the_place_of_members_are_told_at_the_end(tmp_path: pathlib.Path) -> None:
    images = {f"{n:02}.jpg": bytes([65 + n]) * 20_000 for n in range(12)}
    write_tar(tmp_path / "x.tar", images)
    starts = [member.offset for member in members_of(tmp_path / "x.tar")]
    content = (tmp_path / "x.tar").read_bytes()
    damaged = content[: starts[3]] + bytes(starts[6] - starts[3]) + content[starts[6] :]
    found, message = walk(damaged)
    assert found.keys() == images.keys() - {"03.jpg", "04.jpg", "05.jpg"}
    assert message == (
        f"zeros from byte {starts[3]} to {starts[6]} in the place of members; what was there is "
        "lost"
    )
    # As a copy leaves it that stopped in a file of the full size.
    found, message = walk(content[: starts[6]].ljust(len(content), b"\0"))
    assert found.keys() == {f"{n:02}.jpg" for n in range(6)}
    assert message.startswith(f"more zeros than end an archive of its size, from byte {starts[6]}")


GOOD = header("a", 3) + padded(b"abc")
LONG = tarfile.GNUTYPE_LONGNAME
PAX = tarfile.XHDTYPE


@pytest.mark.parametrize(
    ("rest", "complaint"),
    [
        (b"", "the file ends without the mark that ends an archive, at byte 1024;"),
        (header("b", 9)[:100], "the file ends inside a header, at byte 1024;"),
        (header("b", 600) + b"x" * 599, "the file ends inside a member, at byte 1536;"),
        (header("b", 1) + b"x", "the file ends inside a member, at byte 1537;"),
        (header("b", 1 << 80), "the file ends inside a member"),
        (header("b", -512) + END, "a size that is no number of bytes, at byte 1536;"),
        (b"x" * 512 + END, "no header of a tar member (invalid header), at byte 1024;"),
        (
            END + GOOD[:99] + GOOD[100:512] + b"x",
            "no header of a tar member (bad checksum), at byte 2048;",
        ),
        (header("L", 1 << 40, LONG) + END, "an extended header of 1,099,511,627,776 bytes, more"),
        (header("x", 1 << 80, PAX) + END, "more than 1,048,576"),
        (header("x", -1, PAX) + END, "a size that is no number"),
        (header("x", 9, PAX) + padded(b"9 path=b\n"), "the file ends inside a header"),
        (header("x", 9, PAX) + padded(b"7 path=b\n"), "not written as pax says"),
        (header("x", 9, PAX) + padded(b"0 path=b\n"), "not written as pax says"),
        (header("x", 9, PAX) + padded(b"999999999"), "not written as pax says"),
        (header("x", 9, PAX) + padded(b"9 size=z\n") + header("b"), "a size that is no number"),
        (header("x", 10, PAX) + padded(b"10 size=-5") + header("b"), "not written as pax says"),
        (header("x", 11, PAX) + padded(b"11 size=-5\n") + header("b"), "a size that is no"),
    ],
)
def test_damage_ends_the_archive_and_keeps_what_is_before_it(rest: bytes, complaint: str) -> None:
    found, message = walk(GOOD + rest)
    assert found.pop("a") == b"abc"
    assert found in ({}, {"b": b"x"})  # It may lack its padding.
    assert complaint in message
    assert message.endswith("the rest of the file is lost")


def test_a_broken_gzip_stream_is_damage(tmp_path: pathlib.Path) -> None:
    write_tar(tmp_path / "x.tgz", {f"{n}": os.urandom(5000) for n in range(9)})
    content = (tmp_path / "x.tgz").read_bytes()
    for broken in (content[:-9000], content[:-8] + bytes(8), b"no gzip"):
        (tmp_path / "x.tgz").write_bytes(broken)
        with pytest.raises(CorruptRecordError, match="the gzip stream is damaged"):
            members_of(tmp_path / "x.tgz")


@pytest.mark.parametrize("suffix", [".tbz2", ".txz", ".tar.zst"])
def test_a_broken_stream_keeps_what_is_before_it(tmp_path: pathlib.Path, suffix: str) -> None:
    files = {f"{n}": os.urandom(500_000) for n in range(9)}
    path = tmp_path / f"x{suffix}"
    write_tar(path, files)
    content = path.read_bytes()
    for broken in (content[:-2_000_000], content[:-9], content + b"more", b"nothing"):
        path.write_bytes(broken)
        found, message = read_all(path)
        assert "the compressed stream cannot be read" in message
        assert found.items() <= files.items()
        # bzip2 gives blocks of 900 kB; of zstd what is 64 kB before the damage may be lost.
        assert len(found) >= len(broken) * 9 // len(content) - 2
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes(99) + content[middle + 99 :])
    is_checked = suffix != ".tar.zst"  # Arrow writes it without a checksum.
    assert read_all(path)[1].endswith("the rest of the file is lost") or not is_checked


@pytest.mark.parametrize("suffix", [".tbz2", ".txz", ".tar.zst"])
def test_streams_one_behind_the_other_are_one(tmp_path: pathlib.Path, suffix: str) -> None:
    for name, more in (("a", b""), ("b", b"" if suffix == ".tar.zst" else bytes(8))):
        write_tar(tmp_path / f"{name}{suffix}", {name: os.urandom(99_999)})
        with (tmp_path / f"x{suffix}").open("ab") as both:
            both.write((tmp_path / f"{name}{suffix}").read_bytes() + more)
    assert [member.name for member in members_of(tmp_path / f"x{suffix}")] == ["a", "b"]
    with open_tar(str(tmp_path / f"x{suffix}")) as archive:
        list(archive.members())
        assert archive.stored_offset == (tmp_path / f"x{suffix}").stat().st_size


@pytest.mark.parametrize(
    ("suffix", "program"),
    [
        (".tar.bz2", ["bzip2", "-9"]),
        (".tar.xz", ["xz", "-9e", "-T2", "--block-size=100000"]),
        (".tar.zst", ["zstd", "-q", "--ultra", "-22", "--long=27"]),
    ],
)
def test_what_the_programs_write_is_read(
    tmp_path: pathlib.Path, suffix: str, program: list[str]
) -> None:
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not here")
    files = {f"{n}": os.urandom(1 << n) * 9 for n in range(18)}
    write_tar(tmp_path / "x.tar", files)
    with (tmp_path / "x.tar").open("rb") as plain, (tmp_path / f"x{suffix}").open("wb") as packed:
        subprocess.run(program, stdin=plain, stdout=packed, check=True)
    with open_tar(str(tmp_path / f"x{suffix}")) as archive:
        assert {member.name: archive.read() for member in archive.members()} == files


def test_a_stream_that_needs_much_memory_is_not_read(tmp_path: pathlib.Path) -> None:
    """An xz block and a zstd frame that refer back over 4 GiB and 256 MiB."""
    xz = bytearray(lzma.compress(GOOD + END))
    stop = 12 + 4 * xz[12]  # Of the block's header, behind which is its checksum.
    assert xz[14:16] == b"\x21\x01"  # LZMA2, and the size of what is said of it:
    xz[16] = 40
    xz[stop : stop + 4] = binascii.crc32(xz[12:stop]).to_bytes(4, "little")
    content = GOOD + END
    block = (len(content) << 3 | 1).to_bytes(3, "little") + content
    frame = b"\x28\xb5\x2f\xfd\x00"
    for name, packed, complaint in (
        ("x.tar.xz", bytes(xz), "Memory usage limit"),
        ("y.tar.zst", frame + bytes([18 << 3]) + block, "too much memory"),
    ):
        (tmp_path / name).write_bytes(packed)
        with pytest.raises(TruncatedFileError, match=complaint):
            members_of(tmp_path / name)
    (tmp_path / "z.tar.zst").write_bytes(frame + bytes([17 << 3]) + block)
    assert [member.name for member in members_of(tmp_path / "z.tar.zst")] == ["a"]


@pytest.mark.parametrize("suffix", [".tgz", ".tbz2", ".txz", ".tar.zst", ".tar"])
@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.txz", "x"])
def test_a_files_first_bytes_say_how_it_is_packed(
    tmp_path: pathlib.Path, suffix: str, name: str
) -> None:
    write_tar(tmp_path / f"x{suffix}", {"a": os.urandom(999)})
    (member,) = members_of((tmp_path / f"x{suffix}").rename(tmp_path / name))
    assert member.name == "a"


@pytest.mark.parametrize("suffix", [".tar.bz2", ".tar.xz", ".tar.zst"])
def test_a_stream_of_much_more_than_it_stores_takes_little_memory(
    tmp_path: pathlib.Path, suffix: str
) -> None:
    content = header("a", 64 << 20) + bytes(64 << 20) + END
    path = tmp_path / f"x{suffix}"
    path.write_bytes(PACKERS[path.suffix](content))
    assert path.stat().st_size < 64 << 10
    del content
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    assert [member.size_bytes for member in members_of(path)] == [64 << 20]
    assert tracemalloc.get_traced_memory()[1] < 16 << 20  # The window of xz has 8.
    assert pa.total_allocated_bytes() - before < 8 << 20
    tracemalloc.stop()


def test_a_size_that_pax_gives_goes_before_that_of_the_header() -> None:
    records = b"9 size=3\n13 path=name\n"
    content = header("x", len(records), PAX) + padded(records) + header("b", 0) + padded(b"abc")
    assert walk(content + header("c", 1) + padded(b"d") + END) == ({"name": b"abc", "c": b"d"}, "")


def test_times_of_gnus_incremental_archives_are_no_part_of_names() -> None:
    block = bytearray(header("photos/a.jpg", 1))
    block[345:357] = b"15303276704\0"  # When it was read last.
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    assert walk(bytes(block) + padded(b"a") + END) == ({"photos/a.jpg": b"a"}, "")


def test_hostile_headers_take_no_memory() -> None:
    """Ever more extended headers, each as large as may be, and content of a claimed terabyte."""
    one = header("L", MAX_EXTENSION_BYTES, LONG) + bytes(MAX_EXTENSION_BYTES)
    content = one * 32 + header("b", 1 << 40) + bytes(8 << 20)
    tracemalloc.start()
    found, message = [], ""
    try:
        for member in TarArchive(io.BytesIO(content)).members():
            found.append(member.size_bytes)
    except CorruptRecordError as error:
        message = str(error)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == [1 << 40]
    assert "the file ends inside a member" in message
    assert peak < 6 << 20
