"""What the pipeline itself costs: with a model that does nothing, beside reading and decoding."""

import pathlib
import statistics

from scripts.benchmarks.registry import OURS, choose_contenders
from scripts.benchmarks.speed import Results, run_rounds
from scripts.benchmarks.tables import print_figures, print_head, print_row, spread

IMAGES = 5_000
MAX_OVERHEAD_MILLISECONDS = 0.15


def measure_overhead(data: pathlib.Path, photos: str, rounds: int) -> int:
    """Prints milliseconds an image beyond read and decode; returns 1 if they are too many."""
    results = run_rounds(
        choose_contenders((OURS, "decode_alone")),
        data,
        model="do_nothing",
        photos=photos,
        images=IMAGES,
        rounds=rounds,
    )
    print_figures(results)
    print_head(("ms an image: median (min-max)", "pipeline", "read + decode", "beyond it"))
    overhead = _print_milliseconds(results, "wall", "steady_images_per_second")
    _print_milliseconds(results, "CPU", "cpu_milliseconds_per_image")
    print(f"\nwall {overhead:.3f} ms an image, wanted under {MAX_OVERHEAD_MILLISECONDS}")
    return int(overhead >= MAX_OVERHEAD_MILLISECONDS)


def _print_milliseconds(results: Results, name: str, figure: str) -> float:
    ours, parts = (
        [
            1000 / figures[figure] if name == "wall" else figures[figure]
            for figures in results.figures[contender]
        ]
        for contender in (OURS, "decode_alone")
    )
    beyond = [a - b for a, b in zip(ours, parts, strict=True)]
    print_row((name, spread(ours, 3), spread(parts, 3), spread(beyond, 3)))
    return statistics.median(beyond)
