"""Batches of several runs are decoded once where they are of the same images, or the same boxes."""

import pyarrow as pa

from transforms.boxes import PIXEL_NAMES
from transforms.inputs.part import PartBuilder, ReadPart
from transforms.lifecycle.shared_cuts import together

A, B = b"image a", b"image b"


def part(images: list[bytes], boxes: list[tuple[float, ...]] | None = None) -> ReadPart:
    """Makes a part of images, or of a box of each."""
    builder = PartBuilder()
    for row, encoded in enumerate(images):
        builder.add(row, f"{row}", f"{row}", encoded)
    carried = pa.table({"label": ["x"] * len(images)})
    if boxes is not None:
        carried = pa.table(dict(zip(PIXEL_NAMES, zip(*boxes, strict=True), strict=True)))
    return builder.finish(carried)


def runs_together(parts: dict[int, list[ReadPart]]) -> list[list[int]]:
    return [list(cut.parts) for cut in together(parts)]


def test_the_same_images_are_one_batch_of_several_runs() -> None:
    parts = {0: [part([A, B])], 1: [part([A, B])], 2: [part([A])]}
    assert runs_together(parts) == [[0, 1], [2]]


def test_other_boxes_of_the_same_image_are_other_batches() -> None:
    first, second = (0.0, 0.0, 9.0, 9.0), (5.0, 5.0, 9.0, 9.0)
    parts = {
        0: [part([A], [first])],
        1: [part([A], [second])],
        2: [part([A], [first])],
        3: [part([A, A], [first, second])],
    }
    assert runs_together(parts) == [[0, 2], [1], [3]]
