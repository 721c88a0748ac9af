"""Decodes image files that are made to cost time and memory, and says what each cost.

No file of any content may take more than 10 s, or 1 GB above the pixels that its header announces.
Damaged files, decoded with other bytes in memory, must come out the same each time.
"""

import argparse
import pathlib
import sys
import tempfile
import time
from collections.abc import Iterator

from scripts.torture.images import gif_bmp, jpeg, other, png, tiff
from scripts.torture.images.files import Maker
from scripts.torture.images.repeat import unlike
from scripts.torture.images.watch import MAX_BYTES, MAX_SECONDS, Cost, Watch

KINDS: dict[str, dict[str, Maker]] = {
    "PNG": png.FILES,
    "JPEG": jpeg.FILES,
    "TIFF": tiff.FILES,
    "": gif_bmp.FILES | other.FILES,
}

DAMAGED = 300
"""Files of each format and compression."""


def main() -> int:
    """Makes, decodes, reports; returns 1 if a file cost too much."""
    parser = argparse.ArgumentParser(
        prog="scripts/torture_images", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of what there is many of (1)")
    parser.add_argument("--only", default="", help="files with this in their names")
    arguments = parser.parse_args()
    started = time.monotonic()
    print("| file | bytes | seconds | MB | outcome |\n|---|---|---|---|---|")
    costs = []
    for cost in torture(arguments.scale, arguments.only):
        costs.append(cost)
        mark = "**too much**, " if cost.is_breach else ""
        megabytes = f"{cost.peak_bytes / 1e6:,.0f}" if cost.peak_bytes >= 0 else "-"
        print(
            f"| {cost.name} | {cost.file_bytes:,} | {cost.seconds:.1f} | {megabytes} | "
            f"{mark}{cost.outcome[:120]} |",
            flush=True,
        )
    breaches = sum(cost.is_breach for cost in costs)
    print(
        f"\n{breaches} of {len(costs)} files cost more than {MAX_SECONDS:g} s or "
        f"{MAX_BYTES / 1e6:,.0f} MB above their pixels; "
        f"{(time.monotonic() - started) / 60:.1f} minutes"
    )
    others = [] if arguments.only else unlike(DAMAGED)
    for name in others:
        print(f"other pixels each time: {name}")
    return 1 if breaches or others else 0


def torture(scale: float, only: str = "") -> Iterator[Cost]:
    """Decodes all files in a child, one by one."""
    watch = Watch()
    with tempfile.TemporaryDirectory(prefix="torture-images-") as directory:
        path = pathlib.Path(directory) / "file"
        try:
            for kind, files in KINDS.items():
                for name, make in files.items():
                    name = f"{kind}, {name}" if kind else name
                    if only in name:
                        path.write_bytes(make(scale))
                        yield watch.decode(name, path)
        finally:
            watch.close()


if __name__ == "__main__":
    sys.exit(main())
