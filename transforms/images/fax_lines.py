"""Lines that are missing in fax-coded TIFF files of ITU-T T.4: libtiff shows white for them.

That is "group 3", each of whose lines starts with EOL, and its runs alone, "CCITT RLE".
"""

import io
import re
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from transforms.images.tiff_colours import TiffFile

CCITT_RLE, GROUP_3 = 2, 3
"""Compressions. Source: TIFF 6.0, sections 10 and 11."""

_EOL_ZEROS = 11
"""Source: T.4, 4.1.2. A one is behind them, fill bits are more zeros; no codes have as many."""

_LOST_SHARE = 20
"""Rows of which one may have lost its EOL on the line: receivers ask for 95 % (HylaFAX)."""

_MOST_BYTES = 4_000_000
"""Of lines that are looked at; larger files are believed."""

_ZEROS = re.compile(rb"\0{4,}")
"""Where there are no EOLs, zeros in a row are 17 bits at most: of codes, and of a byte's rest."""

_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1)
_LEADING, _TRAILING = _BITS.argmax(axis=1), _BITS[:, ::-1].argmax(axis=1)
"""Zeros of a byte in front of its first one, and behind its last."""

MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Bytes with their bits in the other order."""


def check_lines(
    encoded: bytes, strips: Iterable[tuple[int, int, int]], compression: int, fill_order: int
) -> None:
    """Checks that strips or tiles have a line for each row.

    A strip of group 3 has as many EOLs, but for some that are lost on the line, or none at all.
    Runs alone have none. There zeros may be behind the last line only, where nobody looks:

        a0 d7 .. 68 00 00 00 00 00     as the file has it
        a0 d7 .. 68 1f ff ff ff ff     the same picture; a code ends in three zeros at most

    Args:
        encoded: A TIFF file whose tags have been checked by `check_tags`.
        strips: First byte, bytes and rows of each.
        compression: CCITT_RLE or GROUP_3.
        fill_order: 2 if the bits of a byte are stored backwards.

    Raises:
        ValueError: If lines are missing.
        Exception: One of PILLOW_ERRORS, if it cannot be decoded at all.
    """
    strips = list(strips)
    if sum(size for _, size, _ in strips) > _MOST_BYTES:
        return
    changed = bytearray(encoded)
    for number, (start, size, rows) in enumerate(strips):
        strip = encoded[start : start + size]
        strip = strip.translate(MIRRORED) if fill_order == 2 else strip
        name = f"fax-coded strip {number} of {len(strips)}"
        found = _count_eols(strip) if compression == GROUP_3 else 0
        if 0 < found < rows - rows // _LOST_SHARE:
            raise ValueError(f"{name}: {found} lines, wanted {rows}")
        if not found:
            strip = _ZEROS.sub(lambda zeros: b"\x1f".ljust(len(zeros[0]), b"\xff"), strip)
            strip = strip.translate(MIRRORED) if fill_order == 2 else strip
            changed[start : start + size] = strip
    if changed != encoded and _decode(bytes(changed)) != _decode(encoded):
        raise ValueError("zeros in the place of fax-coded lines")


def _count_eols(strip: bytes) -> int:
    """Counts the zeros between ones that are as many as in EOL."""
    values: npt.NDArray[np.uint8] = np.frombuffer(strip, np.uint8)
    places = np.flatnonzero(values)
    if not places.size:
        return 0
    behind, before = _LEADING[values[places]], _TRAILING[values[places]]
    zeros = 8 * (np.diff(places, prepend=-1) - 1) + behind
    zeros[1:] += before[:-1]
    return int((zeros >= _EOL_ZEROS).sum())


def _decode(encoded: bytes) -> bytes:
    with TiffFile(io.BytesIO(encoded)) as image:
        image.load()
        return image.tobytes()
