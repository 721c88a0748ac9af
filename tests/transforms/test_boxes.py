"""Boxes: what the flag says, what rows hold, which pixels they are, and what stands for them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.boxes import (
    ImageBox,
    content_of_box,
    distinct_sizes,
    image_of_box,
    name_box,
    number_of_box,
    same_runs,
)
from transforms.errors import BoxOutsideError, EmptyBoxError, FlagError
from transforms.inputs.box_columns import BoxColumns

PIXELS = BoxColumns("xywh", ("x", "y", "width", "height"))


@pytest.mark.parametrize(
    ("text", "layout", "names"),
    [
        ("x,y,width,height", "xywh", ("x", "y", "width", "height")),
        ("bbox_x,bbox_y,bbox_width,bbox_height", "xywh", None),
        ("xmin,ymin,xmax,ymax", "xyxy", None),
        ("Ymin,Xmin,Ymax,Xmax", "yxyx", None),
        ("a/bbox/ymin,a/bbox/xmin,a/bbox/ymax,a/bbox/xmax", "yxyx", None),
        ("xywh=bbox", "xywh", ("bbox",)),
        ("yxyx=image/object/bbox", "yxyx", ("image/object/bbox",)),
        ("xyxy=l,t,r,b", "xyxy", ("l", "t", "r", "b")),
    ],
)
def test_the_flag_names_columns_and_how_to_read_them(
    text: str, layout: str, names: tuple[str, ...] | None
) -> None:
    assert BoxColumns.parse(text) == (layout, names or tuple(text.split(",")))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bbox",
        "a,b,c,d",
        "x,y,width",
        "xywh=",
        "xywh=a,b",
        "w=a",
        "xywh=a,a,a,a",
        "xywh=a,b,c,c",
    ],
)
def test_a_flag_that_says_no_layout_is_refused_with_the_cure(text: str) -> None:
    with pytest.raises(FlagError, match="wanted four columns x,y,width,height"):
        BoxColumns.parse(text)


@pytest.mark.parametrize(
    ("layout", "values", "boxes"),
    [
        ("xywh", [10, 20, 50, 40], [(10, 20, 50, 40)]),
        ("xywh", ["10", "20.5", "50", "40"], [(10, 20.5, 50, 40)]),
        ("xyxy", [10, 20, 60, 60], [(10, 20, 50, 40)]),
        ("yxyx", [[0.1, 0.5], [0.2, 0], [0.3, 0.9], [0.6, 0.5]], [(0.1, 0.2, 0.3, 0.6),
                                                                 (0.5, 0, 0.9, 0.5)]),
        ("xywh", [[10, 20, 50, 40]], [(10, 20, 50, 40)]),
        ("xywh", ["[10, 20, 50, 40]"], [(10, 20, 50, 40)]),
        ("xywh", [[[1, 2, 3, 4], [5, 6, 7, 8]]], [(1, 2, 3, 4), (5, 6, 7, 8)]),
        ("xywh", [None, None, None, None], []),
        ("xywh", ["", "", "", ""], []),
        ("xywh", [[]], []),
    ],
)  # fmt: skip
def test_rows_hold_one_box_or_several(
    layout: str, values: list[object], boxes: list[tuple[float, ...]]
) -> None:
    names = ("a", "b", "c", "d") if len(values) == 4 else ("a",)
    assert BoxColumns(layout, names).read(values) == boxes


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, None, 4],
        ["one", 2, 3, 4],
        [[1, 2], [3, 4], [5, 6], [7]],
        [[1, 2, 3]],
        [[[1, 2, 3, 4], [5]]],
        ["[1, 2, 3"],
        ["[" * 100_000],
        [{"x": 1}],
        [7],
        [10**400, 2, 3, 4],
    ],
)
def test_what_is_no_box_is_refused(values: list[object]) -> None:
    names = ("a", "b", "c", "d") if len(values) == 4 else ("a",)
    with pytest.raises(ValueError, match=r"\S"):
        BoxColumns("xywh", names).read(values)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1, 2, 3, 4], None], "box 1 is None, not four numbers"),
        ([None], "box 0 is None, not four numbers"),
        ([[1, 2, 3, 4], [], [5]], r"box 1 is \[\], not four numbers"),
        ([1, None, 3, 4], r"box 0 is \[1, None, 3, 4\], not four numbers"),
    ],
)
def test_the_box_is_told_that_is_none(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BoxColumns("xywh", ("a",)).read([value])


@pytest.mark.parametrize(
    ("box", "margin", "pixels"),
    [
        (ImageBox(20, 10, 60, 60, True), 0, (20, 10, 40, 50)),
        (ImageBox(20, 10, 60, 60, True), 0.1, (16, 5, 48, 60)),
        (ImageBox(0.2, 0.05, 0.6, 0.3, False), 0, (20, 10, 40, 50)),
        (ImageBox(-5, -5, 105, 205, True), 0, (0, 0, 100, 200)),
        (ImageBox(90, 190, 100, 200, True), 1, (80, 180, 20, 20)),
        (ImageBox(99.7, 0, 120, 10, True), 0, (99, 0, 1, 10)),
        (ImageBox(3.1, 3.1, 3.2, 3.2, True), 0, (3, 3, 1, 1)),
    ],
)
def test_a_box_is_whole_pixels_of_its_image(
    box: ImageBox, margin: float, pixels: tuple[int, ...]
) -> None:
    assert box.within(100, 200, margin) == pixels


@pytest.mark.parametrize(
    ("box", "error"),
    [
        (ImageBox(20, 10, 20, 60, True), EmptyBoxError),
        (ImageBox(20, 60, 30, 10, True), EmptyBoxError),
        (ImageBox(float("nan"), 0, 30, 10, True), EmptyBoxError),
        (ImageBox(0, 0, float("inf"), 10, True), EmptyBoxError),
        (ImageBox(0.1, 0.2, 0.5, 0.9, True), EmptyBoxError),  # Shares, said to be pixels.
        (ImageBox(0, 0.2, 1, 0.9, True), EmptyBoxError),
        (ImageBox(100, 0, 120, 10, True), BoxOutsideError),
        (ImageBox(0, -9, 10, 0, True), BoxOutsideError),
        (ImageBox(1, 0, 1.5, 0.5, False), BoxOutsideError),
    ],
)
def test_empty_boxes_and_those_outside_fail_by_name(box: ImageBox, error: type[Exception]) -> None:
    with pytest.raises(error):
        box.within(100, 200, 0.5)


sides = st.floats(-1e6, 1e6)


@settings(derandomize=True, deadline=None)
@given(sides, sides, sides, sides, st.floats(0, 10), st.integers(1, 500), st.integers(1, 500))
def test_no_box_leaves_its_image(
    top: float, left: float, bottom: float, right: float, margin: float, height: int, width: int
) -> None:
    try:
        row, column, rows, columns = ImageBox(top, left, bottom, right, True).within(
            height, width, margin
        )
    except (EmptyBoxError, BoxOutsideError):
        return
    assert 0 <= row < row + rows <= height
    assert 0 <= column < column + columns <= width


def test_ids_count_the_boxes_of_an_image() -> None:
    assert name_box("a/b#1.jpg", 12) == "a/b#1.jpg#box-12"
    assert image_of_box("a/b#1.jpg#box-12") == "a/b#1.jpg"
    assert number_of_box("a/b#1.jpg#box-12") == 12
    assert image_of_box("a#box-") == "a#box-"
    assert number_of_box("a.jpg") == 0


def test_content_is_that_of_the_image_and_of_the_box() -> None:
    box = ImageBox(1, 2, 3, 4, True)
    contents = {
        content_of_box("ab", None),
        content_of_box("ab", box),
        content_of_box("cd", box),
        content_of_box("ab", box._replace(bottom=3.001)),
        content_of_box("ab", box._replace(in_pixels=False)),
    }
    assert len(contents) == 5
    assert content_of_box("ab", None) == "ab"
    exact = ImageBox(0.1, 0.2, 0.3, 1e300, False)
    rounded = exact._replace(top=float(np.float32(0.1)), left=float(np.float32(0.2)))
    assert content_of_box("ab", exact) == content_of_box("ab", rounded)


@pytest.mark.parametrize("in_pixels", [True, False])
def test_content_is_the_same_once_a_tfrecord_has_held_the_box(in_pixels: bool) -> None:
    """Of 305.02 + 581.19 the rounded sum is not the sum of the rounded ones."""
    given = [305.02, 373.36, 581.19, 323.0]
    held = [float(np.float32(value)) for value in given]
    boxes = [ImageBox.of(values, in_pixels=in_pixels) for values in (given, held)]
    assert len({content_of_box("ab", box) for box in boxes}) == 1


def test_images_that_share_their_bytes_are_one_run() -> None:
    first, twin = bytes([1, 2, 3]), bytes([1, 2, 3])
    assert same_runs([]) == []
    assert same_runs([first, first, twin, first]) == [range(2), range(2, 3), range(3, 4)]
    assert distinct_sizes([first, first, twin, first]) == [3, 0, 3, 3]
