"""The pipeline beside its peers and its parts: what is wanted, and whether it is reached."""

import functools
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from scripts.benchmarks.registry import OURS
from scripts.benchmarks.speed import Results
from scripts.benchmarks.tables import (
    STEADY,
    WHOLE,
    print_head,
    print_row,
    ratios,
    spread,
    too_short,
)

MAX_TIME_OVER_PARTS = 1.08

INT8 = "ours_openvino_int8"
MIN_INT8_OVER_TF_DATA = {"mobilenetv2": 2.8, "resnet50": 3.5}
"""By model, on small photos: of large ones decoding takes most of the time."""

PAIRS: dict[tuple[str, str], float | None] = {
    (OURS, "tf_data"): 1.0,
    ("ours_openvino_bfloat16", "tf_data"): 2.0,
    ("ours_openvino_bfloat16_fast", "tf_data"): None,
    (INT8, "tf_data"): None,
    (OURS, "ray_data"): 1.2,
    (OURS, "daft"): None,
    (OURS, "spark"): None,
    (OURS, "beam_per_image"): None,
    ("ours_openvino_bfloat16", "openvino_loop"): None,
}
"""Which of ours is compared with which peer, and how many times as fast it shall be."""


class Target(NamedTuple):
    """One comparison, on one model and one size of photos.

    Attributes:
        name: What is compared.
        model: Name of the model.
        photos: Name of the size.
        wanted: The limit, or None if the ratio is only shown.
        is_upper: Whether the ratio may be at most the limit; otherwise it is at least that.
        whole: Ratios of whole runs, start-up included, by round.
        steady: The same of steady figures, or None where runs were too short for them.
    """

    name: str
    model: str
    photos: str
    wanted: float | None
    is_upper: bool
    whole: list[float]
    steady: list[float] | None

    def is_reached(self, measured: list[float] | None) -> bool | None:
        """Tells whether the median of ratios is within the limit; None if that cannot be said."""
        if measured is None or self.wanted is None:
            return None
        median = statistics.median(measured)
        return median <= self.wanted if self.is_upper else median >= self.wanted


def find_targets(results: Results) -> Iterator[Target]:
    """Yields what can be said about one model and one size of photos."""
    figures = results.figures
    for (mine, peer), wanted in PAIRS.items():
        if {mine, peer} <= figures.keys():
            if mine == INT8 and results.photos != "large":
                wanted = MIN_INT8_OVER_TF_DATA.get(results.model)
            speeds = functools.partial(ratios, figures[mine], figures[peer])
            yield _target(results, (mine, peer), f"{mine} over {peer}", wanted, False, speeds)
    for mine in figures:
        how = mine.removeprefix("ours_")
        if {f"ours_{how}", f"model_alone_{how}", "decode_alone"} <= figures.keys():
            times = functools.partial(times_over_parts, results, how)
            name = f"time of {mine} over decode + model"
            yield _target(results, [mine], name, MAX_TIME_OVER_PARTS, True, times)


def times_over_parts(results: Results, how: str, figure: str) -> list[float]:
    """Returns our time over the time of decoding alone and the model alone, by round.

    Args:
        results: Of contenders that hold the three.
        how: The engine and precision, as in their names.
        figure: WHOLE or STEADY.
    """
    ours, model, decoding = (
        [1 / round_figures[figure] for round_figures in results.figures[name]]
        for name in (f"ours_{how}", f"model_alone_{how}", "decode_alone")
    )
    return [a / (b + c) for a, b, c in zip(ours, model, decoding, strict=True)]


def _target(
    results: Results,
    contenders: Sequence[str],
    name: str,
    wanted: float | None,
    is_upper: bool,
    measure: Callable[[str], list[float]],
) -> Target:
    steady = None if too_short(results, contenders) else measure(STEADY)
    return Target(name, results.model, results.photos, wanted, is_upper, measure(WHOLE), steady)


def print_targets(targets: Sequence[Target]) -> None:
    """Prints a row a comparison, a column a model and size; what misses its limit is bold."""
    columns = list(dict.fromkeys((target.model, target.photos) for target in targets))
    rows: dict[str, dict[tuple[str, str], Target]] = {}
    for target in targets:
        rows.setdefault(target.name, {})[target.model, target.photos] = target
    print("\n## Ratios")
    heads = (f"{model}, {photos} photos" for model, photos in columns)
    print_head(("ratio: steady; whole runs", "wanted", *heads))
    for name, row in rows.items():
        cells = (_cell(row[column]) if column in row else "" for column in columns)
        print_row((name, _limits(list(row.values())), *cells))


def _cell(target: Target) -> str:
    """Says, such as, "2.57 (2.33-2.60); **1.99 (1.79-1.99)**"."""
    parts = []
    for measured in (target.steady, target.whole):
        text = "too few photos" if measured is None else spread(measured)
        parts.append(f"**{text}**" if target.is_reached(measured) is False else text)
    return "; ".join(parts)


def _limits(row: Sequence[Target]) -> str:
    """Says, such as, "2.0", "at most 1.08", or "2.8 (mobilenetv2), 3.5 (resnet50)"."""
    models: dict[str, list[str]] = {}
    for target in row:
        if target.wanted is not None:
            limit = f"at most {target.wanted}" if target.is_upper else str(target.wanted)
            models.setdefault(limit, []).append(target.model)
    if len(models) <= 1:
        return "".join(models)
    return ", ".join(f"{limit} ({', '.join(named)})" for limit, named in models.items())
