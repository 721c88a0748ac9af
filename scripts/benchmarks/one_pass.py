"""What one pass of three models takes, over the same three runs one after the other."""

import contextlib
import csv
import os
import pathlib
import shutil
import statistics
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from scripts.benchmarks.refresh import run_program
from scripts.benchmarks.storage_objects import PHOTOS, make_objects, uri_of
from scripts.benchmarks.storage_server import run_storage_server
from scripts.benchmarks.tables import print_head, print_row, spread

PROGRAMS = {"mobilenetv2": "embed", "mobilenet": "embed", "mobilenetv3small": "classify"}
"""Models, and what is run with each."""

STORE = "store"
STORE_OBJECTS = 3000
DELAY_SECONDS = 0.05
WANTED = {"small": 0.7, "large": 0.5, STORE: 0.45}
"""Largest share of the time of the three runs, by photos."""


class Case(NamedTuple):
    """Photos that are read.

    Attributes:
        name: Name in WANTED.
        inputs: Flags that say where they are.
    """

    name: str
    inputs: dict[str, Any]


def measure_one_pass(data: pathlib.Path, counts: dict[str, int], rounds: int) -> int:
    """Prints times of passes and of runs alone; returns 1 if a target is missed.

    Args:
        data: Directory of the models, and of the photos: data/NAME/COUNT.
        counts: Number of photos by size.
        rounds: Pairs of a pass and three runs.
    """
    print_head(("photos", "three runs s", "one pass s", "ratio", "CPU ratio", "peak MB", "wanted"))
    are_met = True
    for name, count in counts.items():
        inputs = {"input": [str(data / name / str(count))]}
        are_met &= _measure(data, Case(name, inputs), rounds)
    with _stored(data) as inputs:
        are_met &= _measure(data, Case(STORE, inputs), rounds)
    return int(not are_met)


@contextlib.contextmanager
def _stored(data: pathlib.Path) -> Iterator[dict[str, Any]]:
    """Serves small photos by a store that takes its time; yields the flags that name them."""
    manifest = data / "stored.csv"
    with manifest.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["uri"])
        rows.writerows([uri_of(PHOTOS, number)] for number in range(STORE_OBJECTS))
    with run_storage_server(*make_objects(data)) as server:
        os.environ["STORAGE_EMULATOR_HOST"] = server.url
        server.behave(delay_seconds=DELAY_SECONDS)
        yield {"manifest": [str(manifest)]}


def _measure(data: pathlib.Path, case: Case, rounds: int) -> bool:
    """Measures in pairs: what else the machine does changes from minute to minute."""
    alone, together = [], []
    for _ in range(rounds):
        alone.append(_run_alone(data, case))
        together.append(_run_pass(data, case))
    ratios, cpu_ratios = (
        [one[figure] / three[figure] for one, three in zip(together, alone, strict=True)]
        for figure in ("seconds", "cpu_seconds")
    )
    wanted = WANTED[case.name]
    print_row(
        (
            case.name,
            spread([three["seconds"] for three in alone], 1),
            spread([one["seconds"] for one in together], 1),
            spread(ratios),
            spread(cpu_ratios),
            ", ".join(
                f"{max(run['peak_bytes'] for run in runs) / 1e6:,.0f}" for runs in (alone, together)
            ),
            wanted,
        )
    )
    return statistics.median(ratios) <= wanted


def _run_alone(data: pathlib.Path, case: Case) -> dict[str, float]:
    """Runs the programs one after the other; times are added up."""
    files = _write_files(data, case, names_program=False)
    runs = [run_program(program, "--config", path) for path, program in files.items()]
    return {
        "seconds": sum(run["seconds"] for run in runs),
        "cpu_seconds": sum(run["cpu_seconds"] for run in runs),
        "peak_bytes": max(run["peak_bytes"] for run in runs),
    }


def _run_pass(data: pathlib.Path, case: Case) -> dict[str, float]:
    return run_program("one_pass", "--config", *_write_files(data, case, names_program=True))


def _write_files(data: pathlib.Path, case: Case, *, names_program: bool) -> dict[pathlib.Path, str]:
    """Writes a file of flags a run; returns the programs by file."""
    outputs = data / "runs"
    shutil.rmtree(outputs, ignore_errors=True)
    outputs.mkdir()
    files = {}
    for model, program in PROGRAMS.items():
        path = outputs / f"{model}.yaml"
        flags = {
            **({"program": program} if names_program else {}),
            "model": str(data / "models" / model),
            "engine": "openvino",
            "output": str(outputs / model),
            **case.inputs,
        }
        path.write_text(yaml.safe_dump(flags))
        files[path] = program
    return files
