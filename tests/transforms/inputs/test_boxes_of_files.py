"""Boxes and what is carried of them, from files to rows; no model runs."""

import json
import pathlib
import pickle
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.tars import write_tar
from transforms.errors import InputError
from transforms.failure import Failure
from transforms.inputs.box_columns import BoxColumns
from transforms.inputs.boxes_of_files import MOST_BOXES, ROWS_AT_ONCE, columns_of_files, split_boxes
from transforms.inputs.columns import FileColumns
from transforms.inputs.kinds import FILE_KINDS
from transforms.inputs.part import ReadPart
from transforms.records import InputFile, ShardKind

BOX = [1, 2, 30, 40]


def write_samples(path: pathlib.Path, samples: list[Any]) -> InputFile:
    """Writes a sample of each JSON, of bytes as they are; its image is its number."""
    members = {}
    for number, content in enumerate(samples):
        members[f"{number:05d}.jpg"] = b"%d" % number
        is_raw = isinstance(content, bytes)
        members[f"{number:05d}.json"] = content if is_raw else json.dumps(content).encode()
    write_tar(path, members)
    return file_of(path, ShardKind.TAR)


def file_of(path: pathlib.Path, kind: ShardKind) -> InputFile:
    return InputFile(kind, str(path), str(path.parent), path.stat().st_size)


def columns_for(
    file: InputFile, boxes: str, carry: list[str], image_id_from: str | None = None
) -> FileColumns:
    """Finds the columns out as a run does, by this file alone."""
    columns = BoxColumns.parse(boxes)
    peek = FILE_KINDS[file.kind].peek
    carried = peek(file.uri, None, image_id_from, carry)
    types = peek(file.uri, None, image_id_from, columns.names)
    assert carried is not None
    assert types is not None
    whole = columns_of_files(FileColumns(None, image_id_from, carried), columns, file.kind, types)
    restored: FileColumns = pickle.loads(pickle.dumps(whole))  # As it goes to workers.
    return restored


def split(
    file: InputFile, boxes: str, carry: list[str], image_id_from: str | None = None
) -> ReadPart:
    columns = columns_for(file, boxes, carry, image_id_from)
    (part,) = FILE_KINDS[file.kind].read(file, columns.by_image, 1000, 1 << 20)
    parts = list(split_boxes(part, columns))
    assert not any(part.failures for part in parts[:-1])
    return parts[-1]._replace(
        rows=pa.concat_batches([part.rows for part in parts]),
        encoded=tuple(image for part in parts for image in part.encoded),
    )


def messages(failures: tuple[Failure, ...]) -> dict[str, str]:
    return {failure.image_id: failure.message for failure in failures}


def test_each_box_has_its_own_list(tmp_path: pathlib.Path) -> None:
    tags, points = [["a", "b"], [], None], [[[1, 2], [3, 4]], [[5, 6]], []]
    content = {"b": [BOX] * 3, "tags": tags, "points": points, "name": "cats"}
    file = write_samples(tmp_path / "x.tar", [content, {"b": [BOX], "tags": [["c"]]}])
    rows = split(file, "xywh=json.b", ["json.tags", "json.points", "json.name"]).rows
    assert rows["image_id"].to_pylist() == [f"00000#box-{n}" for n in range(3)] + ["00001#box-0"]
    assert rows["json.tags"].to_pylist() == [*tags, ["c"]]
    assert rows["json.points"].to_pylist() == [*points, None]
    assert rows["json.name"].to_pylist() == ["cats"] * 3 + [None]
    table = pa.table({"image": [b"0"], "b": [[BOX] * 3], "tags": [tags]})
    pq.write_table(table, tmp_path / "x.parquet")
    rows = split(file_of(tmp_path / "x.parquet", ShardKind.PARQUET), "xywh=b", ["tags"]).rows
    assert rows["tags"].to_pylist() == tags


@pytest.mark.parametrize(("count", "text_bytes"), [(5000, 40_000), (300, 800_000)])
def test_memory_does_not_grow_with_the_boxes_of_an_image(
    tmp_path: pathlib.Path, count: int, text_bytes: int
) -> None:
    """Neither the image's lists nor long text of it are there for all of its boxes at once."""
    content = {"b": [BOX] * count, "label": ["cat"] * count, "text": "x" * text_bytes}
    file = write_samples(tmp_path / "x.tar", [content] * 3)
    columns = columns_for(file, "xywh=json.b", ["json.label", "json.text"])
    (part,) = FILE_KINDS[file.kind].read(file, columns.by_image, 1000, 1 << 20)
    pool = pa.default_memory_pool()
    counted = pa.proxy_memory_pool(pool)  # It must outlive the rows.
    pa.set_memory_pool(counted)
    rows = 0
    try:
        for boxes in split_boxes(part, columns):
            assert boxes.rows.num_rows == len(boxes.encoded) <= ROWS_AT_ONCE
            rows += boxes.rows.num_rows
            del boxes
    finally:
        pa.set_memory_pool(pool)
    assert rows == 3 * count
    # Of text there are 16 MiB at once, of 600 and 720 MB; lists would be as many.
    assert counted.max_memory() < 100 << 20


def test_images_stay_whole_if_they_have_few_boxes(tmp_path: pathlib.Path) -> None:
    counts = [300, 300, 0, 200, 1300, 1]
    samples = [{"b": [BOX] * count} for count in counts]
    file = write_samples(tmp_path / "x.tar", samples)
    columns = columns_for(file, "xywh=json.b", [])
    (part,) = FILE_KINDS[file.kind].read(file, columns.by_image, 1000, 1 << 20)
    parts = list(split_boxes(part, columns))
    assert [part.rows.num_rows for part in parts] == [300, 500, 512, 512, 277]
    assert [len(part.without_boxes) for part in parts] == [0, 0, 0, 0, 1]


def test_an_image_of_too_many_boxes_is_one_failure(tmp_path: pathlib.Path) -> None:
    samples = [{"b": [BOX] * count} for count in (1, MOST_BOXES + 1, MOST_BOXES)]
    part = split(write_samples(tmp_path / "x.tar", samples), "xywh=json.b", [])
    assert part.rows.num_rows == 1 + MOST_BOXES
    assert "it has 10,001 boxes, more than 10,000" in messages(part.failures)["00001"]


@pytest.mark.parametrize("depth", [9, 100, 480, 900, 100_000])
def test_a_sample_of_lists_in_lists_is_one_failure(tmp_path: pathlib.Path, depth: int) -> None:
    """Though it is the first: it decides no type, neither of boxes nor of what is carried."""
    deep = b"[" * depth + b"1" + b"]" * depth
    hostile = b'{"b": %b, "label": %b, "uid": %b}' % (deep, deep, deep)
    named = b'{"b": [[1, 2, 3, 4]], "label": ["a"], "uid": "named"}'
    of_lists = b'{"b": [[1, 2, 3, 4]], "label": %b, "uid": "listed"}' % deep
    file = write_samples(tmp_path / "x.tar", [hostile, named, of_lists, deep])
    part = split(file, "xywh=json.b", ["json.label"], "json.uid")
    assert part.rows["image_id"].to_pylist() == ["named#box-0"]
    assert part.rows["json.label"].to_pylist() == ["a"]
    assert {failure.error_type for failure in part.failures} == {"CorruptRecord"}
    assert len(part.failures) == 3


def test_one_box_may_be_without_its_list(tmp_path: pathlib.Path) -> None:
    """In the first sample, in most, and in one that is read later."""
    sides = dict(zip("xywh", BOX, strict=True))
    flat = {"b": BOX, **sides}
    two = {"b": [BOX, BOX], **{side: [number] * 2 for side, number in sides.items()}}
    for number, samples in enumerate(([flat, two, two], [flat, flat, two], [two] * 20 + [flat])):
        file = write_samples(tmp_path / f"{number}.tar", samples)
        for boxes in ("xywh=json.b", "xywh=json.x,json.y,json.w,json.h"):
            part = split(file, boxes, [])
            assert part.failures == ()
            assert part.rows.num_rows == sum(2 if sample is two else 1 for sample in samples)
            assert set(part.rows["box_width"].to_pylist()) == {30.0}


def test_where_each_image_has_one_box_without_a_list_a_carried_list_is_the_images(
    tmp_path: pathlib.Path,
) -> None:
    samples = [{"b": BOX, "tags": ["a", "b"]}] * 2
    rows = split(write_samples(tmp_path / "x.tar", samples), "xywh=json.b", ["json.tags"]).rows
    assert rows["json.tags"].to_pylist() == [["a", "b"]] * 2


@pytest.mark.parametrize("content", [3, [[BOX]], [BOX, [BOX]], "none", [True] * 4])
def test_what_are_no_boxes_is_refused_at_launch(tmp_path: pathlib.Path, content: object) -> None:
    file = write_samples(tmp_path / "x.tar", [{"b": content}])
    with pytest.raises(InputError, match=r"json\.b"):
        columns_for(file, "xywh=json.b", [])


def test_text_in_parquet_is_read_a_row_at_a_time(tmp_path: pathlib.Path) -> None:
    """One that is no box is one failure, and not that of its file."""
    boxes = ["[1, 2, 30, 40]", "[[1, 2, 30, 40], [3, 4, 5, 6]]", "", None, "x"]
    table = pa.table({"image": [b"0"] * 5, "b": boxes, "image_id": list("abcde")})
    pq.write_table(table, tmp_path / "x.parquet")
    part = split(file_of(tmp_path / "x.parquet", ShardKind.PARQUET), "xywh=b", [])
    assert part.rows["image_id"].to_pylist() == ["a#box-0", "b#box-0", "b#box-1"]
    assert part.rows["box_width"].to_pylist() == [30, 30, 5]
    assert len(part.without_boxes) == 2
    assert "'x' is not JSON, wanted four numbers" in messages(part.failures)["e"]

    sides = {name: ["1", "2", "x"] for name in ("x", "y", "width", "height")}
    pq.write_table(pa.table({"image": [b"0"] * 3, **sides}), tmp_path / "y.parquet")
    part = split(file_of(tmp_path / "y.parquet", ShardKind.PARQUET), "x,y,width,height", [])
    assert part.rows["box_x"].to_pylist() == [1, 2]
    assert len(part.failures) == 1


def test_lists_are_not_given_whole_to_each_of_several_boxes_in_text(tmp_path: pathlib.Path) -> None:
    boxes = ["[1, 2, 30, 40]", "[[1, 2, 30, 40], [3, 4, 5, 6]]", "[[1, 2, 30, 40]]"]
    labels = [["x", "y"], ["cat", "dog"], ["z"]]
    table = pa.table({"image": [b"0"] * 3, "b": boxes, "image_id": list("abc"), "label": labels})
    pq.write_table(table, tmp_path / "x.parquet")
    part = split(file_of(tmp_path / "x.parquet", ShardKind.PARQUET), "xywh=b", ["label"])
    assert part.rows["image_id"].to_pylist() == ["a#box-0", "c#box-0"]
    assert part.rows["label"].to_pylist() == [["x", "y"], ["z"]]
    assert "2 boxes are text, so that the list 'label'" in messages(part.failures)["b"]


def test_objects_in_parquet_are_no_boxes(tmp_path: pathlib.Path) -> None:
    pq.write_table(pa.table({"image": [b"0"], "b": [{"x": 1}]}), tmp_path / "x.parquet")
    with pytest.raises(InputError, match="--boxes b: the first file holds struct<x: int64> there"):
        columns_for(file_of(tmp_path / "x.parquet", ShardKind.PARQUET), "xywh=b", [])


def test_lists_of_unlike_lengths_are_told(tmp_path: pathlib.Path) -> None:
    sides = {"x": [[1, 2]], "y": [[3]], "width": [[4]], "height": [[5]]}
    pq.write_table(pa.table({"image": [b"0"], "image_id": ["a"], **sides}), tmp_path / "x.parquet")
    part = split(file_of(tmp_path / "x.parquet", ShardKind.PARQUET), "x,y,width,height", [])
    assert "their lists have [2, 1, 1, 1] numbers" in messages(part.failures)["a"]


def test_a_byte_order_mark_is_no_damage(tmp_path: pathlib.Path) -> None:
    marked = "\ufeff" + json.dumps({"b": [BOX]})
    part = split(write_samples(tmp_path / "x.tar", [marked.encode()]), "xywh=json.b", [])
    assert part.rows.num_rows == 1
