import gzip
import io
import pathlib
import struct
import zlib

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.errors import CorruptRecordError, FileTooLargeError, NotFoundError
from transforms.files.tf_record import (
    DamagedRecord,
    Record,
    open_tfrecord,
    read_records,
    write_record,
)

RECORDS = [b"", b"one", b"x" * 5000, b"\x00" * 70_000, b"last"]
OFFSETS = [0, 16, 35, 5051, 75067]
FRAME_BYTES = 16  # A record's length, its checksum, and its data's checksum.


def frames(records: list[bytes]) -> bytes:
    stream = io.BytesIO()
    for record in records:
        write_record(stream, record)
    return stream.getvalue()


def read(content: bytes, max_record_bytes: int = 1 << 20) -> list[Record | DamagedRecord]:
    return list(read_records(io.BytesIO(content), max_record_bytes=max_record_bytes))


def read_file(path: pathlib.Path) -> list[Record | DamagedRecord]:
    with open_tfrecord(str(path)) as handle:
        return list(read_records(handle, max_record_bytes=1 << 20))


def only_damage(found: list[Record | DamagedRecord]) -> DamagedRecord:
    (damage,) = (item for item in found if isinstance(item, DamagedRecord))
    return damage


GOOD = [
    Record(index, offset, data)
    for index, (offset, data) in enumerate(zip(OFFSETS, RECORDS, strict=True))
]


def test_records_come_back_with_their_offsets() -> None:
    assert read(frames(RECORDS)) == GOOD
    assert read(b"") == []


def test_tensorflow_reads_what_is_written_and_writes_what_is_read(tmp_path: pathlib.Path) -> None:
    ours, theirs = tmp_path / "ours.tfrecord", tmp_path / "theirs.tfrecord"
    ours.write_bytes(frames(RECORDS))
    assert [data.numpy() for data in tf.data.TFRecordDataset(str(ours))] == RECORDS
    with tf.io.TFRecordWriter(str(theirs)) as writer:
        for record in RECORDS:
            writer.write(record)
    assert theirs.read_bytes() == ours.read_bytes()


@pytest.mark.parametrize(
    "name", ["x.tfrecord.gz", "x.tfrecord-00000-of-00001.gz", "x.tfrecord.gz-00000-of-00001"]
)
def test_a_name_that_says_gz_is_unpacked(tmp_path: pathlib.Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(frames(RECORDS)))
    assert read_file(tmp_path / name) == GOOD


def test_a_name_that_says_gz_of_plain_records_is_not_believed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.tfrecord.gz").write_bytes(frames(RECORDS))
    assert read_file(tmp_path / "x.tfrecord.gz") == GOOD


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(frames(RECORDS)), *(zlib.compress(frames(RECORDS), n) for n in (1, 6, 9))],
    ids=["gzip", "zlib 1", "zlib 6", "zlib 9"],
)
def test_what_is_packed_is_unpacked_whatever_its_name(
    tmp_path: pathlib.Path, packed: bytes
) -> None:
    (tmp_path / "x.tfrecord").write_bytes(packed)
    assert read_file(tmp_path / "x.tfrecord") == GOOD


def test_a_flipped_bit_in_data_costs_one_record() -> None:
    content = bytearray(frames(RECORDS))
    content[OFFSETS[2] + 12 + 99] ^= 1
    found = read(bytes(content))
    assert [item for item in found if isinstance(item, Record)] == [*GOOD[:2], *GOOD[3:]]
    damage = only_damage(found)
    assert found.index(damage) == 2
    assert (damage.index, damage.offset) == (2, OFFSETS[2])
    assert isinstance(damage.error, CorruptRecordError)
    assert str(damage.error) == "the checksum of the record's data is wrong"


@pytest.mark.parametrize("byte", range(12))
def test_a_flipped_bit_in_a_length_ends_the_file(byte: int) -> None:
    content = bytearray(frames(RECORDS))
    content[OFFSETS[2] + byte] ^= 0x10
    found = read(bytes(content))
    assert found[:2] == GOOD[:2]
    assert len(found) == 3
    damage = only_damage(found)
    assert (damage.index, damage.offset) == (2, OFFSETS[2])
    assert str(damage.error) == (
        "the checksum of the record's length is wrong; the rest of the file is lost"
    )


@pytest.mark.parametrize(
    ("kept", "where"),
    [(1, "header"), (11, "header"), (12, "record of 5,000"), (5000, "record of"), (5014, "sum")],
)
def test_a_cut_file_keeps_what_came_before(kept: int, where: str) -> None:
    found = read(frames(RECORDS)[: OFFSETS[2] + kept])
    assert found[:2] == GOOD[:2]
    assert len(found) == 3
    damage = only_damage(found)
    assert (damage.index, damage.offset) == (2, OFFSETS[2])
    assert where in str(damage.error)
    assert str(damage.error).endswith("the rest of the file is lost")


def test_a_cut_gzip_file_keeps_what_came_before(tmp_path: pathlib.Path) -> None:
    records = [bytes(str(n), "ascii") * 1000 for n in range(200)]
    packed = gzip.compress(frames(records))
    path = tmp_path / "x.tfrecord.gz"
    path.write_bytes(packed[: len(packed) // 2])
    found = read_file(path)
    good, damage = found[:-1], found[-1]
    assert len(good) > 50
    assert [item.data for item in good if isinstance(item, Record)] == records[: len(good)]
    assert isinstance(damage, DamagedRecord)
    assert damage.index == len(good)
    assert damage.offset == sum(FRAME_BYTES + len(record) for record in records[: len(good)])
    assert "gzip stream is damaged" in str(damage.error)


class CountingStream(io.BytesIO):
    """Remembers the largest read."""

    largest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.largest = max(self.largest, size if size is not None and size >= 0 else 1 << 62)
        return super().read(size)


def test_a_record_that_is_too_long_is_passed_over_in_small_reads() -> None:
    stream = CountingStream(frames([b"a", b"x" * 5_000_000, b"b"]))
    found = list(read_records(stream, max_record_bytes=4_999_999))
    assert [item.data for item in found if isinstance(item, Record)] == [b"a", b"b"]
    damage = only_damage(found)
    assert (damage.index, damage.offset) == (1, 17)
    assert isinstance(damage.error, FileTooLargeError)
    assert stream.largest <= 1 << 20


def test_a_length_beyond_all_memory_ends_the_file() -> None:
    length = struct.pack("<Q", 1 << 62)
    header = length + frames([length])[-4:]  # The checksum of data that is the length.
    found = read(frames([b"a"]) + header + b"rest")
    assert found[0] == Record(0, 0, b"a")
    assert "ends inside a record of 4,611,686,018,427,387,904 bytes" in str(
        only_damage(found).error
    )


def test_an_absent_file_is_not_found(tmp_path: pathlib.Path) -> None:
    with pytest.raises(NotFoundError):
        read_file(tmp_path / "x.tfrecord")


def test_a_storage_failure_propagates() -> None:
    class FailingStream(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        list(read_records(FailingStream(), max_record_bytes=1))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    records=st.lists(st.binary(max_size=40), max_size=8),
    flips=st.lists(st.tuples(st.integers(0, 500), st.integers(1, 255)), max_size=3),
    cut=st.none() | st.integers(0, 500),
)
def test_damage_anywhere_never_raises_and_never_touches_what_came_before(
    records: list[bytes], flips: list[tuple[int, int]], cut: int | None
) -> None:
    original = frames(records)
    content = bytearray(original[:cut])
    for position, mask in flips:
        if position < len(content):
            content[position] ^= mask
    damaged_from = next(
        (at for at, pair in enumerate(zip(original, content, strict=False)) if pair[0] != pair[1]),
        min(len(content), len(original)),
    )
    found = read(bytes(content))
    whole = [item for item in read(original) if isinstance(item, Record)]
    before = [item for item in whole if item.offset + FRAME_BYTES + len(item.data) <= damaged_from]
    assert found[: len(before)] == before
    assert [item.index for item in found] == list(range(len(found)))
    assert {item for item in found if isinstance(item, Record)} <= set(whole)
    if len(content) < len(original) or flips:
        return
    assert found == whole


@settings(derandomize=True, max_examples=60, deadline=None)
@given(position=st.integers(0, 10_000), mask=st.integers(1, 255), is_cut=st.booleans())
def test_damage_to_gzip_never_raises_and_never_makes_records_up(
    position: int, mask: int, is_cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    packed = bytearray(gzip.compress(frames(RECORDS)))
    position %= len(packed)
    if is_cut:
        del packed[position:]
    else:
        packed[position] ^= mask
    path = tmp_path_factory.getbasetemp() / "damaged.tfrecord.gz"
    path.write_bytes(packed)
    found = read_file(path)
    assert {item for item in found if isinstance(item, Record)} <= set(GOOD)
    assert sum(isinstance(item, DamagedRecord) for item in found) <= len(GOOD) + 1
