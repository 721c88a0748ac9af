"""What the pipeline wants to reach beside its peers, and whether it does."""

import functools
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from scripts.benchmarks.registry import OURS
from scripts.benchmarks.speed import Results
from scripts.benchmarks.tables import (
    STEADY,
    WHOLE,
    engines_with_parts,
    print_head,
    print_row,
    ratios,
    times_over_parts,
    too_short,
)

MAX_TIME_OVER_PARTS = 1.08
MIN_OVER_TF_DATA = 1.0
MIN_FASTEST_OVER_TF_DATA = 2.0
MIN_OVER_RAY_DATA = 1.2


class Target(NamedTuple):
    """One thing wanted.

    Attributes:
        name: What is compared, on which model and photos.
        wanted: The limit.
        is_upper: Whether the figure may be at most the limit; otherwise it is at least that.
        whole: Median over the rounds, of whole runs, start-up included.
        steady: The same of steady figures, or None where runs were too short for them.
    """

    name: str
    wanted: float
    is_upper: bool
    whole: float
    steady: float | None

    def is_reached(self, measured: float | None) -> bool | None:
        """Tells whether a figure is within the limit."""
        if measured is None:
            return None
        return measured <= self.wanted if self.is_upper else measured >= self.wanted


def find_targets(results: Results) -> Iterator[Target]:
    """Yields what can be said about one model and one size of photos."""
    where = f"{results.model}, {results.photos} photos"
    figures = results.figures
    if results.photos != "large":
        for how in engines_with_parts(results):
            name = f"{where}: time of ours_{how} over decode_alone + model_alone"
            times = functools.partial(times_over_parts, results, how)
            short = too_short(results, [f"ours_{how}"])
            yield _target(name, MAX_TIME_OVER_PARTS, True, times, short)
    ours = [name for name in figures if name.startswith("ours")]
    if not ours:
        return
    fastest = max(ours, key=lambda name: statistics.median(f[WHOLE] for f in figures[name]))
    for mine, peer, wanted in (
        (OURS, "tf_data", MIN_OVER_TF_DATA),
        (fastest, "tf_data", MIN_FASTEST_OVER_TF_DATA),
        (OURS, "ray_data", MIN_OVER_RAY_DATA),
    ):
        if {mine, peer} <= figures.keys():
            name = f"{where}: images/s of {mine} over {peer}"
            speeds = functools.partial(ratios, figures[mine], figures[peer])
            yield _target(name, wanted, False, speeds, too_short(results, (mine, peer)))


def _target(
    name: str,
    wanted: float,
    is_upper: bool,
    measure: Callable[[str], list[float]],
    short: Sequence[str],
) -> Target:
    whole = statistics.median(measure(WHOLE))
    steady = None if short else statistics.median(measure(STEADY))
    return Target(name, wanted, is_upper, whole, steady)


def print_targets(targets: Sequence[Target]) -> None:
    """Prints each target beside what was measured."""
    print("\n## Targets")
    print_head(("target", "wanted", "whole run", "reached", "steady", "reached"))
    for target in targets:
        cells = []
        for measured in (target.whole, target.steady):
            if measured is None:
                cells += ["too few photos", ""]
            else:
                cells += [f"{measured:.2f}", "yes" if target.is_reached(measured) else "no"]
        limit = "at most" if target.is_upper else "at least"
        print_row((target.name, f"{limit} {target.wanted}", *cells))
