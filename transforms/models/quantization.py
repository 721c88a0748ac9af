"""Post-training quantization to int8 by NNCF, calibrated on images as the model takes them."""

import contextlib
import importlib.util
import logging
import os
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from transforms.errors import ModelError, brief
from transforms.machine.cpu import has_vnni
from transforms.machine.openvino_runtime import report_nothing

if TYPE_CHECKING:  # An extra.
    from openvino import Model

METHOD = "minmax-1"
"""Name of the settings below; it changes with them, for a model that others made is another one."""


def quantize(model: "Model", pixels: npt.NDArray[np.generic], *, batch_size: int | None) -> "Model":
    """Quantizes a model's weights, channel by channel, and what its operations hand on.

    Args:
        model: The model, in float32; it stays as it is.
        pixels: [images, height, width, 3], as the model takes them: what calibrates it.
        batch_size: Images that the model takes, or None for any number.

    Raises:
        ModelError: If NNCF is not installed or cannot quantize the model.
    """
    nncf = import_nncf()
    batches = batches_of(pixels, batch_size)
    try:
        with quiet():
            return nncf.quantize(
                model,
                nncf.Dataset(batches),
                subset_size=len(batches),
                advanced_parameters=advanced_settings(),
            )
    except (nncf.errors.InternalError, nncf.errors.ValidationError, RuntimeError) as error:
        raise ModelError(
            f"NNCF cannot quantize this model, use --precision float32: {brief(error)}"
        ) from error


def advanced_settings() -> Any:  # noqa: ANN401 - of an extra
    """Returns NNCF's settings that differ from its defaults."""
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    return AdvancedQuantizationParameters(
        # Without VNNI, sums of products are kept in 16 bits: weights of 7 bits do not overflow.
        overflow_fix=OverflowFix.DISABLE if has_vnni() else OverflowFix.ENABLE,
        # NNCF's own default, the mean of the images' ranges, cuts off half of them.
        activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
    )


def batches_of(
    pixels: npt.NDArray[np.generic], batch_size: int | None
) -> list[npt.NDArray[np.generic]]:
    """Divides images into batches of the model's size, or of one; what is left over is dropped."""
    size = batch_size or 1
    return [pixels[at : at + size] for at in range(0, len(pixels) - size + 1, size)]


def require_nncf() -> None:
    """Checks that int8 can be made here; imports nothing.

    Raises:
        ModelError: If NNCF or OpenVINO is not installed.
    """
    for package in ("nncf", "openvino"):
        if importlib.util.find_spec(package) is None:
            raise ModelError(f"--precision int8 needs the package {package}: pip install '.[int8]'")


def import_nncf() -> ModuleType:
    """Imports NNCF, which then reports to nobody.

    Raises:
        ModelError: If it is not installed.
    """
    require_nncf()
    report_nothing()
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps NNCF's bars and notes off the terminal: it has no way to be told."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield
