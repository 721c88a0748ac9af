"""Photos of three colours, in a directory each: what the tests of training classify."""

import pathlib

import numpy as np

from tests.support.images import encode

COLOURS = {"blue": (60, 60, 150), "green": (60, 150, 60), "red": (150, 60, 60)}
IMAGES = 40
"""Of each colour."""


def photo(colour: tuple[int, int, int], number: int) -> bytes:
    """Makes a PNG of about this colour; a few are hard to tell."""
    random = np.random.default_rng(number)
    mean = np.array(colour) + random.normal(0, 22, 3)
    pixels = mean + random.normal(0, 20, (30, 40, 3))
    return encode(pixels.clip(0, 255).astype(np.uint8), "PNG")


def write_colours(directory: pathlib.Path) -> None:
    """Writes directory/COLOUR/NUMBER.png."""
    for place, (name, colour) in enumerate(COLOURS.items()):
        (directory / name).mkdir(parents=True)
        for number in range(IMAGES):
            content = photo(colour, 1000 * place + number)
            (directory / name / f"{number:03d}.png").write_bytes(content)
