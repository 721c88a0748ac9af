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
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from transforms.boxes import ImageBox, content_of_box, name_box
from transforms.errors import CorruptRecordError, InputError
from transforms.failure import Failure, Step
from transforms.files.tf_examples import is_list
from transforms.inputs.box_columns import BoxColumns
from transforms.inputs.columns import FileColumns
from transforms.inputs.json_values import depth_of
from transforms.inputs.part import ReadPart
from transforms.records import ShardKind
from transforms.schemas import CONTENT_SHA256, IMAGE_ID, READ_FIELDS, URI, read_schema

KINDS = (ShardKind.TFRECORD, ShardKind.PARQUET, ShardKind.TAR)
"""Kinds of files whose images may have boxes beside them."""

MOST_BOXES = 10_000
"""Boxes of one image. Each is a row, and 1 MiB of hostile JSON holds a hundred thousand."""

ROWS_AT_ONCE = 512
COPIED_BYTES = 16 << 20
"""Boxes that become rows together, and what they may be with the copies that each has of what is
carried of its image, as 1 MiB of JSON.
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
        InputError: If a tar or a Parquet file has none of numbers.
    """
    names = names_of_boxes(boxes, kind)
    is_example = kind is ShardKind.TFRECORD
    found = [types.field(name).type for name in names]
    if not is_example:
        _check_numbers(types, kind)
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


class _Box(NamedTuple):
    """A box of some images.

    Attributes:
        row: Place of its image among them.
        number: Place among the boxes of the image.
        sides: What the columns of the output say of it.
        values: Its own values of the columns that are split.
    """

    row: int
    number: int
    sides: tuple[float, ...]
    values: tuple[Any, ...]


def split_boxes(part: ReadPart, columns: FileColumns) -> Iterator[ReadPart]:
    """Makes a row of each box of some images.

    An image whose boxes cannot be told is one failure; one that has none is neither row nor
    failure.

    Args:
        part: Images as read, with the columns `columns.of_image`.
        columns: What is carried of each box.

    Yields:
        Parts of at most ROWS_AT_ONCE boxes and COPIED_BYTES, at least one. An image that has no
        more is in one part.
    """
    boxes = columns.boxes
    assert boxes is not None, "only then is anything split"
    ids, uris = (part.rows.column(name).to_pylist() for name in (IMAGE_ID, URI))
    own = part.rows.columns[len(READ_FIELDS) :]
    of_boxes = own[len(columns.carried) - len(boxes.in_output) :]
    numbers = [column.to_pylist() for column in of_boxes]
    # Text tells only row by row that there are several boxes, and a column's type is of all rows.
    undivided = [
        field.name
        for place, field in enumerate(list(columns.stored)[: len(own) - len(of_boxes)])
        if _is_text(of_boxes[0].type) and place not in columns.split and depth_of(field.type)
    ]
    split = {columns.stored.names[place]: own[place].to_pylist() for place in columns.split}
    most = _rows_at_once(part, columns, boxes)
    waiting: list[_Box] = []
    failures = list(part.failures)
    without_boxes: list[str] = []
    for row, image_id in enumerate(ids):
        try:
            found = boxes.read([column[row] for column in numbers])
            if len(found) > MOST_BOXES:
                raise ValueError(f"it has {len(found):,} boxes, more than {MOST_BOXES:,}")
            if len(found) > 1 and undivided:
                raise ValueError(
                    f"its {len(found)} boxes are text, so that the list {undivided[0]!r} cannot be "
                    "divided among them; write boxes as lists, or do not carry it"
                )
            values = [_one_a_box(column[row], len(found), name) for name, column in split.items()]
        except ValueError as error:
            fault = CorruptRecordError(f"--boxes {','.join(boxes.names)}: {error}")
            failures.append(Failure(image_id, uris[row], Step.READ, fault.error_type, str(fault)))
            continue
        without_boxes += [] if found else [uris[row]]
        if waiting and len(waiting) + len(found) > most:
            yield _rows_of(waiting, part, columns, boxes)
            waiting = []
        waiting += [
            _Box(row, number, box, tuple(column[number] for column in values))
            for number, box in enumerate(found)
        ]
        while len(waiting) > most:
            yield _rows_of(waiting[:most], part, columns, boxes)
            waiting = waiting[most:]
    rest = _rows_of(waiting, part, columns, boxes)
    yield rest._replace(failures=tuple(failures), without_boxes=tuple(without_boxes))


def _rows_at_once(part: ReadPart, columns: FileColumns, boxes: BoxColumns) -> int:
    """Returns how many boxes may become rows together, of the images that most is carried of."""
    copied = part.rows.select(
        [
            len(READ_FIELDS) + place
            for place, name in enumerate(columns.carried.names)
            if name not in boxes.in_output and place not in columns.split
        ]
    )
    largest = max((copied.slice(row, 1).nbytes for row in range(copied.num_rows)), default=0)
    return max(1, min(ROWS_AT_ONCE, COPIED_BYTES // max(largest, 1)))


def _rows_of(
    found: Sequence[_Box], part: ReadPart, columns: FileColumns, boxes: BoxColumns
) -> ReadPart:
    """Makes rows of some boxes. Lists that are split are not copied to each, as they are long."""
    places = pa.array([box.row for box in found], pa.int64())
    ids, uris, contents = (
        part.rows.column(name).take(places) for name in (IMAGE_ID, URI, CONTENT_SHA256)
    )
    named = [name_box(key, box.number) for key, box in zip(ids.to_pylist(), found, strict=True)]
    of_boxes = [
        content_of_box(content, ImageBox.of(box.sides, in_pixels=boxes.in_pixels))
        for content, box in zip(contents.to_pylist(), found, strict=True)
    ]
    carried = []
    for place, field in enumerate(list(columns.carried)[: -len(boxes.in_output)]):
        column = part.rows.column(len(READ_FIELDS) + place)
        if place not in columns.split:
            carried.append(column.take(places))
            continue
        values = [box.values[columns.split.index(place)] for box in found]
        if column.type == field.type:  # Of TFRecord, in which every feature is a list.
            values = [None if value is None else [value] for value in values]
        carried.append(pa.array(values, field.type))
    sides = [
        pa.array([box.sides[side] for box in found], pa.float64())
        for side in range(len(boxes.in_output))
    ]
    arrays = [pa.array(named, pa.string()), uris, pa.array(of_boxes, pa.string()), *carried, *sides]
    return ReadPart(
        pa.RecordBatch.from_arrays(arrays, schema=read_schema(columns.carried)),
        tuple(part.encoded[box.row] for box in found),
        (),
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


def _check_numbers(types: pa.Schema, kind: ShardKind) -> None:
    """Checks that columns of boxes are numbers: in a tar in JSON only, in Parquet perhaps as text.

    Of text, each row tells whether it is a box.
    """
    of_one = _DEPTH_OF_ONE_BOX[len(types)]
    for field in types:
        values = field.type
        while is_list(values):
            values = values.value_type
        are_numbers = pa.types.is_integer(values) or pa.types.is_floating(values)
        if kind is ShardKind.TAR:
            if not are_numbers or depth_of(field.type) not in (of_one, of_one + 1):
                raise InputError(
                    f"--boxes {field.name}: the first samples hold {field.type} there; a tar's "
                    'boxes are numbers inside of JSON, as json.boxes of {"boxes": [[10, 20, 50, '
                    "40]]}"
                )
        elif pa.types.is_nested(values) or pa.types.is_binary(values):
            raise InputError(
                f"--boxes {field.name}: the first file holds {field.type} there, wanted numbers"
            )


def _in_lists(values: pa.DataType, depth: int) -> pa.DataType:
    return pa.list_(_in_lists(values, depth - 1)) if depth else values


def _with_doubles(values: pa.DataType) -> pa.DataType:
    if is_list(values):
        return pa.list_(_with_doubles(values.value_type))
    return pa.string() if _is_text(values) else pa.float64()


def _is_text(values: pa.DataType) -> bool:
    return pa.types.is_string(values) or pa.types.is_large_string(values)
