"""Boxes of images in TFRecord, Parquet and tar files: from a row an image to a row a box.

A record of two boxes, with --boxes yxyx=image/object/bbox --carry_columns image/object/class/text:

    image_id  image/object/class/text  image/object/bbox/ymin  .../xmin    .../ymax    .../xmax
    a.jpg     [cat, dog]               [0.1, 0.5]              [0.2, 0.0]  [0.3, 0.9]  [0.6, 0.5]

    image_id     image/object/class/text  box_ymin  box_xmin  box_ymax  box_xmax
    a.jpg#box-0  [cat]                    0.1       0.2       0.3       0.6
    a.jpg#box-1  [dog]                    0.5       0.0       0.9       0.5

Both have the bytes of a.jpg, as one object.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from transforms.boxes import BoxColumns, ImageBox, content_of_box, name_box
from transforms.errors import CorruptRecordError, InputError
from transforms.failure import Failure, Step
from transforms.files.tf_examples import is_list
from transforms.inputs.columns import FileColumns
from transforms.inputs.json_values import depth_of
from transforms.inputs.part import ReadPart
from transforms.records import ShardKind
from transforms.schemas import CONTENT_SHA256, IMAGE_ID, READ_FIELDS, URI, read_schema

KINDS = (ShardKind.TFRECORD, ShardKind.PARQUET, ShardKind.TAR)
"""Kinds of files whose images may have boxes beside them."""

MOST_BOXES = 10_000
"""Boxes of one image; each is a row, and those of a batch of images are in memory at once. 1 MiB of
hostile JSON can hold a hundred thousand.
"""

_DEPTH_OF_ONE_BOX = {4: 0, 1: 1}
"""How deep lists are that hold one box, by the number of columns."""


def names_of_boxes(boxes: BoxColumns, kind: ShardKind) -> tuple[str, ...]:
    """Returns the names that files of a kind have the boxes under."""
    return boxes.features if kind is ShardKind.TFRECORD else boxes.names


def box_fields(boxes: BoxColumns) -> list[pa.Field]:
    """Returns the columns of the output that say a row's box."""
    return [pa.field(name, pa.float64()) for name in boxes.in_output]


def columns_of_files(
    columns: FileColumns, boxes: BoxColumns, kind: ShardKind, types: pa.Schema
) -> FileColumns:
    """Says how files are read whose images have boxes, and what is carried of each box.

    A feature of TFRecord beside the boxes, as image/object/class/text is beside image/object/bbox,
    has a value for each box, and so has a list in Parquet, or in a tar's JSON, if a row has several
    boxes.

    Args:
        columns: Columns without boxes.
        boxes: Columns of the boxes.
        kind: Kind of the files, one of KINDS.
        types: The columns of boxes as the first file has them.

    Raises:
        InputError: If a tar has none of numbers.
    """
    names = names_of_boxes(boxes, kind)
    is_example = kind is ShardKind.TFRECORD
    found = [types.field(name).type for name in names]
    if kind is ShardKind.TAR:
        _check_numbers(types)
    has_several = depth_of(found[0]) > _DEPTH_OF_ONE_BOX[len(names)]
    if kind is ShardKind.TAR:  # Of all samples, as read_values makes it.
        found = [_in_lists(pa.float64(), _DEPTH_OF_ONE_BOX[len(names)] + 1)] * len(names)
    numbers = [
        pa.field(name, values if is_example else _with_doubles(values))
        for name, values in zip(names, found, strict=True)
    ]
    of_image = pa.schema([*columns.stored, *numbers])
    fields, split = [], []
    group = "/".join(names[0].split("/")[:-2])
    for place, (own, stored) in enumerate(zip(columns.carried, columns.stored, strict=True)):
        field = own
        if is_example:
            is_split = bool(group) and stored.name.startswith(f"{group}/")
        else:
            is_split = has_several and depth_of(stored.type) > 0
            field = own.with_type(stored.type.value_type) if is_split else own
        fields.append(field)
        split += [place] if is_split else []
    return dataclasses.replace(
        columns,
        carried=pa.schema([*fields, *box_fields(boxes)]),
        carried_from=(*columns.stored.names, *boxes.in_output),
        boxes=boxes,
        of_image=of_image,
        split=tuple(split),
    )


def split_boxes(part: ReadPart, columns: FileColumns) -> ReadPart:
    """Makes a row of each box of some images.

    An image whose boxes cannot be told is one failure; one that has none is neither row nor
    failure.

    Args:
        part: Images as read, with the columns `columns.of_image`.
        columns: What is carried of each box.
    """
    boxes = columns.boxes
    assert boxes is not None, "only then is anything split"
    read = len(READ_FIELDS)
    ids, uris, contents = (
        part.rows.column(name).to_pylist() for name in (IMAGE_ID, URI, CONTENT_SHA256)
    )
    own = len(columns.carried) - len(boxes.in_output)
    numbers = [column.to_pylist() for column in part.rows.columns[read + own :]]
    split = {place: part.rows.column(read + place).to_pylist() for place in columns.split}
    kept: list[int] = []
    rows: dict[str, list[Any]] = {IMAGE_ID: [], CONTENT_SHA256: []}
    sides: list[tuple[float, ...]] = []
    values: dict[int, list[Any]] = {place: [] for place in split}
    failures = list(part.failures)
    without_boxes: list[str] = []
    for row, image_id in enumerate(ids):
        try:
            found = boxes.read([column[row] for column in numbers])
            if len(found) > MOST_BOXES:
                raise ValueError(f"it has {len(found):,} boxes, more than {MOST_BOXES:,}")
            own_values = {
                place: _one_a_box(column[row], len(found), columns.stored.names[place])
                for place, column in split.items()
            }
        except ValueError as error:
            fault = CorruptRecordError(f"--boxes {','.join(boxes.names)}: {error}")
            failures.append(Failure(image_id, uris[row], Step.READ, fault.error_type, str(fault)))
            continue
        kept += [row] * len(found)
        without_boxes += [] if found else [uris[row]]
        sides += found
        for number, box in enumerate(found):
            rows[IMAGE_ID].append(name_box(image_id, number))
            rows[CONTENT_SHA256].append(
                content_of_box(contents[row], ImageBox.of(box, in_pixels=boxes.in_pixels))
            )
        for place, several in own_values.items():
            values[place] += several
    # Columns that are split hold all values of an image, and are not copied to each box.
    rows_taken = pa.array(kept, pa.int64())
    carried = []
    for place, field in enumerate(list(columns.carried)[:own]):
        column = part.rows.column(read + place)
        if place not in split:
            carried.append(column.take(rows_taken))
        elif column.type == field.type:  # Of TFRecord, in which every feature is a list.
            one_each = [None if value is None else [value] for value in values[place]]
            carried.append(pa.array(one_each, field.type))
        else:
            carried.append(pa.array(values[place], field.type))
    by_side = zip(*sides, strict=True) if sides else [()] * len(boxes.in_output)
    arrays = [
        pa.array(rows[IMAGE_ID], pa.string()),
        part.rows.column(URI).take(rows_taken),
        pa.array(rows[CONTENT_SHA256], pa.string()),
        *carried,
        *(pa.array(side, pa.float64()) for side in by_side),
    ]
    return ReadPart(
        pa.RecordBatch.from_arrays(arrays, schema=read_schema(columns.carried)),
        tuple(part.encoded[row] for row in kept),
        tuple(failures),
        without_boxes=tuple(without_boxes),
    )


def _one_a_box(values: Sequence[Any] | None, count: int, name: str) -> Sequence[Any]:
    """Returns the values of a column, one a box.

    Raises:
        ValueError: If there are more or fewer.
    """
    if not values:  # A feature that the record lacks.
        return [None] * count
    if len(values) != count:
        raise ValueError(f"it has {count} boxes, and {len(values)} values of {name!r}")
    return values


def _check_numbers(types: pa.Schema) -> None:
    """Checks that columns of boxes are numbers in lists, which a tar has in JSON only."""
    of_one = _DEPTH_OF_ONE_BOX[len(types)]
    for field in types:
        values = field.type
        while is_list(values):
            values = values.value_type
        are_numbers = pa.types.is_integer(values) or pa.types.is_floating(values)
        if not are_numbers or depth_of(field.type) not in (of_one, of_one + 1):
            raise InputError(
                f"--boxes {field.name}: the first samples hold {field.type} there; a tar's boxes "
                'are numbers inside of JSON, as json.boxes of {"boxes": [[10, 20, 50, 40]]}'
            )


def _in_lists(values: pa.DataType, depth: int) -> pa.DataType:
    return pa.list_(_in_lists(values, depth - 1)) if depth else values


def _with_doubles(values: pa.DataType) -> pa.DataType:
    return pa.list_(_with_doubles(values.value_type)) if is_list(values) else pa.float64()
