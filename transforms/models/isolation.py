"""One bad image in a batch costs only itself."""

import numpy as np
import numpy.typing as npt

from transforms.errors import InferenceError, ModelCallError, OutOfMemoryError
from transforms.models.image_model import ImageModel


def predict_isolating(
    model: ImageModel, pixels: npt.NDArray[np.generic]
) -> tuple[npt.NDArray[np.float32], dict[int, ModelCallError]]:
    """Runs a model so that one bad image costs only itself.

    A call that fails is halved until the image is alone that it fails on. Of eight images, where
    the model fails on number 5:

        0-7 fails    0-3 ok    4-7 fails    4-5 fails    4 ok    5 fails: its error    6-7 ok

    That is 7 calls in place of 1. A call that fails for want of memory is made again, in calls of
    half as many images, and that is what the model takes from then on.

    Args:
        model: The model. When it runs out of memory, it learns the batch size that it can take.
        pixels: [n, height, width, 3], as the model takes them.

    Returns:
        float32 [good rows, output_dim] in order, all finite; and the error of every other row.

    Raises:
        ValueError, RuntimeError: As ImageModel's call.
    """
    outputs = np.empty((len(pixels), model.output_dim), np.float32)
    errors: dict[int, ModelCallError] = {}
    pending = [(0, len(pixels))]
    while pending:
        start, stop = pending.pop()
        most = model.most_images
        try:
            outputs[start:stop] = model(pixels[start:stop])
        except InferenceError as error:
            if isinstance(error, OutOfMemoryError) and model.most_images != most:
                pending.append((start, stop))
                continue
            if stop - start <= 1:
                errors[start] = ModelCallError(f"the model fails: {error}")
                continue
            # The model did not say which image it is.
            middle = (start + stop) // 2
            pending += [(middle, stop), (start, middle)]  # The last is taken first.
    return set_aside_not_finite(outputs, errors)


def set_aside_not_finite(
    outputs: npt.NDArray[np.float32], errors: dict[int, ModelCallError]
) -> tuple[npt.NDArray[np.float32], dict[int, ModelCallError]]:
    """Splits off the rows that failed, and those that hold NaN or infinity.

    Args:
        outputs: float32 [n, output_dim].
        errors: Errors so far, by row.

    Returns:
        As predict_isolating.
    """
    # An answer of NaN is the answer to that image alone; no call has to be repeated.
    for row in np.flatnonzero(~np.isfinite(outputs).all(axis=1)):
        errors.setdefault(int(row), ModelCallError("the model returns a value that is not finite"))
    good = [row for row in range(len(outputs)) if row not in errors]
    return (outputs[good] if errors else outputs), dict(sorted(errors.items()))
