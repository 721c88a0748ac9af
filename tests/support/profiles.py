"""ICC profiles of screens and cameras, made by the book, and what colours become by them.

Source: ICC.1:2001-04 (version 2): a header of 128 bytes, a table of tags, and the tags.
"""

import struct
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tests.support.images import Pixels

Array = npt.NDArray[np.float64]

D65, D50 = (0.3127, 0.3290), (0.9642, 1.0, 0.8249)
SRGB_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
P3_PRIMARIES = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
"""SMPTE EG 432-1."""
ADOBE_PRIMARIES = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
"""Adobe RGB (1998) Color Image Encoding, 4.3.1."""
ADOBE_GAMMA = 563 / 256

_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def display_p3() -> bytes:
    """Returns the profile that phones give their photos: its primaries, and sRGB's curve."""
    return _profile("Display P3", P3_PRIMARIES, _srgb_curve())


def adobe_rgb() -> bytes:
    """Returns the profile that cameras give their photos."""
    return _profile("Adobe RGB (1998)", ADOBE_PRIMARIES, _gamma_curve(ADOBE_GAMMA))


def gray() -> bytes:
    """Returns the profile that Photoshop gives gray photos."""
    return _with_tags("Gray Gamma 2.2", b"GRAY", {b"kTRC": _gamma_curve(2.2)})


def srgb() -> bytes:
    """Returns the profile that says what is assumed anyway."""
    return _profile("sRGB", SRGB_PRIMARIES, _srgb_curve())


def p3_in_srgb(pixels: Pixels) -> Array:
    """Returns the levels of sRGB, 0 to 255, that pixels of Display P3 stand for."""
    return _in_srgb(pixels, P3_PRIMARIES, srgb_to_linear)


def adobe_in_srgb(pixels: Pixels) -> Array:
    """Returns the levels of sRGB, 0 to 255, that pixels of Adobe RGB stand for."""
    return _in_srgb(pixels, ADOBE_PRIMARIES, lambda levels: levels**ADOBE_GAMMA)


def gray_in_srgb(pixels: Pixels) -> Array:
    """Returns the levels of sRGB, 0 to 255, that gray pixels of Gray Gamma 2.2 stand for."""
    return _in_srgb(pixels, SRGB_PRIMARIES, lambda levels: levels**2.2)


def srgb_to_linear(levels: Array) -> Array:
    """Source: IEC 61966-2-1."""
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def _in_srgb(pixels: Pixels, primaries: object, curve: Callable[[Array], Array]) -> Array:
    light = curve(pixels / 255.0) @ (np.linalg.inv(_to_xyz(SRGB_PRIMARIES)) @ _to_xyz(primaries)).T
    light = light.clip(0, 1)
    levels = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return levels * 255


def _to_xyz(primaries: object) -> Array:
    """Returns the matrix from linear light to XYZ of the white D50, by Bradford's adaptation."""
    corners = np.array([_xyz(*corner) for corner in primaries]).T  # type: ignore[attr-defined]
    white = _xyz(*D65)
    matrix = corners * np.linalg.solve(corners, white)
    gains = (_BRADFORD @ np.array(D50)) / (_BRADFORD @ white)
    adapted: Array = np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD @ matrix
    return adapted


def _xyz(x: float, y: float) -> Array:
    return np.array([x / y, 1, (1 - x - y) / y])


def _srgb_curve() -> bytes:
    levels = np.round(srgb_to_linear(np.arange(1024) / 1023) * 65535).astype(">u2")
    return struct.pack(">4s4xI", b"curv", 1024) + levels.tobytes()


def _gamma_curve(gamma: float) -> bytes:
    return struct.pack(">4s4xIH2x", b"curv", 1, round(gamma * 256))


def _profile(name: str, primaries: object, curve: bytes) -> bytes:
    columns = zip((b"rXYZ", b"gXYZ", b"bXYZ"), _to_xyz(primaries).T, strict=True)
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _with_tags(name, b"RGB ", {tag: _xyz_tag(column) for tag, column in columns} | curves)


def _with_tags(name: str, space: bytes, own: dict[bytes, bytes]) -> bytes:
    text = name.encode() + b"\0"
    tags = {
        b"desc": struct.pack(">4s4xI", b"desc", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0public\0",
        b"wtpt": _xyz_tag(np.array(D50)),
        **own,
    }
    table, data, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for tag, content in tags.items():
        table += struct.pack(">4sII", tag, start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    size = start + len(data)
    header = struct.pack(
        ">I4sI4s4s4s12x4s28xiii48x", size, b"none", 0x02400000, b"mntr", space, b"XYZ ", b"acsp",
        *(round(value * 65536) for value in D50),
    )  # fmt: skip
    assert len(header) == 128
    return header + table + data


def _xyz_tag(values: Array) -> bytes:
    return struct.pack(">4s4xiii", b"XYZ ", *(round(value * 65536) for value in values))
