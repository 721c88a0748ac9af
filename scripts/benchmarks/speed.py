"""Runs contenders in turn, in several rounds, on one model and one size of photos."""

import pathlib
import shutil
import sys
from collections.abc import Mapping
from typing import NamedTuple

from scripts.benchmarks.agreement import check_agreement
from scripts.benchmarks.measure import Figures, run_contender, to_figures
from scripts.benchmarks.registry import OURS, Contender

WARM_UP_IMAGES = 64


class Results(NamedTuple):
    """What the contenders did on one model and one size of photos.

    Attributes:
        model: Name of the model.
        photos: Name of the size.
        figures: Of each contender, by round.
        cosines: Smallest one of each contender's vectors with ours.
    """

    model: str
    photos: str
    figures: dict[str, list[Figures]]
    cosines: dict[str, float]


def run_rounds(
    contenders: Mapping[str, Contender],
    data: pathlib.Path,
    *,
    model: str,
    photos: str,
    images: int,
    rounds: int,
) -> Results:
    """Runs every contender once a round, the first to go another one each round.

    The vectors of the warm-up photos are compared with those of our pipeline without flags.
    """
    names = list(contenders)
    results = Results(model, photos, {name: [] for name in names}, {})
    model_dir, few = data / "models" / model, data / photos / str(WARM_UP_IMAGES)
    directories = (few, few, data / photos / str(images))
    reference = data / OURS
    run_contender(OURS, model_dir, reference, [few])
    for number in range(rounds):
        first = number % len(names)
        for name in [*names[first:], *names[:first]]:
            kept = data / f"vectors of {name}"
            figures = to_figures(*run_contender(name, model_dir, kept, directories))
            if not contenders[name].is_part:
                cosine = check_agreement(name, contenders[name], kept, reference)
                results.cosines[name] = min(cosine, results.cosines.get(name, 1.0))
            shutil.rmtree(kept)
            results.figures[name].append(figures)
            rate = figures["images_per_second"]
            print(
                f"{model}, {photos} photos, round {number + 1} of {rounds}: "
                f"{name} {rate:.1f} images/s",
                file=sys.stderr,
            )
    shutil.rmtree(reference)
    return results
