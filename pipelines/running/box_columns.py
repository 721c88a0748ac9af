"""The columns of boxes, found out at launch where --boxes makes a row of each."""

import dataclasses

import pyarrow as pa

from pipelines.cli.run_flags import RunConfig
from pipelines.running.carried_columns import peek_first, refuse_taken
from transforms.boxes import PIXEL_NAMES, SHARE_NAMES
from transforms.errors import InputError
from transforms.inputs.box_columns import BoxColumns
from transforms.inputs.boxes_of_files import KINDS, box_fields, columns_of_files, names_of_boxes
from transforms.inputs.columns import FileColumns
from transforms.inputs.first_files import FirstFiles


def with_boxes(config: RunConfig, columns: FileColumns, first: FirstFiles) -> FileColumns:
    """Adds what --boxes says to the columns of a run.

    Args:
        config: The flags.
        columns: Columns without boxes.
        first: First files among the inputs.

    Raises:
        FlagError: If a carried column has the name of one that says the box.
        InputError: If files hold no boxes, or are of two kinds.
    """
    if config.boxes is None:
        return columns
    refuse_taken(columns.carried.names, {*PIXEL_NAMES, *SHARE_NAMES}, "the output of --boxes")
    boxes = BoxColumns.parse(config.boxes)
    kinds = {file.kind for file in first.files}
    unfit = [file.uri for file in first.files if file.kind not in KINDS]
    if unfit or len(kinds) > 1:
        raise InputError(
            f"--boxes: {unfit[0] if unfit else ' and '.join(sorted(kinds))}: boxes are taken of "
            "manifests, and of TFRecord, Parquet or tar files, one of these kinds in a run"
        )
    if not kinds and not config.manifest:
        raise InputError(
            f"--boxes {config.boxes}: image files have no boxes of their own; give a list of the "
            "images with their boxes as --manifest"
        )
    if not kinds:
        return dataclasses.replace(
            columns,
            carried=pa.schema([*columns.carried, *box_fields(boxes)]),
            carried_from=(*columns.stored.names, *boxes.in_output),
            boxes=boxes,
        )
    (kind,) = kinds
    uri, types = peek_first(config, first.files, names_of_boxes(boxes, kind))
    if types is None:
        raise InputError(f"--boxes {config.boxes}: the first files cannot be read: {uri}")
    return columns_of_files(columns, boxes, kind, types)
