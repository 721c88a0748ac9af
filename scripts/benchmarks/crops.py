"""Boxes cut out of photos, beside ready crops of the same pixels: with a model that does nothing.

The model costs the same in both, so that what is measured is reading, decoding and the rest.
"""

import os
import pathlib
import shutil
import statistics
from typing import NamedTuple

import numpy as np
from PIL import Image

from scripts.benchmarks.refresh import run_program
from scripts.benchmarks.tables import print_head, print_row, ratios_of, spread

MODEL = "do_nothing"
PHOTOS = 2_000
FEW_PHOTOS = 200
"""What a run costs whatever its size cancels out."""
BOXES = 5
SHARES = (0.2, 0.7)
"""Of a photo's sides, those of its boxes: a fifth of its area in the mean."""
LEAST_RATIO = 0.9
SEED = 20261129


class Seconds(NamedTuple):
    """What a run took, all its processes together.

    Attributes:
        wall: Wall time.
        cpu: Processor time.
    """

    wall: float
    cpu: float


def measure_crops(data: pathlib.Path, photos: str, rounds: int) -> int:
    """Prints milliseconds a crop of both ways; returns 1 if boxes are too slow."""
    inputs = {}
    for count in (FEW_PHOTOS, PHOTOS):
        folder = data / photos / str(count)
        inputs[count] = _write_boxes(folder, data / "crops" / str(count))
    found: dict[str, list[Seconds]] = {"boxes": [], "ready crops": []}
    for number in range(rounds):
        names = list(found)
        for name in names if number % 2 else reversed(names):
            few, many = (_run(data, inputs[count][name]) for count in (FEW_PHOTOS, PHOTOS))
            crops = BOXES * (PHOTOS - FEW_PHOTOS)
            found[name].append(Seconds(*((b - a) / crops for a, b in zip(few, many, strict=True))))
    print_head(("ms a crop: median (min-max)", *found, "speed of boxes over that of ready crops"))
    for place, figure in enumerate(Seconds._fields):
        boxes, ready = ([1000 * seconds[place] for seconds in found[name]] for name in found)
        ratios = ratios_of(ready, boxes)
        print_row((figure, spread(boxes, 3), spread(ready, 3), spread(ratios)))
    ratio = statistics.median(ratios)
    print(f"\nprocessor time: {ratio:.2f} times the speed, wanted at least {LEAST_RATIO}")
    return int(ratio < LEAST_RATIO)


def _write_boxes(photos: pathlib.Path, folder: pathlib.Path) -> dict[str, list[str]]:
    """Cuts boxes out of photos; returns the flags that read the photos, and those of the crops."""
    folder.mkdir(parents=True)
    (folder / "ready").mkdir()
    random = np.random.default_rng(SEED)
    lines = ["uri,x,y,width,height"]
    first_of: dict[int, str] = {}
    lines_of: dict[str, list[str]] = {}
    for path in sorted(photos.iterdir()):
        first = first_of.setdefault(path.stat().st_ino, path.stem)
        for number in range(BOXES):
            crop = folder / "ready" / f"{path.stem}-{number}.jpg"
            if first != path.stem:  # A hard link of a photo that was drawn.
                os.link(folder / "ready" / f"{first}-{number}.jpg", crop)
                lines.append(f"{path},{lines_of[first][number]}")
                continue
            with Image.open(path) as photo:
                width, height = (int(side * random.uniform(*SHARES)) for side in photo.size)
                left = int(random.integers(photo.width - width))
                top = int(random.integers(photo.height - height))
                box = (left, top, left + width, top + height)
                photo.crop(box).save(crop, "JPEG", quality=90)
            lines_of.setdefault(first, []).append(f"{left},{top},{width},{height}")
            lines.append(f"{path},{lines_of[first][number]}")
    (folder / "list.csv").write_text("\n".join(lines) + "\n")
    boxes = ["--manifest", str(folder / "list.csv"), "--boxes", "x,y,width,height"]
    return {"boxes": boxes, "ready crops": ["--input", str(folder / "ready")]}


def _run(data: pathlib.Path, inputs: list[str]) -> Seconds:
    output = data / "out"
    model = data / "models" / MODEL
    run = run_program("embed", *inputs, "--model", model, "--output", output)
    shutil.rmtree(output)
    return Seconds(run["seconds"], run["cpu_seconds"])
