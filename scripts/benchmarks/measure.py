"""Runs a contender in a fresh process and measures it from outside."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import NamedTuple

from scripts.benchmarks.processes import ProcessTree

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

Figures = dict[str, float]


class Run(NamedTuple):
    """One run over a directory of photos.

    Attributes:
        images: Photos in it.
        seconds: Wall time.
        cpu_seconds: Processor time of all processes.
        threads: Calling threads, where that was tried.
    """

    images: int
    seconds: float
    cpu_seconds: float
    threads: int | None


def module_environment() -> dict[str, str]:
    """Returns the environment of the benchmark's processes: worker processes import by it, too."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def run_module(name: str, *arguments: object) -> str:
    """Runs a module of this package in a fresh process; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", f"scripts.benchmarks.{name}", *map(str, arguments)],
        env=module_environment(),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{name} {arguments[0]} failed:\n{done.stderr[-4000:]}")
    return done.stdout


def run_contender(
    name: str, model: pathlib.Path, kept: pathlib.Path, photos: Sequence[pathlib.Path]
) -> tuple[list[Run], int]:
    """Runs one contender in a fresh process.

    Args:
        name: Its name.
        model: Directory of the SavedModel.
        kept: A new directory for the files of the first run; whatever else it writes is beside it.
        photos: A directory for each run.

    Returns:
        What each run took; and the largest memory of all its processes over all runs, in bytes.
    """
    command = [sys.executable, "-m", "scripts.benchmarks.contender"]
    # What is cached is kept from run to run, but not from benchmark to benchmark.
    own_directories = {"TMPDIR": str(kept.parent), "XDG_CACHE_HOME": str(kept.parent / "cache")}
    tree = ProcessTree()
    runs = []
    with tempfile.TemporaryFile("w+", errors="replace") as noise:
        process = subprocess.Popen(
            [*command, name, str(model), str(kept), *map(str, photos)],
            env={**module_environment(), **tree.environment, **own_directories},
            cwd=kept.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=noise,
            text=True,
        )
        assert process.stdin
        assert process.stdout
        with process, tree:
            for line in process.stdout:
                message = json.loads(line)
                cpu_seconds = tree.cpu_seconds()
                if message.pop("event") == "begin":
                    cpu_before = cpu_seconds
                else:
                    runs.append(Run(**message, cpu_seconds=cpu_seconds - cpu_before))
                process.stdin.write("\n")
                process.stdin.flush()
            process.wait()
        if process.returncode:
            noise.seek(0)
            sys.exit(f"{name} failed ({process.returncode}):\n{noise.read()[-4000:]}")
    return runs, tree.peak_bytes


def to_figures(runs: Sequence[Run], peak_bytes: int) -> Figures:
    """Says what a contender did, by runs over few, the same few, and all photos.

    A part of the work has three such runs for each number of threads; the faster counts.
    Steady figures are differences of two runs: noise, unless their seconds lie well apart.
    """
    _, few, everything = min(
        (runs[start : start + 3] for start in range(0, len(runs), 3)),
        key=lambda trio: trio[2].seconds,
    )
    vcpus = os.cpu_count() or 1
    more = everything.images - few.images
    # What a run costs whatever its size cancels out.
    seconds = (everything.seconds - few.seconds) / more
    cpu_seconds = (everything.cpu_seconds - few.cpu_seconds) / more
    return {
        "images_per_second": everything.images / everything.seconds,
        "steady_images_per_second": 1 / seconds,
        "seconds_of_steady": everything.seconds - few.seconds,
        "fixed_seconds": few.seconds - few.images * seconds,
        "cpu_milliseconds_per_image": 1000 * cpu_seconds,
        "cores": everything.cpu_seconds / everything.seconds,
        "peak_bytes": peak_bytes,
        "images_per_vcpu_hour": 3600 * everything.images / everything.seconds / vcpus,
        "threads": everything.threads or 0,
    }
