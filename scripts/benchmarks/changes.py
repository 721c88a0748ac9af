"""What a refresh costs: when 1 % of the images changed, and when none did."""

import json
import pathlib
import statistics

from scripts.benchmarks.measure import run_module
from scripts.benchmarks.tables import print_head, print_row

CHANGED_IMAGES = 20_000
UNCHANGED_ROWS = (100_000, 1_000_000)
MAX_REFRESH_SHARE = 0.1
MODEL, CHEAP_MODEL = "mobilenetv2", "tiny"


def measure_changed(data: pathlib.Path, photos: str, rounds: int) -> int:
    """Prints what a refresh costs beside a full run; returns 1 if it is too much."""
    print_head(("model", "full run s", "refresh s", "share", "CPU share", "peak MB full, refresh"))
    shares = []
    for model in (*[MODEL] * rounds, CHEAP_MODEL):
        directory = data / photos / str(CHANGED_IMAGES)
        printed = run_module("refresh", "changed", data, directory, model)
        figures = json.loads(printed.splitlines()[-1])
        full, refresh = figures["full"], figures["refresh"]
        share, cpu = (refresh[name] / full[name] for name in ("seconds", "cpu_seconds"))
        if model == MODEL:
            shares.append(share)
        print_row(
            (
                model,
                f"{full['seconds']:.1f}",
                f"{refresh['seconds']:.1f}",
                f"{share:.1%}",
                f"{cpu:.1%}",
                ", ".join(f"{run['peak_bytes'] / 1e6:,.0f}" for run in (full, refresh)),
            )
        )
    share = statistics.median(shares)
    print(f"\nmedian share {share:.1%}, wanted at most {MAX_REFRESH_SHARE:.0%}")
    return int(share > MAX_REFRESH_SHARE)


def measure_unchanged(data: pathlib.Path) -> int:
    """Prints time and memory of refreshes in which nothing changed."""
    print_head(("rows", "files", "GB", "seconds", "CPU s", "peak MB"))
    for rows in UNCHANGED_ROWS:
        printed = run_module("refresh", "unchanged", data, rows)
        figures = json.loads(printed.splitlines()[-1])
        print_row(
            (
                f"{rows:,}",
                figures["files"],
                f"{figures['size_bytes'] / 1e9:.2f}",
                f"{figures['seconds']:.1f}",
                f"{figures['cpu_seconds']:.1f}",
                f"{figures['peak_bytes'] / 1e6:,.0f}",
            )
        )
    return 0
