"""Reading from an object store that answers late, unevenly, or wrongly: ours beside a free pool."""

import json
import os
import pathlib
import statistics
from typing import Any, NamedTuple

from scripts.benchmarks.measure import run_module
from scripts.benchmarks.storage_behaviour import FAULTS
from scripts.benchmarks.storage_objects import OBJECT_BYTES, make_objects
from scripts.benchmarks.storage_server import RunningServer, run_storage_server
from scripts.benchmarks.tables import print_head, print_row, spread

MEMORY_BYTES = 512_000_000
FLIGHTS = (32, 64)
ADAPTIVE_READS = 256


class Storage(NamedTuple):
    """A way in which the store answers.

    Attributes:
        name: Name of it.
        objects: Objects that are read.
        behaviour: What the server is told.
        wanted: Smallest share of a free pool's rate that ours is to reach.
    """

    name: str
    objects: int
    behaviour: dict[str, Any]
    wanted: float


STORES = (
    Storage("50 ms each", 4000, {"delay_seconds": 0.05}, 0.95),
    Storage("150 ms each", 3000, {"delay_seconds": 0.15}, 0.95),
    Storage("50 ms, 2 % 1 s more", 4000, {"delay_seconds": 0.05, "tails": [(0.02, 1.0)]}, 0.85),
    Storage("50 ms, 1 % 3 s more", 4000, {"delay_seconds": 0.05, "tails": [(0.01, 3.0)]}, 0.85),
)
FAULTY_OBJECTS = 6000
MAX_FAULTY_TIMES = 1.5
MIN_ADAPTIVE_RATE = 900
SMALL_MEMORY_BYTES = 20_000_000
MEMORY_MARGIN_BYTES = 60_000_000
"""Beside what is read ahead: batches, threads and connections."""


def measure_storage(data: pathlib.Path, rounds: int) -> int:
    """Prints objects/s of ours and of free pools; returns 1 if a target is missed."""
    with run_storage_server(*make_objects(data)) as server:
        os.environ["STORAGE_EMULATOR_HOST"] = server.url
        are_met = [
            _measure_flights(server, rounds),
            _measure_adaptive(server, rounds),
            _measure_decoded(server, rounds),
            _measure_faults(server, rounds),
            _measure_memory(server, rounds),
        ]
    return int(not all(are_met))


def _run(
    server: RunningServer,
    what: str,
    reads: int,
    objects: int,
    memory_bytes: int = MEMORY_BYTES,
    **behaviour: Any,  # noqa: ANN401 - of Behaviour's types
) -> dict[str, float]:
    """Reads once, in a fresh process."""
    server.behave(**behaviour)
    printed = run_module("storage_reads", what, reads, memory_bytes, objects)
    figures: dict[str, float] = json.loads(printed.splitlines()[-1])
    if figures["read"] != objects:
        raise SystemExit(f"{what}: read {figures['read']:.0f} of {objects}")
    figures["rate"] = objects / figures["seconds"]
    figures["most_at_once"] = server.counts()["most_at_once"]
    return figures


def _measure_flights(server: RunningServer, rounds: int) -> bool:
    print_head(("store", "reads", "free pool, objects/s", "ours", "ours / pool", "wanted"))
    are_met = True
    for store in STORES:
        for reads in FLIGHTS:
            pairs = [
                [
                    _run(server, what, reads, store.objects, **store.behaviour)["rate"]
                    for what in ("pool", "ours")
                ]
                for _ in range(rounds)
            ]
            ratios = [ours / pool for pool, ours in pairs]
            pools, all_ours = zip(*pairs, strict=True)
            cells = (spread(pools, 0), spread(all_ours, 0), spread(ratios))
            print_row((store.name, reads, *cells, store.wanted))
            are_met &= statistics.median(ratios) >= store.wanted
    return are_met


def _measure_adaptive(server: RunningServer, rounds: int) -> bool:
    print_head(("store", "objects/s, up to 256", "at once", "CPU ms an object", "peak MB"))
    rates = []
    for store in STORES:
        runs = [
            _run(server, "ours", ADAPTIVE_READS, 2 * store.objects, **store.behaviour)
            for _ in range(rounds)
        ]
        rates.append(statistics.median(run["rate"] for run in runs))
        cpu = [1000 * run["cpu_seconds"] / run["read"] for run in runs]
        print_row(
            (
                store.name,
                spread([run["rate"] for run in runs], 0),
                int(max(run["most_at_once"] for run in runs)),
                spread(cpu),
                f"{max(run['peak_bytes'] for run in runs) / 1e6:.0f}",
            )
        )
    print(f"\nat 50 ms {rates[0]:.0f}/s, wanted {MIN_ADAPTIVE_RATE}")
    return rates[0] >= MIN_ADAPTIVE_RATE


def _measure_decoded(server: RunningServer, rounds: int) -> bool:
    """Reads photos of 20 kB, decodes and resizes them; beside it the decoder alone."""
    print_head(("store", "photos/s, decoded", "decoder alone", "ratio", "CPU ms a photo", "wanted"))
    are_met = True
    for store in STORES[:2]:
        pairs = [
            [
                _run(server, what, ADAPTIVE_READS, store.objects, **store.behaviour)
                for what in ("decoder", "decoded")
            ]
            for _ in range(rounds)
        ]
        alone = [decoder["rate"] for decoder, _ in pairs]
        rates = [decoded["rate"] for _, decoded in pairs]
        ratios = [rate / most for rate, most in zip(rates, alone, strict=True)]
        cpu = [1000 * decoded["cpu_seconds"] / decoded["read"] for _, decoded in pairs]
        wanted = min(MIN_ADAPTIVE_RATE, store.wanted * statistics.median(alone))
        cells = (spread(rates, 0), spread(alone, 0), spread(ratios), spread(cpu), round(wanted))
        print_row((store.name, *cells))
        are_met &= statistics.median(rates) >= wanted
    return are_met


def _measure_faults(server: RunningServer, rounds: int) -> bool:
    print_head(("1 % of the reads", "seconds", "without", "times", "asked again"))
    all_times = []
    for name, faults in (*((fault, (fault,)) for fault in FAULTS), ("all of them", FAULTS)):
        runs, times = [], []
        for _ in range(rounds):
            good = _run(server, "ours", 64, FAULTY_OBJECTS, delay_seconds=0.05)
            run = _run(
                server,
                "ours",
                64,
                FAULTY_OBJECTS,
                delay_seconds=0.05,
                faults=dict.fromkeys(faults, 0.01),
            )
            runs.append((run, good))
            times.append(run["seconds"] / good["seconds"])
        print_row(
            (
                name,
                spread([run["seconds"] for run, _ in runs], 1),
                spread([good["seconds"] for _, good in runs], 1),
                spread(times),
                int(max(run["again"] for run, _ in runs)),
            )
        )
        all_times.append(statistics.median(times))
    return max(all_times) <= MAX_FAULTY_TIMES


def _measure_memory(server: RunningServer, rounds: int) -> bool:
    """Reads with one read in flight, and with many and a slow start that lets them pile up."""
    behaviour = {"delay_seconds": 0.05, "tails": [(0.01, 3.0)]}
    one = _run(server, "ours", 1, 400, SMALL_MEMORY_BYTES, delay_seconds=0.01)
    many = [
        _run(server, "ours", ADAPTIVE_READS, 6000, SMALL_MEMORY_BYTES, **behaviour)
        for _ in range(rounds)
    ]
    more = max(run["peak_bytes"] for run in many) - one["peak_bytes"]
    limit = SMALL_MEMORY_BYTES + MEMORY_MARGIN_BYTES
    at_once = int(max(run["most_at_once"] for run in many))
    print(
        f"\n--max_read_memory {SMALL_MEMORY_BYTES / 1e6:.0f} MB, objects of "
        f"{OBJECT_BYTES / 1000:.0f} kB: {at_once} reads at once take {more / 1e6:.0f} MB more than "
        f"one at a time, wanted at most {limit / 1e6:.0f}"
    )
    return more <= limit
