"""PBM, PGM and PPM: what their headers say, and the files without comments.

Source: the manual pages pbm(5), pgm(5) and ppm(5) of Netpbm 10. An image 3 wide and 2 high:

    P6  # made by hand   3 2   255   18 bytes
    kind   comment       size  most
"""

import re
from typing import NamedTuple

from transforms.errors import ImageTooLargeError

MAX_SLOW_SAMPLES = 12_000_000
"""Of text, and of samples that are not of 8 bits: 8 s of Pillow's Python, at 0.65 us a sample."""
MAX_TEXT_BYTES = 50_000_000

_MAX_HEADER_BYTES = 65_536
_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(
    rb"P(?P<kind>[1-6])" + _GAP + rb"(?P<width>\d{1,10})" + _GAP + rb"(?P<height>\d{1,10})"
    rb"(?:" + _GAP + rb"(?P<most>\d{1,10}))?"
)  # fmt: skip
_COMMENT = re.compile(rb"#[^\r\n]*")
_BITMAPS, _TEXTS, _COLOURS = b"14", b"123", b"36"


class _Header(NamedTuple):
    """What is said before the samples.

    Attributes:
        kind: Digit from 1 to 6, as a byte.
        height: Height in pixels.
        width: Width in pixels.
        most: Value of white; 1 for bitmaps.
        end: Offset of the byte behind the last number; the samples follow that byte.
    """

    kind: bytes
    height: int
    width: int
    most: int
    end: int

    @property
    def samples(self) -> int:
        return self.height * self.width * (3 if self.kind in _COLOURS else 1)

    @property
    def size_bytes(self) -> int:
        """Bytes of the samples of a binary file."""
        if self.kind in _BITMAPS:
            return self.height * -(-self.width // 8)
        return self.samples * (1 if self.most < 256 else 2)


def read_netpbm_size(encoded: bytes) -> tuple[int, int]:
    """Returns height and width in pixels.

    Raises:
        ImageTooLargeError: If it takes too long to decode.
        ValueError: If it is damaged, or ends early.
    """
    header = _read_header(encoded)
    is_text = header.kind in _TEXTS
    quick = (255, 65535) if header.kind == b"5" else (255,)
    is_slow = is_text or (header.kind not in _BITMAPS and header.most not in quick)
    if is_slow and (
        header.samples > MAX_SLOW_SAMPLES or (is_text and len(encoded) > MAX_TEXT_BYTES)
    ):
        raise ImageTooLargeError(
            f"{header.samples} samples as text or of other than 8 bits, wanted at most "
            f"{MAX_SLOW_SAMPLES} of PNM: they take longer than 10 s to decode; convert it to PNG"
        )
    if not is_text and len(encoded) < header.end + 1 + header.size_bytes:
        raise ValueError("it ends early")
    return header.height, header.width


def strip_netpbm(encoded: bytes) -> bytes:
    """Returns the file without comments, which Pillow reads a byte at a time, or copies.

    Raises:
        ValueError: If it is damaged.
    """
    header = _read_header(encoded)
    numbers = [b"P" + header.kind, b"%d %d" % (header.width, header.height)]
    if header.kind not in _BITMAPS:
        numbers.append(b"%d" % header.most)
    rest = encoded[header.end + 1 :]
    return b"\n".join([*numbers, _COMMENT.sub(b"", rest) if header.kind in _TEXTS else rest])


def _read_header(encoded: bytes) -> _Header:
    beginning = encoded[:_MAX_HEADER_BYTES]
    found = _HEADER.match(beginning)
    if found is None:
        raise ValueError("no size")
    kind = found["kind"]
    if kind in _BITMAPS:
        return _Header(kind, int(found["height"]), int(found["width"]), 1, found.end("height"))
    if found["most"] is None or not 0 < int(found["most"]) < 65536:
        raise ValueError("no value of white from 1 to 65535")
    height, width, most = (int(found[name]) for name in ("height", "width", "most"))
    return _Header(kind, height, width, most, found.end("most"))
