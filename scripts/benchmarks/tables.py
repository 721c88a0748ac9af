"""Prints what contenders did, as Markdown."""

import statistics
from collections.abc import Iterable, Sequence

from scripts.benchmarks.machine import describe_machine
from scripts.benchmarks.measure import Figures
from scripts.benchmarks.registry import find_contender
from scripts.benchmarks.speed import Results

WHOLE = "images_per_second"
STEADY = "steady_images_per_second"

MIN_SECONDS_OF_STEADY = 3.0
"""A run's start-up, which steady figures take away, varies by a few tenths of a second."""


def ratios_of(mine: Sequence[float], other: Sequence[float]) -> list[float]:
    """Divides values pair by pair."""
    return [a / b for a, b in zip(mine, other, strict=True)]


def ratios(mine: Sequence[Figures], other: Sequence[Figures], figure: str) -> list[float]:
    """Returns the ratio of one figure of two contenders, by round."""
    return ratios_of([a[figure] for a in mine], [b[figure] for b in other])


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Formats values as "median (min-max)"."""
    median, low, high = statistics.median(values), min(values), max(values)
    return f"{median:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def print_row(cells: Iterable[object]) -> None:
    """Prints one row of a table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def print_head(cells: Sequence[str]) -> None:
    """Prints the head of a table, under the day and the machine."""
    print(f"\n{describe_machine()}:\n")
    print_row(cells)
    print_row("---" for _ in cells)


def print_figures(results: Results) -> None:
    """Prints what each contender did, medians over the rounds."""
    print_head(
        (
            "contender", "images/s: median (min-max)", "steady images/s", "fixed s a run",
            "CPU ms an image", "cores in use", "peak MB", "images per vCPU-hour",
            "smallest cosine with ours",
        )
    )  # fmt: skip
    for name, rounds in results.figures.items():
        middle = {
            figure: statistics.median(figures[figure] for figures in rounds) for figure in rounds[0]
        }
        threads = sorted({int(figures["threads"]) for figures in rounds} - {0})
        cosine = results.cosines.get(name)
        print_row(
            (
                f"{name} ({' or '.join(map(str, threads))} threads)" if threads else name,
                spread([figures[WHOLE] for figures in rounds], 1),
                f"{middle[STEADY]:.1f}",
                f"{middle['fixed_seconds']:.1f}",
                f"{middle['cpu_milliseconds_per_image']:.2f}",
                f"{middle['cores']:.2f}",
                f"{max(figures['peak_bytes'] for figures in rounds) / 1e6:,.0f}",
                f"{middle['images_per_vcpu_hour']:,.0f}",
                "" if cosine is None else f"{cosine:.6f}",
            )
        )


def print_ratios(results: Results) -> None:
    """Prints how much faster each of ours is than each peer, round by round."""
    ours = [name for name in results.figures if name.startswith("ours")]
    peers = [
        name for name in results.figures if name not in ours and not find_contender(name).is_part
    ]
    if not ours or not peers:
        return
    for figure, label in ((WHOLE, "images/s"), (STEADY, "steady images/s")):
        print_head((f"{label}: median (min-max) of", *(f"{name} over it" for name in ours)))
        for peer in peers:
            pairs = (
                spread(ratios(results.figures[mine], results.figures[peer], figure))
                for mine in ours
            )
            print_row((peer, *pairs))


def too_short(results: Results, names: Iterable[str]) -> list[str]:
    """Returns those whose runs were too short for steady figures; parts have no start-up."""
    return [
        name
        for name in names
        if not find_contender(name).is_part
        and min(f["seconds_of_steady"] for f in results.figures[name]) < MIN_SECONDS_OF_STEADY
    ]


def print_results(results: Results, images: int) -> None:
    """Prints all tables of one model and one size of photos."""
    print(f"\n## {results.model}, {images} {results.photos} photos")
    print_figures(results)
    print_ratios(results)
    if short := too_short(results, results.figures):
        print(f"\nToo few photos for steady figures of {', '.join(short)}.")
