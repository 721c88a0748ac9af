"""The orientation in an EXIF block, and the directory of a TIFF file, which has the same form.

Nothing is read but the first directory's entries: an entry may say that its value is anywhere and
of any size, and many may name the same bytes. Source: TIFF 6.0, section 2; EXIF 2.32, 4.6.2.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

ORIENTATION_TAG = 0x0112
"""EXIF 2.32, table 4."""

MAX_ENTRIES = 65_536
"""Of a directory: there are no more tags."""

_EXIF_PREFIX = b"Exif\0\0"
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
"""Bytes of a value, by kind; 16 to 18 are those of BigTIFF."""

_INTEGERS = {1: "B", 3: "H", 4: "L"}


class Entry(NamedTuple):
    """An entry of a directory.

    Attributes:
        tag: Number that says what it is about.
        kind: Number of the type of its values.
        values: Number of values that it claims to have.
        value: Bytes of the value where they fit in, else their offset in the file.
    """

    tag: int
    kind: int
    values: int
    value: bytes

    @property
    def size_bytes(self) -> int:
        """Size that it claims, in bytes; 0 if its kind is not known."""
        return self.values * _SIZES.get(self.kind, 0)


def read_orientation(block: bytes) -> int:
    """Returns the orientation, 1 (upright) to 8, that an EXIF block or a TIFF file says.

    A damaged block says nothing about the image; it is shown as it is stored. A block that says 6:

        "Exif" 00 00   "II" 2a 00  08 00 00 00   01 00    12 01  03 00  01 00 00 00  06 00 00 00
        may be absent  order       first offset  entries  tag    kind   count        value
    """
    try:
        order, entries = first_directory(block.removeprefix(_EXIF_PREFIX))
        for entry in entries:
            if entry.tag == ORIENTATION_TAG and entry.values == 1 and entry.kind in _INTEGERS:
                (number,) = struct.unpack_from(order + _INTEGERS[entry.kind], entry.value)
                return number if 1 <= number <= 8 else 1
    except (struct.error, ValueError):
        pass
    return 1


def first_directory(data: bytes) -> tuple[str, Iterator[Entry]]:
    """Returns the byte order, "<" or ">", and the entries of the first directory that are there.

    Raises:
        struct.error, ValueError: If there is none.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        raise ValueError("no byte order")
    if 43 in data[2:4]:  # BigTIFF: all is of 8 bytes.
        (start,) = struct.unpack_from(f"{order}Q", data, 8)
        form, (count,) = (
            f"{order}HHQ8s",
            struct.unpack_from(f"{order}Q", data, min(start, len(data))),
        )
        start += 8
    else:
        (start,) = struct.unpack_from(f"{order}L", data, 4)
        form, (count,) = f"{order}HHL4s", struct.unpack_from(f"{order}H", data, start)
        start += 2
    if count > MAX_ENTRIES:
        raise ValueError(f"{count} tags")
    size = struct.calcsize(form)
    there = min(count, max(len(data) - start, 0) // size)
    return order, map(Entry._make, struct.iter_unpack(form, data[start : start + there * size]))
