"""Made-up image files to try a model on, where none of the user's are at hand."""

import io

import numpy as np
import PIL.Image

_ROUGH = 8
"""Squares a side of the pattern that is smoothed."""


def sample_images(count: int, image_size: tuple[int, int]) -> list[bytes]:
    """Draws soft colours with some noise; the same ones every time.

    Args:
        count: Number of images.
        image_size: (height, width) in pixels of what they shall be resized to; they are a third
            larger, so that resizing makes colours between those of bytes.

    Returns:
        PNG files.
    """
    random = np.random.default_rng(0)
    height, width = (side * 4 // 3 + 1 for side in image_size)
    files = []
    for _ in range(count):
        rough = random.integers(0, 256, (_ROUGH, _ROUGH, 3), np.uint8)
        smooth = PIL.Image.fromarray(rough).resize((width, height), PIL.Image.Resampling.BICUBIC)
        noisy = np.asarray(smooth) + random.normal(0, 6, (height, width, 3))
        file = io.BytesIO()
        PIL.Image.fromarray(noisy.clip(0, 255).round().astype(np.uint8)).save(file, "PNG")
        files.append(file.getvalue())
    return files
