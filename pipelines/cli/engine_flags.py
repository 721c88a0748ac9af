"""What the user may say of the engine and its precision: flags of RunConfig."""

import argparse
from typing import Any, Protocol

from pipelines.cli.flag import flag, location
from transforms.errors import FlagError
from transforms.models.engine_settings import ENGINES, INT8, PRECISIONS

CALIBRATION_IMAGES = 300
"""As many as NNCF takes by itself."""

LEAST_CALIBRATION_IMAGES = 32


class EngineFlags(Protocol):
    """The flags of an engine, as RunConfig has them."""

    @property
    def engine(self) -> str | None: ...  # noqa: D102

    @property
    def precision(self) -> str: ...  # noqa: D102

    @property
    def calibration_images(self) -> int | str: ...  # noqa: D102

    @property
    def precision_floor(self) -> float | None: ...  # noqa: D102


def engine() -> Any:  # noqa: ANN401 - as flag
    """Describes --engine."""
    return flag(
        "openvino is faster on CPUs (default: tensorflow, of ONNX openvino)",
        "model",
        choices=ENGINES,
    )


def precision() -> Any:  # noqa: ANN401 - as flag
    """Describes --precision."""
    return flag(
        "what the model computes in; auto is the fastest of this machine but for int8; all but "
        "float32 are checked against it",
        "model",
        "float32",
        choices=PRECISIONS,
    )


def calibration_images() -> Any:  # noqa: ANN401 - as flag
    """Describes --calibration_images."""
    return flag(
        "of int8: how many inputs, or which images, calibrate it",
        "model",
        CALIBRATION_IMAGES,
        read=_calibration_images,
        metavar="N|DIR",
    )


def precision_floor() -> Any:  # noqa: ANN401 - as flag
    """Describes --precision_floor."""
    return flag(
        "of int8: least agreement with float32 (default 0.9, of classes 0.98)",
        "model",
        read=float,
        metavar="F",
    )


def check_engine(flags: EngineFlags) -> None:
    """Checks that the flags go together.

    Raises:
        FlagError: If not.
    """
    images, floor = flags.calibration_images, flags.precision_floor
    if flags.precision != INT8:
        for name, is_given in (
            ("calibration_images", images != CALIBRATION_IMAGES),
            ("precision_floor", floor is not None),
        ):
            if is_given:
                raise FlagError(f"--{name} does nothing without --precision {INT8}")
        return
    if flags.engine == "tensorflow":
        raise FlagError(f"--precision {INT8} needs --engine openvino, got {flags.engine}")
    if isinstance(images, int) and images < LEAST_CALIBRATION_IMAGES:
        raise FlagError(
            f"--calibration_images must be at least {LEAST_CALIBRATION_IMAGES}, got {images}"
        )
    if floor is not None and not 0 <= floor <= 1:
        raise FlagError(f"--precision_floor must be from 0 to 1, got {floor:g}")


def _calibration_images(text: str) -> int | str:
    """Reads a number of images, or a directory."""
    try:
        return int(text)
    except ValueError:
        pass
    if not text:
        raise argparse.ArgumentTypeError("got '', wanted a number of images or a directory")
    return location(text)
