"""How many threads the local runner uses."""

import pytest

from pipelines.running.pipeline_run import MAX_THREADS, read_options, workers_here
from transforms.machine.cores import usable_cores

ALL_CORES = workers_here(read_options([f"--direct_num_workers={usable_cores()}"]))


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        ([], f"{min(usable_cores(), MAX_THREADS)} threads"),
        (["--direct_num_workers", "1"], "1 thread"),
        (["--direct_num_workers", "0", "--direct_running_mode=multi_threading"], ALL_CORES),
        (["--direct_num_workers=5", "--direct_running_mode=multi_processing"], "5 processes"),
    ],
)
def test_one_thread_a_core_unless_told_else(argv: list[str], wanted: str) -> None:
    assert workers_here(read_options(argv)) == wanted


def test_another_runner_is_told_nothing_of_this_machine() -> None:
    options = read_options(["--runner", "FlinkRunner"])
    assert "direct_num_workers" not in options.get_all_options(drop_default=True)
