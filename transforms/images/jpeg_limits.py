"""What a JPEG may cost in scans and layers, held against what decoders make of it."""

import re
import struct

from transforms.errors import ImageTooLargeError

MAX_SCANS = 100
"""Each goes over all of the image; encoders write 1 to some 30, and libtiff allows as many."""

MAX_INK_PIXELS = 80_000_000
"""Of an image of four layers: libjpeg keeps 8 bytes a pixel of one that has several scans."""

_START_OF_SCAN = b"\xff\xda"
_MARKER_IN_SCAN = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
"""What ends a scan: neither a stuffed ff, nor a restart, nor a fill byte."""

_END_OF_IMAGE = 0xD9


def check_scans(encoded: bytes, start: int) -> None:
    """Checks that a JPEG has no more scans than an image can use.

    A scan that says nothing new is a few bytes, and takes as long as the image is large:

        ff da  length ..   1f ff 1f ff ..   ff da  length ..   1f ff ..   ff d9
        scan   header      data             scan   header      data       end

    Args:
        encoded: The whole file.
        start: Offset of the content of the first scan's header.

    Raises:
        ValueError: If it has more.
    """
    # Nearly always there is not even the marker so often, wherever.
    if encoded.count(_START_OF_SCAN, start) < MAX_SCANS:
        return
    scans, offset = 1, start
    while (found := _MARKER_IN_SCAN.search(encoded, offset)) is not None:
        kind, offset = found[1][0], found.end()
        if kind == _END_OF_IMAGE or offset + 2 > len(encoded):
            return
        scans += kind == _START_OF_SCAN[1]
        if scans > MAX_SCANS:
            raise ValueError(f"more than {MAX_SCANS} scans")
        if kind >= 0xC0:  # Below are the reserved ones, which have no content.
            offset += max(struct.unpack_from(">H", encoded, offset)[0], 2)


def check_layers(height: int, width: int, layers: int) -> None:
    """Checks that an image of inks is not too large for libjpeg.

    Raises:
        ImageTooLargeError: If it is.
    """
    if layers == 4 and height * width > MAX_INK_PIXELS:
        raise ImageTooLargeError(
            f"{height} x {width} pixels of four inks, wanted at most {MAX_INK_PIXELS}: they are "
            "decoded in 1 GB of memory; convert it to RGB"
        )
