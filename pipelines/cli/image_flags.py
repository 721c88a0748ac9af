"""What the user may say of colours, of time and of what is measured: flags of RunConfig."""

from typing import Any

from pipelines.cli.flag import flag
from transforms.images.policy import COLOR_PROFILES, Preprocessing


def color_profile() -> Any:  # noqa: ANN401 - as flag
    """Describes --color_profile."""
    default = Preprocessing.color_profile
    return flag(
        f"apply ICC profiles, or not (default: the model's, else {default})",
        "images",
        choices=COLOR_PROFILES,
    )


def image_statistics() -> Any:  # noqa: ANN401 - as flag
    """Describes --image_statistics."""
    return flag("columns of brightness, sharpness, format, mode, color_profile", "output", False)


def max_image_seconds() -> Any:  # noqa: ANN401 - as flag
    """Describes --max_image_seconds."""
    return flag(
        "images whose decoding takes longer fail",
        "images",
        Preprocessing.max_image_seconds,
        read=int,
        metavar="S",
    )
