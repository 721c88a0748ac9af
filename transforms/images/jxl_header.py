"""The size of a JPEG XL image, read without decoding it.

Source: ISO/IEC 18181-1:2022, annexes D.2 (sizes) and D.3 (ImageMetadata), and 18181-2 (boxes). The
first bits of a codestream, lowest bit of each byte first, of an image of 64 x 48 pixels:

    ff 0a   1       00101       001    0            ..
            small   48 / 8 - 1  ratio  all default
"""

from transforms.errors import ImageTooLargeError
from transforms.images.iso_boxes import iter_boxes

CODESTREAM = b"\xff\x0a"
CONTAINER = b"\x00\x00\x00\x0cJXL \r\n\x87\n"

MAX_SAMPLES = 150_000_000
"""1 GB of decoding; pixels times layers of colour, alpha and depth."""

_HEADER_BYTES = 1_000
"""Room for the sizes, which take 60 bytes at most."""

_MAX_BOXES = 1_000

_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
"""Width to height."""

_SIDES = ((9, 1), (13, 1), (18, 1), (30, 1))
"""Each number of 32 bits has one of four forms: bits to read, and what to add."""
_PREVIEW_BLOCKS = ((0, 16), (0, 32), (5, 1), (9, 33))
_PREVIEW_SIDES = ((6, 1), (8, 65), (10, 321), (12, 1345))
_TICKS = ((0, 100), (0, 1000), (10, 1), (30, 1))
_TICK_DIVISORS = ((0, 1), (0, 1001), (8, 1), (10, 1))
_LOOPS = ((0, 0), (3, 0), (16, 0), (32, 0))
_FLOAT_BITS = ((0, 32), (0, 16), (0, 24), (6, 1))
_INTEGER_BITS = ((0, 8), (0, 10), (0, 12), (6, 1))
_EXTRA_LAYERS = ((0, 0), (0, 1), (4, 2), (12, 1))


def read_jxl_size(encoded: bytes) -> tuple[int, int]:
    """Returns height and width as the image is seen: the decoder turns it upright.

    Raises:
        ImageTooLargeError: If there are too many samples.
        ValueError, struct.error: If it is damaged.
    """
    bits = _Bits(_beginning(encoded))
    height, width = _read_size(bits)
    orientation, extra_layers = 1, 0
    if not bits.read(1):  # Not all default.
        if bits.read(1):
            orientation = bits.read(3) + 1
            _pass_over_extra_fields(bits)
        if bits.read(1):
            bits.read_form(_FLOAT_BITS)
            bits.read(4)
        else:
            bits.read_form(_INTEGER_BITS)
        bits.read(1)
        extra_layers = bits.read_form(_EXTRA_LAYERS)
    samples = height * width * (3 + extra_layers)
    if samples > MAX_SAMPLES:
        raise ImageTooLargeError(
            f"{height} x {width} pixels of {3 + extra_layers} layers are {samples} samples, wanted "
            f"at most {MAX_SAMPLES} of JPEG XL: they do not decode in 1 GB of memory; convert it"
        )
    return (width, height) if orientation >= 5 else (height, width)


class _Bits:
    """Bytes as a row of bits, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._rest = int.from_bytes(data, "little")
        self._left = 8 * len(data)

    def read(self, count: int) -> int:
        if count > self._left:
            raise ValueError("the header ends early")
        value = self._rest & (1 << count) - 1
        self._rest >>= count
        self._left -= count
        return value

    def read_form(self, forms: tuple[tuple[int, int], ...]) -> int:
        count, offset = forms[self.read(2)]
        return self.read(count) + offset


def _read_size(bits: _Bits) -> tuple[int, int]:
    is_small = bits.read(1)

    def read_side() -> int:
        return 8 * (bits.read(5) + 1) if is_small else bits.read_form(_SIDES)

    height = read_side()
    ratio = bits.read(3)
    return height, _wide(height, ratio) if ratio else read_side()


def _wide(height: int, ratio: int) -> int:
    across, down = _RATIOS[ratio]
    return height * across // down


def _pass_over_extra_fields(bits: _Bits) -> None:
    if bits.read(1):  # The size that it is meant to be shown in.
        _read_size(bits)
    if bits.read(1):
        form = _PREVIEW_BLOCKS if bits.read(1) else _PREVIEW_SIDES
        bits.read_form(form)
        if not bits.read(3):
            bits.read_form(form)
    if bits.read(1):
        for form in (_TICKS, _TICK_DIVISORS, _LOOPS):
            bits.read_form(form)
        bits.read(1)


def _beginning(encoded: bytes) -> bytes:
    """Returns the first bytes of the codestream, behind its signature.

    In a container it is in a box `jxlc`, or in pieces in several `jxlp`, each behind 4 bytes.

    Raises:
        ValueError, struct.error: If there is none.
    """
    if encoded.startswith(CODESTREAM):
        return encoded[2:_HEADER_BYTES]
    found = b""
    for kind, start, end in iter_boxes(encoded, 0, len(encoded), _MAX_BOXES):
        if kind in (b"jxlc", b"jxlp"):
            start += 4 if kind == b"jxlp" else 0
            found += encoded[start : min(end, start + _HEADER_BYTES)]
        if len(found) >= _HEADER_BYTES:
            break
    if not found.startswith(CODESTREAM):
        raise ValueError("no codestream")
    return found[2:]
