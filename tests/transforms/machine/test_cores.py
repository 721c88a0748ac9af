"""How many cores a process may use."""

import os
import pathlib
import subprocess
import sys

import pytest

from transforms.machine.cores import usable_cores


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "1000 100000\n"}, 1),
        ({"cpu.max": "25000000 100000\n"}, 250),
        ({"cpu.max": "max 100000\n"}, 1000),
        ({"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1000),
        ({}, 1000),
    ],
)
def test_a_container_is_not_the_node(
    files: dict[str, str], wanted: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(1000)))
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert usable_cores(tmp_path) == wanted


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux has it")
def test_all_that_decodes_keeps_to_the_cores_that_it_is_bound_to() -> None:
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from pipelines.running.pipeline_run import read_options, workers_here
from transforms.images.jpeg_batches import JpegBatches
print(JpegBatches()._threads._max_workers, workers_here(read_options([])))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "1 1 thread\n", done.stderr
