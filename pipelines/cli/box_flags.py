"""What the user may say of boxes, each of which is a row: flags of RunConfig."""

from typing import Any

from pipelines.cli.flag import flag
from transforms.errors import FlagError
from transforms.inputs.box_columns import BoxColumns
from transforms.inputs.id_sources import IDS_OF_ROWS, ROW

MAX_MARGIN = 10.0


def boxes() -> Any:  # noqa: ANN401 - as flag
    """Describes --boxes."""
    return flag(
        "a row for each box: columns x,y,width,height (pixels) or ymin,xmin,ymax,xmax (0 to 1); "
        "[xywh|xyxy|yxyx]=NAMES",
        "input",
        metavar="COLUMNS",
    )


def box_margin() -> Any:  # noqa: ANN401 - as flag
    """Describes --box_margin."""
    return flag(
        "share of a box's size to add on each side (default: the model's or 0)",
        "images",
        read=float,
        metavar="F",
    )


def check_boxes(boxes: str | None, box_margin: float | None, image_id_from: str | None) -> None:
    """Checks the flags.

    Raises:
        FlagError: If they make no sense, alone or together.
    """
    if boxes is not None:
        BoxColumns.parse(boxes)
        if image_id_from in IDS_OF_ROWS:
            raise FlagError(
                f"--image_id_from {image_id_from} numbers the rows of an image, and --boxes its "
                f"boxes, of all its rows; use --image_id_from {image_id_from.removesuffix(ROW)}"
            )
    if box_margin is not None and boxes is None:
        raise FlagError("--box_margin is of --boxes, and none are given")
    if box_margin is not None and not 0 <= box_margin <= MAX_MARGIN:
        raise FlagError(f"--box_margin must be from 0 to {MAX_MARGIN:g}, got {box_margin:g}")
