"""Reads in flight: in order, as many as may be, in bounded memory, again where they fail."""

import contextlib
import functools
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
import urllib3

from scripts.benchmarks.storage_behaviour import FAULTS
from scripts.benchmarks.storage_server import RunningServer
from tests.support.storage import use_storage_server
from transforms.errors import (
    FileTooLargeError,
    ImageError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)
from transforms.files import http_get
from transforms.files.cloud_reads import read_object
from transforms.files.flight import Flight
from transforms.files.object_store import TransientError
from transforms.files.pace import Pace
from transforms.files.read_ahead import RETRIES, Read
from transforms.files.read_limits import ReadLimits

MAX_BYTES = 1 << 20
OBJECTS = 300
CONTENTS = [random.Random(n).randbytes(1000 + n) for n in range(OBJECTS)]
REASONS = {"short": "short_body", "long": "other"}


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    bucket = tmp_path_factory.mktemp("storage") / "bucket"
    bucket.mkdir()
    for n, content in enumerate(CONTENTS):
        (bucket / f"{n:03d}").write_bytes(content)
    with use_storage_server(bucket) as server:
        yield server


def read_all(limits: ReadLimits, count: int = OBJECTS) -> tuple[list[bytes | ImageError], Counter]:
    retries: Counter[str] = Counter()
    token = RETRIES.set(retries)
    reads = [
        Read(functools.partial(read_object, f"gs://bucket/{n:03d}", MAX_BYTES), 1000 + n)
        for n in range(count)
    ]
    with contextlib.closing(Flight(limits).read_ahead(reads, Pace())) as ahead:
        found = list(ahead)
    RETRIES.reset(token)
    return found, retries


def test_reads_are_handed_on_in_order_whatever_they_take(storage: RunningServer) -> None:
    storage.behave(delay_seconds=0.005, tails=[(0.1, 0.05)])
    found, _ = read_all(ReadLimits(max_reads=64))
    assert found == CONTENTS
    # Ones that are asked for twice stay at work until they end.
    assert 20 < storage.counts()["most_at_once"] <= 90


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "stall"])
def test_what_passes_is_tried_again_and_counted(storage: RunningServer, fault: str) -> None:
    storage.behave(faults={fault: 0.1})
    found, retries = read_all(ReadLimits())
    assert found == CONTENTS
    faults = storage.counts()[fault]
    assert faults > 10
    if fault == "long":  # What is too much is not read; it spoils the connection at most.
        assert retries.total() <= faults
    else:
        # On a busy machine some are asked for twice, and of these one may go wrong untold.
        assert faults - retries["slow"] <= retries[REASONS.get(fault, fault)] <= faults


def test_a_read_that_takes_too_long_is_asked_for_twice(storage: RunningServer) -> None:
    storage.behave(delay_seconds=0.005, tails=[(0.02, 30.0)])
    started = time.monotonic()
    found, retries = read_all(ReadLimits())
    assert found == CONTENTS
    assert time.monotonic() - started < 10
    assert 0 < retries["slow"] <= 0.1 * OBJECTS


def test_a_refusing_store_is_asked_for_less_at_a_time(storage: RunningServer) -> None:
    storage.behave(delay_seconds=0.02, most_at_once=8)
    found, retries = read_all(ReadLimits())
    assert found == CONTENTS
    assert retries["429"] > 0
    assert retries["slow"] <= 0.02 * OBJECTS  # On a busy machine some are.
    assert storage.counts()["429"] < OBJECTS


def test_what_does_not_pass_is_a_failure_in_time(storage: RunningServer) -> None:
    storage.behave(faults={"503": 1.0})
    started = time.monotonic()
    found, _ = read_all(ReadLimits(timeout_seconds=1.0), count=20)
    assert 0.3 < time.monotonic() - started < 5
    assert all(isinstance(error, UnavailableError) for error in found)
    assert "gs://bucket/000: the store answers 503 Service Unavailable" in str(found[0])


@pytest.mark.parametrize("error", [NotFoundError("x"), PermissionDeniedError("x")])
def test_what_is_permanent_is_not_tried_again(error: ImageError) -> None:
    calls = []

    def fail() -> bytes:
        calls.append(1)
        raise error

    with contextlib.closing(Flight(ReadLimits()).read_ahead([Read(fail, 1)], Pace())) as ahead:
        assert list(ahead) == [error]
    assert len(calls) == 1


def test_an_error_of_ours_reaches_who_waits() -> None:
    def fail() -> bytes:
        raise ZeroDivisionError

    ahead = Flight(ReadLimits()).read_ahead([Read(fail, 1), Read(lambda: b"x", 1)], Pace())
    with contextlib.closing(ahead):
        with pytest.raises(ZeroDivisionError):
            next(ahead)
        assert next(ahead) == b"x"


class Meter:
    """Counts bytes that were read and not used."""

    def __init__(self) -> None:
        self.held = self.most = 0
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        with self._lock:
            self.held += size
            self.most = max(self.most, self.held)

    def reads(self, count: int, size: int, told: int | None) -> Iterator[Read]:
        def call() -> bytes:
            self.add(size)
            time.sleep(0.001)
            return bytes(size)

        return (Read(call, told) for _ in range(count))


@pytest.mark.parametrize("told", [1000, None])
def test_memory_is_bounded_also_where_sizes_are_not_known(told: int | None) -> None:
    meter = Meter()
    flight = Flight(ReadLimits(max_memory_bytes=20_000))
    aheads = [flight.read_ahead(meter.reads(200, 1000, told), Pace()) for _ in range(3)]
    for _ in range(200):
        for ahead in aheads:
            assert next(ahead) == bytes(1000)
            meter.add(-1000)
    assert meter.most <= 20_000 + len(aheads) * 1000


def test_one_that_is_not_used_leaves_others_going() -> None:
    flight = Flight(ReadLimits(max_reads=2, max_memory_bytes=10))
    idle = flight.read_ahead([Read(lambda: b"0123456789", 10)] * 5, Pace())
    busy = flight.read_ahead([Read(lambda: b"9876543210", 10)] * 5, Pace())
    assert list(busy) == [b"9876543210"] * 5
    idle.close()
    again = flight.read_ahead([Read(lambda: b"x", 10)] * 5, Pace())
    assert list(again) == [b"x"] * 5


def test_what_is_closed_stops(storage: RunningServer) -> None:
    storage.behave(faults={"503": 1.0})
    reads = [Read(lambda: read_object("gs://bucket/000", MAX_BYTES), 1)] * 100
    ahead = Flight(ReadLimits()).read_ahead(reads, Pace())
    time.sleep(0.2)
    ahead.close()
    time.sleep(2)
    storage.behave()
    time.sleep(0.5)
    assert storage.counts()["reads"] == 0


def test_a_stall_ends_after_its_time(
    storage: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert http_get._TIMEOUT.read_timeout == http_get.STALL_SECONDS == 10
    monkeypatch.setattr(http_get, "_TIMEOUT", urllib3.Timeout(0.3))
    storage.behave(faults={"stall": 1.0})
    started = time.monotonic()
    with pytest.raises(TransientError) as caught:
        read_object("gs://bucket/000", MAX_BYTES)
    assert caught.value.reason == "stall"
    assert 0.3 <= time.monotonic() - started < 3


def test_a_body_that_trickles_ends_after_its_time(
    storage: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.behave(seconds_a_byte=0.01)  # The 1,000 take 10 s.
    limits = ReadLimits(timeout_seconds=0.5)
    started = time.monotonic()
    (error,), _ = read_all(limits, count=1)
    assert 0.5 <= time.monotonic() - started < 8
    assert isinstance(error, UnavailableError)
    assert "gs://bucket/000: only " in str(error)
    storage.behave(seconds_a_byte=0.002)
    monkeypatch.setattr(http_get, "FAIR_BYTES_PER_SECOND", 10)
    found, _ = read_all(limits, count=1)
    assert found == CONTENTS[:1]


def test_what_is_too_large_is_not_read(storage: RunningServer) -> None:
    storage.behave()
    with pytest.raises(FileTooLargeError):
        read_object("gs://bucket/299", 1000)
