"""Made-up images as a model takes them: the same ones on every machine."""

import numpy as np
import numpy.typing as npt


def draw_images(
    count: int,
    shape: tuple[int, int, int],
    dtype: npt.DTypeLike,
    pixel_range: tuple[float, float],
) -> npt.NDArray[np.generic]:
    """Draws images: the first half of even noise, the rest smooth as photos are.

    Args:
        count: Number of images.
        shape: (height, width, channels).
        dtype: The model's; of uint8 the range is 0 to 255.
        pixel_range: Smallest and largest value.

    Returns:
        [count, height, width, channels].
    """
    random = np.random.default_rng(0)
    height, width, channels = shape
    images = random.random((count, *shape), np.float32)
    rows, columns = np.arange(height) * 8 // height, np.arange(width) * 8 // width
    coarse = random.random((count, 8, 8, channels), np.float32)
    smooth = coarse[:, rows][:, :, columns] * 0.9 + images * 0.1
    images[count // 2 :] = smooth[count // 2 :]
    if dtype == np.uint8:
        return (images * 255).round().astype(np.uint8)
    low, high = pixel_range
    return (low + images * (high - low)).astype(dtype)


def darken(images: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Returns images at a quarter of their brightness, of the same dtype."""
    black = images.min()
    return (black + (images - black) * 0.25).astype(images.dtype)
