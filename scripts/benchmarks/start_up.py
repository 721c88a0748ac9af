"""What looking at a model's first layer adds to its start.

usage: python -m scripts.benchmarks.start_up MODEL

Loads a model once, as a run does, and prints how long loading and looking took, as JSON.
"""

import json
import os
import pathlib
import sys
import time
from collections.abc import Callable
from typing import TypeVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from scripts.benchmarks.measure import run_module
from scripts.benchmarks.tables import print_head, print_row, spread

MAX_SECONDS = 0.5

Value = TypeVar("Value")


def measure_start_up(models: dict[str, pathlib.Path], rounds: int) -> int:
    """Prints the seconds of each model, in fresh processes; returns 1 if looking takes too long."""
    print_head(("model", "MB", "loading, s", "looking, s", "looking, CPU s"))
    slow = 0
    for name, model in models.items():
        runs = [json.loads(run_module("start_up", model)) for _ in range(rounds)]
        figures = {key: [run[key] for run in runs] for key in runs[0]}
        megabytes = f"{figures.pop('megabytes')[0]:.0f}"
        print_row((name, megabytes, *map(spread, figures.values())))
        slow += sorted(figures["looking"])[rounds // 2] > MAX_SECONDS
    print(f"\n{slow} slower than {MAX_SECONDS} s, wanted none")
    return int(slow > 0)


def main(model_dir: str) -> None:
    """Loads and looks once."""
    from transforms.models.inspection import inspect_saved_model
    from transforms.models.loaded_model import load_saved_model
    from transforms.models.uniform_images import look_at_first_layer

    spec = inspect_saved_model(model_dir)
    assert spec.image_size
    size = spec.image_size
    loaded, loading, _ = _timed(lambda: load_saved_model(model_dir, spec, size))
    _, looking, cpu = _timed(lambda: look_at_first_layer(loaded))
    figures = {"loading": loading, "looking": looking, "cpu": cpu}
    print(json.dumps({"megabytes": loaded.size_bytes / 1e6, **figures}))


def _timed(call: Callable[[], Value]) -> tuple[Value, float, float]:
    """Returns a call's value and its seconds of wall and processor time."""
    started = time.perf_counter(), time.process_time()
    value = call()
    return value, time.perf_counter() - started[0], time.process_time() - started[1]


if __name__ == "__main__":
    main(sys.argv[1])
