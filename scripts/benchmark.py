"""Times the pipeline against its peers on the same photos; see docs/benchmarks.md.

With --memory: peak memory at 2,000 and at 20,000 images. With --inference_step: Beam's RunInference
against a plain DoFn. With --refresh: a refresh of 20,000 images of which 1 % changed against a full
run. With --unchanged: a refresh of a million rows without a change. Needs no download.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence

SCRIPTS = pathlib.Path(__file__).parent
WARM_UP_IMAGES = 64
OURS = "pipeline"
PEERS = ("tf_data", "beam_per_image", "model_alone")
MEMORY_IMAGES = (2_000, 20_000)
MAX_MEMORY_RATIO = 1.3
REFRESH_IMAGES = 20_000
MAX_REFRESH_SHARE = 0.1
UNCHANGED_ROWS = (100_000, 1_000_000)

Figures = dict[str, float]


def run_script(name: str, *arguments: object) -> str:
    """Runs a script of this directory in a fresh process; returns what it prints."""
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / name), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS.parent)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{name} {arguments[0]} failed:\n{done.stderr[-4000:]}")
    return done.stdout


def run_contender(name: str, data: pathlib.Path, images: int, model: str) -> Figures:
    """Runs one contender in a fresh process; returns its figures."""
    few, photos = data / str(WARM_UP_IMAGES), data / str(images)
    printed = run_script("benchmark_contender.py", name, few, photos, data / model)
    return json.loads(printed.splitlines()[-1])


def run_rounds(
    names: Sequence[str], data: pathlib.Path, images: int, model: str, rounds: int
) -> dict[str, list[Figures]]:
    """Runs every contender once a round, the first to go another one each round."""
    results: dict[str, list[Figures]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in [*names[first:], *names[:first]]:
            figures = run_contender(name, data, images, model)
            results[name].append(figures)
            rate = figures["images_per_second"]
            print(f"round {number + 1}: {name} {rate:.1f} images/s", file=sys.stderr)
    return results


def print_table(results: dict[str, list[Figures]]) -> None:
    """Prints what each contender did, medians over the rounds."""

    def column(name: str, figure: str) -> list[float]:
        return [figures[figure] for figures in results[name]]

    print("| contender | images/s: median (min-max) | steady images/s | fixed s a run "
          "| CPU ms an image | cores in use | peak MB |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for name in results:
        rates = column(name, "images_per_second")
        others = [
            statistics.median(column(name, figure))
            for figure in (
                "steady_images_per_second", "fixed_seconds", "cpu_milliseconds_per_image", "cores",
            )
        ]  # fmt: skip
        print(
            f"| {name} | {statistics.median(rates):.1f} ({min(rates):.1f}-{max(rates):.1f}) "
            "| {:.1f} | {:.1f} | {:.1f} | {:.2f} ".format(*others)
            + f"| {max(column(name, 'peak_bytes')) / 1e6:,.0f} |"
        )


def print_ratios(results: dict[str, list[Figures]], ours: str) -> None:
    """Prints how much faster ours is than each other contender, round by round."""
    print(f"\n| {ours} over | images/s: median (min-max) | steady images/s | CPU an image |")
    print("|---|---|---|---|")
    for name in results:
        if name == ours:
            continue
        cells = []
        for figure in ("images_per_second", "steady_images_per_second"):
            ratios = [
                mine[figure] / other[figure]
                for mine, other in zip(results[ours], results[name], strict=True)
            ]
            cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})")
        cpu = statistics.median(
            mine["cpu_milliseconds_per_image"] / other["cpu_milliseconds_per_image"]
            for mine, other in zip(results[ours], results[name], strict=True)
        )
        print(f"| {name} | {' | '.join(cells)} | {cpu:.2f} |")


def measure_memory(data: pathlib.Path) -> int:
    """Prints peak memory at both sizes; returns 1 if it grows too much."""
    peaks = []
    for images in MEMORY_IMAGES:
        figures = run_contender(OURS, data, images, "tiny")
        peaks.append(figures["peak_bytes"])
        rate = figures["images_per_second"]
        print(
            f"{images:,} images: peak {peaks[-1] / 1e6:,.0f} MB ({rate:.0f} images/s)", flush=True
        )
    ratio = peaks[1] / peaks[0]
    print(f"ratio {ratio:.2f}, wanted at most {MAX_MEMORY_RATIO}")
    return int(ratio > MAX_MEMORY_RATIO)


def measure_refresh(data: pathlib.Path, rounds: int) -> int:
    """Prints what a refresh costs beside a full run; returns 1 if it is too much."""
    print("| model | full run s | refresh s | share | CPU share | peak MB full, refresh |")
    print("|---|---|---|---|---|---|", flush=True)
    shares = []
    for model in ("mobilenet", *["mobilenet"] * (rounds - 1), "tiny"):
        printed = run_script("benchmark_refresh.py", "changed", data, REFRESH_IMAGES, model)
        figures = json.loads(printed.splitlines()[-1])
        full, refresh = figures["full"], figures["refresh"]
        share, cpu = (refresh[name] / full[name] for name in ("seconds", "cpu_seconds"))
        if model == "mobilenet":
            shares.append(share)
        peaks = ", ".join(f"{run['peak_bytes'] / 1e6:,.0f}" for run in (full, refresh))
        print(
            f"| {model} | {full['seconds']:.1f} | {refresh['seconds']:.1f} | {share:.1%} "
            f"| {cpu:.1%} | {peaks} |",
            flush=True,
        )
    print(f"\nmedian share {statistics.median(shares):.1%}, wanted at most {MAX_REFRESH_SHARE:.0%}")
    return int(statistics.median(shares) > MAX_REFRESH_SHARE)


def measure_unchanged(data: pathlib.Path) -> int:
    """Prints time and memory of refreshes in which nothing changed."""
    print(
        "| rows | files | GB | seconds | CPU s | peak MB |\n|---|---|---|---|---|---|", flush=True
    )
    for rows in UNCHANGED_ROWS:
        printed = run_script("benchmark_refresh.py", "unchanged", data, rows)
        figures = json.loads(printed.splitlines()[-1])
        print(
            f"| {rows:,} | {figures['files']} | {figures['size_bytes'] / 1e9:.2f} "
            f"| {figures['seconds']:.1f} | {figures['cpu_seconds']:.1f} "
            f"| {figures['peak_bytes'] / 1e6:,.0f} |",
            flush=True,
        )
    return 0


def main() -> int:
    """Makes the data, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--photos", type=pathlib.Path, help="JPEG files to use; else synthetic ones"
    )
    parser.add_argument("--images", type=int, default=600, help="photos a run (default 600)")
    parser.add_argument("--rounds", type=int, default=5, help="(default 5)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--memory", action="store_true", help="peak memory instead of speed")
    what.add_argument("--inference_step", action="store_true", help="RunInference or a DoFn")
    what.add_argument("--refresh", action="store_true", help="a refresh with 1 %% changed")
    what.add_argument("--unchanged", action="store_true", help="a refresh of a million rows")
    arguments = parser.parse_args()
    if arguments.images <= WARM_UP_IMAGES or arguments.rounds < 1:
        parser.error(f"needs --images over {WARM_UP_IMAGES} and --rounds of at least 1")
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        data = pathlib.Path(directory)
        counts = MEMORY_IMAGES if arguments.memory else (arguments.images,)
        counts = (REFRESH_IMAGES,) if arguments.refresh else counts
        photos = ("--photos", arguments.photos) if arguments.photos else ()
        run_script("benchmark_data.py", data, *photos, "--counts", WARM_UP_IMAGES, *counts)
        if arguments.memory:
            return measure_memory(data)
        if arguments.refresh:
            return measure_refresh(data, arguments.rounds)
        if arguments.unchanged:
            return measure_unchanged(data)
        if arguments.inference_step:
            for model in ("mobilenet", "tiny"):
                names = (OURS, "pipeline_with_dofn")
                results = run_rounds(names, data, arguments.images, model, arguments.rounds)
                print(f"\nmodel: {model}")
                print_table(results)
                print_ratios(results, OURS)
        else:
            results = run_rounds(
                (OURS, *PEERS), data, arguments.images, "mobilenet", arguments.rounds
            )
            print_table(results)
            print_ratios(results, OURS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
