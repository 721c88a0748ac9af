"""The orientation of an EXIF block, and what a block may not cost."""

import struct
import time
import tracemalloc

import pytest

from tests.support.images import exif
from transforms.images.orientation import read_orientation


def block(
    order: str, entries: list[tuple[int, int, int, bytes]], count: int | None = None
) -> bytes:
    """Makes a TIFF structure of one directory."""
    mark = {"<": b"II", ">": b"MM"}[order]
    body = b"".join(struct.pack(f"{order}HHL4s", *entry) for entry in entries)
    head = struct.pack(f"{order}HLH", 42, 8, len(entries) if count is None else count)
    return mark + head + body + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "form"), [(1, "B3x"), (3, "H2x"), (4, "L")])
def test_an_orientation_is_read_in_either_byte_order(order: str, kind: int, form: str) -> None:
    entry = (274, kind, 1, struct.pack(order + form, 6))
    assert read_orientation(block(order, [(256, 3, 1, b"\x09\x00\x00\x00"), entry])) == 6


def test_bigtiff_has_one_too() -> None:
    entry = struct.pack("<HHQ8s", 274, 3, 1, b"\x08\x00")
    assert read_orientation(b"II" + struct.pack("<HHHQQ", 43, 8, 0, 16, 1) + entry) == 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_pillow_writes_is_read(orientation: int) -> None:
    assert read_orientation(exif(orientation).tobytes()) == orientation


UPRIGHT = [
    b"",
    b"Exif\0\0",
    b"II*\0",
    b"II*\0\xff\xff\xff\xff",
    b"XX*\0" + block("<", [(274, 3, 1, b"\x06\0\0\0")])[4:],
    block("<", [(274, 3, 1, b"\x09\0\0\0")]),
    block("<", [(274, 3, 1, b"\0\0\0\0")]),
    block("<", [(274, 3, 2, b"\x06\0\0\0")]),
    block("<", [(274, 2, 1, b"\x06\0\0\0")]),
    block("<", [(275, 3, 1, b"\x06\0\0\0")]),
    b"II+\0\x08\0\0\0" + b"\xff" * 8,
]


@pytest.mark.parametrize("damaged", UPRIGHT)
def test_a_block_that_says_none_is_upright(damaged: bytes) -> None:
    assert read_orientation(damaged) == 1


def test_a_block_cut_behind_the_orientation_still_says_it() -> None:
    assert read_orientation(block("<", [(274, 3, 1, b"\x06\0\0\0")], count=40)) == 6


def test_tags_that_claim_the_whole_block_over_and_over_cost_nothing() -> None:
    hostile = block("<", [(1000 + n, 7, 2_000_000, b"\x08\0\0\0") for n in range(60_000)])
    tracemalloc.start()
    started = time.monotonic()
    assert read_orientation(hostile + bytes(2_000_000)) == 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000
    assert time.monotonic() - started < 2
