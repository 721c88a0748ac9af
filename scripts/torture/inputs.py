"""What the runs read: images, of which some cannot be decoded, and two tiny models."""

import os
import pathlib
from collections.abc import Sequence

PICTURES = 40
"""Pictures drawn; the images are these at many brightnesses, so that no two are alike."""
HEIGHT, WIDTH = 600, 800
UNDECODABLE_EVERY = 40


def draw_images(directory: pathlib.Path, count: int) -> None:
    """Writes JPEG files, no two alike; one in UNDECODABLE_EVERY cannot be decoded."""
    import numpy as np

    from tests.support.images import encode, photo

    directory.mkdir()
    pictures = [photo(HEIGHT, WIDTH, seed) // 2 for seed in range(min(PICTURES, count))]
    for number in range(count):
        picture = pictures[number % len(pictures)] + np.uint8(number // len(pictures) % 128)
        content = encode(picture, "JPEG", quality=90)
        if number % UNDECODABLE_EVERY == 7:
            content = (content[: len(content) // 2], b"no image", b"")[number % 3]
        (directory / f"{number:06d}.jpg").write_bytes(content)


def make_models(directory: pathlib.Path) -> dict[str, str]:
    """Writes a tiny feature vector and a tiny classifier."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from tests.support.models import save_logits, save_mean_color

    return {
        "embed": save_mean_color(directory / "embed"),
        "classify": save_logits(directory / "classify", labels=("red", "green", "blue")),
    }


def link_images(source: pathlib.Path, target: pathlib.Path, names: Sequence[str]) -> None:
    """Puts some images of a directory into another."""
    target.mkdir(exist_ok=True)
    for name in names:
        os.link(source / name, target / name)
