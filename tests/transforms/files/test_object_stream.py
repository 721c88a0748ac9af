"""An object as a file: any order of reads, large ranges ahead, and what fails."""

import io
import os
import random
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.benchmarks.storage_server import RunningServer
from tests.support.storage import use_storage_server
from tests.support.tars import write_tar
from tests.support.zips import write_zip
from transforms.errors import NotFoundError, UnavailableError
from transforms.files import flight
from transforms.files.object_store import TransientError
from transforms.files.object_stream import FIRST_RANGE_BYTES, RANGE_BYTES, ObjectStream
from transforms.files.read_limits import DEFAULT_READ_LIMITS, ReadLimits
from transforms.files.uris import open_buffered, open_uri
from transforms.inputs.columns import FileColumns
from transforms.records import InputFile, Shard, ShardKey, ShardKind, WrittenFile
from transforms.results import FileAccount, ShardResult
from transforms.steps.read_images import ReadPolicy, ShardReader

CONTENT = random.Random(0).randbytes(20_000_000)


class Store:
    """Counts ranges; a range that begins in `lost` never comes."""

    def __init__(self, content: bytes = CONTENT, lost: range = range(0)) -> None:
        self.ranges: list[tuple[int, int]] = []
        self._content = content
        self.lost = lost

    def read_range(self, uri: str, start: int, stop: int, version: str | None = None) -> bytes:
        self.ranges.append((start, stop))
        if start in self.lost:
            raise TransientError(f"{uri}: lost")
        return self._content[start:stop]


def test_reads_in_any_order_are_those_of_a_file() -> None:
    stream, file = ObjectStream(Store(), "x", len(CONTENT)), io.BytesIO(CONTENT)
    draw = random.Random(1)
    for _ in range(300):
        if draw.random() < 0.3:
            place = draw.randrange(len(CONTENT) + 10)
            assert stream.seek(place) == file.seek(place)
        size = draw.choice([0, 1, 1000, 100_000, 3_000_000])
        assert stream.read(size) == file.read(size)
        assert stream.tell() == file.tell()
    assert stream.seek(-5, os.SEEK_END) == len(CONTENT) - 5
    assert stream.read() == CONTENT[-5:]
    stream.close()


def test_a_beginning_costs_one_small_request_and_the_rest_few() -> None:
    store = Store()
    stream = ObjectStream(store, "x", len(CONTENT))
    assert stream.read(10) == CONTENT[:10]
    assert store.ranges == [(0, FIRST_RANGE_BYTES)]
    assert stream.read() == CONTENT[10:]
    stream.close()
    assert len(store.ranges) == 10
    assert max(stop - start for start, stop in store.ranges) == RANGE_BYTES


def test_places_that_are_read_in_turn_are_read_once_each() -> None:
    store = Store()
    stream = ObjectStream(store, "x", len(CONTENT))
    for offset in range(0, 1_000_000, 50_000):
        for place in (0, 12_000_000):
            stream.seek(place + offset)
            assert stream.read(50_000) == CONTENT[place + offset :][:50_000]
    stream.close()
    assert len({start for start, _ in store.ranges}) == len(store.ranges)


def test_an_empty_object_is_read() -> None:
    assert ObjectStream(Store(b""), "x", 0).read() == b""


def test_what_never_comes_is_unavailable() -> None:
    flight.FLIGHT.allow(ReadLimits(timeout_seconds=0.3))
    store = Store(lost=range(5_000_000, len(CONTENT)))
    stream = ObjectStream(store, "x", len(CONTENT))
    with pytest.raises(UnavailableError, match="x: lost"):
        stream.read()
    stream.close()
    flight.FLIGHT.allow(DEFAULT_READ_LIMITS)


def test_what_comes_after_all_is_what_was_asked_for() -> None:
    flight.FLIGHT.allow(ReadLimits(timeout_seconds=0.3))
    store = Store(lost=range(2 * RANGE_BYTES, 2 * RANGE_BYTES + 1))
    stream = ObjectStream(store, "x", len(CONTENT))
    with pytest.raises(UnavailableError, match="x: lost"):
        stream.read()
    store.lost = range(0)
    assert stream.tell() == 2 * RANGE_BYTES
    assert stream.read() == CONTENT[2 * RANGE_BYTES :]
    stream.close()
    flight.FLIGHT.allow(DEFAULT_READ_LIMITS)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    bucket = tmp_path_factory.mktemp("storage") / "bucket"
    bucket.mkdir()
    images = [CONTENT[n * 1_000_000 : (n + 1) * 1_000_000] for n in range(20)]
    write_tar(bucket / "x.tar", {f"{n:02d}.jpg": image for n, image in enumerate(images)})
    write_zip(bucket / "x.zip", {f"{n:02d}.jpg": image for n, image in enumerate(images)})
    table = pa.table({"image": images, "image_id": [f"{n:02d}" for n in range(20)]})
    pq.write_table(table, bucket / "x.parquet", row_group_size=5, compression="none")
    with use_storage_server(bucket) as server:
        yield server


def read_shard(
    kind: ShardKind, timeout_seconds: float = 0.5
) -> tuple[list[bytes], list[tuple[str, str]]]:
    uri = f"gs://bucket/x.{kind.value}"
    file = InputFile(kind, uri, "gs://bucket", 20_000_000)
    policy = ReadPolicy(
        columns=FileColumns(None, None, pa.schema([])),
        batch_size=4,
        max_image_bytes=1 << 24,
        limits=ReadLimits(timeout_seconds=timeout_seconds),
    )
    reader = ShardReader(policy)
    try:
        batches = list(reader.read(Shard(ShardKey(0, 1), kind, files=(file,))))
    finally:
        reader.close()
        flight.FLIGHT.allow(DEFAULT_READ_LIMITS)
    images = [image for batch in batches for image in batch.encoded]
    return images, [(f.reason, f.uri) for batch in batches for f in batch.failures]


@pytest.mark.parametrize("kind", [ShardKind.TAR, ShardKind.PARQUET, ShardKind.ZIP])
def test_files_of_images_come_whole_from_a_faulty_store(
    storage: RunningServer, kind: ShardKind
) -> None:
    storage.behave(faults={"reset": 0.2, "short": 0.2, "500": 0.2}, seed=1)
    images, failures = read_shard(kind, timeout_seconds=60)
    assert failures == []
    assert b"".join(images) == CONTENT
    counts = storage.counts()
    assert counts["reset"] + counts["short"] + counts["500"] > 0


@pytest.mark.parametrize("kind", [ShardKind.TAR, ShardKind.PARQUET, ShardKind.ZIP])
def test_a_file_that_does_not_come_may_come_another_time(
    storage: RunningServer, kind: ShardKind
) -> None:
    storage.behave(broken={f"x.{kind.value}": (0, 1 << 30)})
    images, failures = read_shard(kind)
    assert images == []
    assert failures == [("read/InterruptedFile", f"gs://bucket/x.{kind.value}")]
    key, file = ShardKey(0, 1), WrittenFile("x", 0, "")
    result = ShardResult(
        shard=key,
        kind=kind,
        files=(FileAccount.of(InputFile(kind, "x", "", 1), 3, {"read/InterruptedFile": 1}),),
        fingerprint="",
        data=file,
        inputs=file,
        rows=3,
        failures={"read/InterruptedFile": 1},
    )
    assert result.files[0].is_cut_short
    assert result.may_pass


def test_opening_says_what_is_absent(storage: RunningServer) -> None:
    storage.behave()
    with pytest.raises(NotFoundError, match="gs://bucket/absent: no such object"):
        open_uri("gs://bucket/absent")
    with open_buffered("gs://bucket/x.tar") as handle:
        assert handle.peek(4)[:6] == b"00.jpg"


def test_what_came_before_a_break_is_kept(storage: RunningServer) -> None:
    broken = (9_000_000, 19_000_000)  # The end of a Parquet file is read first.
    storage.behave(broken={"x.tar": broken, "x.parquet": broken})
    images, failures = read_shard(ShardKind.TAR)
    assert 0 < len(images) < 10
    assert failures == [("read/InterruptedFile", "gs://bucket/x.tar")]
    images, failures = read_shard(ShardKind.PARQUET)
    assert 0 < len(images) < 10
    assert b"".join(images) == CONTENT[: len(images) * 1_000_000]
    assert failures == [
        ("read/Unavailable", f"gs://bucket/x.parquet#{row}") for row in range(len(images), 20)
    ]
