"""Whether speed and memory stay what they are as a run grows."""

import pathlib
import shutil

from scripts.benchmarks.measure import run_contender
from scripts.benchmarks.registry import OURS
from scripts.benchmarks.tables import print_head, print_row

IMAGES = (1_000, 2_000, 10_000, 50_000)
COMPARED = (2_000, 50_000)
MAX_MEMORY_RATIO = 1.2


def measure_growth(data: pathlib.Path, photos: str) -> int:
    """Prints speed and peak memory by number of images; returns 1 if memory grows too much."""
    print_head(("images", "images/s", "CPU ms an image", "peak MB"))
    peaks = {}
    for images in IMAGES:
        kept = data / "vectors"
        directory = data / photos / str(images)
        (run,), peaks[images] = run_contender(OURS, data / "models" / "tiny", kept, [directory])
        shutil.rmtree(kept)
        print_row(
            (
                f"{images:,}",
                f"{images / run.seconds:.0f}",
                f"{1000 * run.cpu_seconds / images:.2f}",
                f"{peaks[images] / 1e6:,.0f}",
            )
        )
    few, many = COMPARED
    ratio = peaks[many] / peaks[few]
    print(f"\npeak at {many:,} over {few:,} images: {ratio:.2f}, wanted at most {MAX_MEMORY_RATIO}")
    return int(ratio > MAX_MEMORY_RATIO)
