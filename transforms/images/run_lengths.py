"""Run-length coded BMP files, looked at before they are decoded."""

import struct

_RLE8, _RLE4 = 1, 2


def check_run_lengths(encoded: bytes) -> None:
    """Checks that a BMP does not jump out of its image, which Pillow would make room for.

    A jump is four bytes, and goes up to 255 rows on. Source: Microsoft, "Bitmap Compression":

        03 07         three pixels of colour 7
        00 00         the end of a row
        00 01         the end
        00 02  05 01  a jump, 5 to the right and 1 row up
        00 04  ....   four pixels as they are, filled up to a whole number of 2 bytes

    Raises:
        ValueError: If it does.
        struct.error, IndexError: If the header ends early.
    """
    offset, header_bytes = struct.unpack_from("<I4x", encoded, 10)[0], encoded[14]
    if header_bytes < 40:
        return
    height, compression = struct.unpack_from("<i4xI", encoded, 22)
    if compression not in (_RLE8, _RLE4):
        return
    row, size = 0, len(encoded)
    while offset + 2 <= size:
        count, value = encoded[offset], encoded[offset + 1]
        offset += 2
        if count or value == 0:
            row += not count
        elif value == 1:
            return
        elif value == 2:
            if offset + 2 > size:
                return
            row += encoded[offset + 1]
            offset += 2
        else:
            length = value if compression == _RLE8 else (value + 1) // 2
            offset += length + (offset + length) % 2
        if row > abs(height):
            raise ValueError(f"a run beyond its {abs(height)} rows")
