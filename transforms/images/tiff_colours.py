"""What the samples of a TIFF mean, where Pillow knows no more than some of it."""

from typing import Any

from PIL import ImagePalette, TiffImagePlugin
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    COLORMAP,
    COMPRESSION,
    PHOTOMETRIC_INTERPRETATION,
    SAMPLEFORMAT,
)

from transforms.errors import UnsupportedFormatError

# Pillow reads what is not compressed itself, else: some of it wrongly (planes of 16 bits, YCbCr).
TiffImagePlugin.READ_LIBTIFF = True

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _SEPARATED = 0, 1, 5
_NAMES = {
    _WHITE_IS_ZERO: "gray, white is zero",
    _BLACK_IS_ZERO: "gray, black is zero",
    2: "RGB",
    3: "palette",
    4: "transparency mask",
    _SEPARATED: "inks",
    6: "YCbCr",
    8: "CIE L*a*b*",
    9: "ICC L*a*b*",
    10: "ITU L*a*b*",
    32803: "colour filter array",
    34892: "linear raw",
}
"""Photometric interpretations. Source: TIFF 6.0, section 8; TIFF/EP; DNG."""

_WEBP = 50001
_CODINGS = {
    33003: "JPEG 2000 (Aperio)",
    33005: "JPEG 2000 (Aperio)",
    34661: "JBIG",
    34712: "JPEG 2000",
    34887: "LERC",
    _WEBP: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
"""Compressions that Pillow does not know, or its libtiff. Source: libtiff's tiff.h; DNG 1.7."""

_INK_SET_TAG = 332
_OTHER_INKS = 2
"""TIFF 6.0, section 16: an ink set that is not cyan, magenta, yellow and black."""

# The same in the other byte order, which Pillow leaves out; scanners write it.
TiffImagePlugin.OPEN_INFO.setdefault(
    (b"MM", _WHITE_IS_ZERO, (1,), 1, (16,), ()), ("I;16B", "I;16B")
)


class TiffFile(TiffImagePlugin.TiffImageFile):
    """A TIFF as it is stored, whose palette is right, and which says what Pillow cannot show.

    It is without EXIF and the like, which may name itself over and over.
    """

    def load(self) -> Any:  # noqa: ANN401  It is Pillow's.
        """Decodes the pixels."""
        try:
            return super().load()
        except OSError as error:
            if self.tag_v2.get(COMPRESSION) != _WEBP:
                raise
            # Of Pillow's wheels libtiff lacks it, and nothing says so.
            raise self._unknown_coding() from error

    def load_end(self) -> None:
        """Leaves the image as it is."""
        # Pillow would read all directories below this one, and turn the image upright.
        self._size = self.im.size

    def _setup(self) -> None:
        photometric = self.tag_v2.get(PHOTOMETRIC_INTERPRETATION, _WHITE_IS_ZERO)
        if photometric == _SEPARATED and self.tag_v2.get(_INK_SET_TAG) == _OTHER_INKS:
            raise UnsupportedFormatError(
                "the TIFF file holds inks other than cyan, magenta, yellow and black; convert "
                "them to RGB"
            )
        if self.tag_v2.get(COMPRESSION, 1) not in TiffImagePlugin.COMPRESSION_INFO:
            raise self._unknown_coding()
        try:
            super()._setup()
        except SyntaxError as error:
            if not isinstance(error.__cause__, KeyError):
                raise
            kind = _NAMES.get(photometric, f"photometric interpretation {photometric}")
            bits = ", ".join(map(str, self.tag_v2.get(BITSPERSAMPLE, (1,))[:8]))
            formats = self.tag_v2.get(SAMPLEFORMAT, (1,))[:8]
            measured = "" if set(formats) == {1} else ", floating-point or signed"
            raise UnsupportedFormatError(
                f"a TIFF file of samples that Pillow cannot show: {kind}, {bits} bits{measured}; "
                "convert it to 8-bit RGB"
            ) from error
        if self.mode in ("P", "PA"):
            levels = self.tag_v2[COLORMAP]
            # Levels are of 16 bits; some programs write 8, as libtiff's tools know.
            if max(levels) < 256:
                self.palette = ImagePalette.raw("RGB;L", bytes(levels))

    def _unknown_coding(self) -> UnsupportedFormatError:
        number = self.tag_v2.get(COMPRESSION, 1)
        name = _CODINGS.get(number, f"compression {number}")
        return UnsupportedFormatError(
            f"a TIFF file of pixels coded by {name}; convert it to one that is deflated, or to PNG"
        )
