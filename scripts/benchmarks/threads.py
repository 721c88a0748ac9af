"""What an image costs with many threads in one process: on tiny photos, with a do-nothing model.

With more threads than cores, processor time an image stays flat unless threads fight: for the
interpreter's lock, for memory, for a lock of our own.
"""

import pathlib
import statistics

from scripts.benchmarks.registry import THREADED
from scripts.benchmarks.speed import run_rounds
from scripts.benchmarks.tables import print_head, print_row, ratios, spread

IMAGES = 20_000
PHOTOS = "tiny"
MODEL = "do_nothing_small"
MAX_CPU_RATIO = 1.15


def measure_threads(data: pathlib.Path, rounds: int) -> int:
    """Prints speed and processor time by threads; returns 1 if most threads cost too much."""
    results = run_rounds(THREADED, data, model=MODEL, photos=PHOTOS, images=IMAGES, rounds=rounds)
    few, *_, many = results.figures
    print_head(("threads", "steady images/s", "CPU ms an image", "of one thread's", "peak MB"))
    for name, figures in results.figures.items():
        cpu = "cpu_milliseconds_per_image"
        print_row(
            (
                THREADED[name].arguments["direct_num_workers"],
                spread([each["steady_images_per_second"] for each in figures], 0),
                spread([each[cpu] for each in figures], 3),
                spread(ratios(figures, results.figures[few], cpu)),
                f"{max(each['peak_bytes'] for each in figures) / 1e6:,.0f}",
            )
        )
    ratio = statistics.median(ratios(results.figures[many], results.figures[few], cpu))
    print(f"\nCPU with most threads over one: {ratio:.2f}, wanted at most {MAX_CPU_RATIO}")
    return int(ratio > MAX_CPU_RATIO)
