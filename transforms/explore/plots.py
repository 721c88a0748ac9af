"""Figures of a page, as what its template draws as SVG: shapes in a box, and words beside it.

    lengths [0.9, 1.1, 1.1, 2.0] --bin_values--> Histogram of 60 bars, its axis from 0.9 to 2.0
    places on a plane --place_points--> Scatter of circles, a colour a group

Figures are part of the page: they need no script, print well, and follow the reader's colours. Axes
are evenly divided, so that their words are HTML and stay readable on a phone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_BINS = 60
_TICKS = 5
_LEAST_SHARE = 1e-6
_MAP_WIDTH, _MAP_HEIGHT, _MAP_MARGIN = 1000, 560, 8

COLOURS = (
    "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f",
    "#bcbd22", "#17becf", "#aec7e8", "#ffbb78", "#98df8a", "#ff9896", "#c5b0d5", "#c49c94",
    "#f7b6d2", "#c7c7c7", "#dbdb8d", "#9edae5",
)  # fmt: skip
"""One a group. Source: the palettes tab10 and tab20 of Tableau, their first ten the saturated."""


class Bar(NamedTuple):
    """A bar of a histogram.

    Attributes:
        left: Its left edge, from 0 to 100.
        width: Its width, of 100.
        height: Its height, from 0 to 100, the highest bar's.
        text: What it stands for.
    """

    left: float
    width: float
    height: float
    text: str


class Histogram(NamedTuple):
    """How often values occur.

    Attributes:
        label: Name of the values.
        bars: Bars, those of no image left out.
        ticks: Words along the axis, evenly spaced.
        mark: Place of an upright line, from 0 to 100, or None.
    """

    label: str
    bars: list[Bar]
    ticks: list[str]
    mark: float | None


class Curve(NamedTuple):
    """Values as a line, on a logarithmic scale.

    Attributes:
        label: Name of the values.
        points: Points of the line as SVG has them, both coordinates from 0 to 100.
        ticks: Words along the axis, evenly spaced.
        top: Word for the upper edge.
        bottom: Word for the lower edge.
    """

    label: str
    points: str
    ticks: list[str]
    top: str
    bottom: str


class Point(NamedTuple):
    """An image on the map.

    Attributes:
        x: Place from the left.
        y: Place from the top.
        row: Number of the image's row.
        text: Name and group.
        colour: A colour of COLOURS, or empty.
    """

    x: float
    y: float
    row: int
    text: str
    colour: str


class Scatter(NamedTuple):
    """Images as points on a plane.

    Attributes:
        width: Width of the plane.
        height: Height of the plane.
        points: The images.
        legend: Colour and name of each group; empty if there are none.
    """

    width: int
    height: int
    points: list[Point]
    legend: list[tuple[str, str]]


def bin_values(values: npt.NDArray[np.float32], label: str, mark: float | None = None) -> Histogram:
    """Counts how often values occur.

    Args:
        values: float32 [count], finite, at least one.
        label: Name of what they are.
        mark: Value at which an upright line is drawn, or None.
    """
    counts, edges = np.histogram(values.astype(np.float64), bins=_BINS)
    low, high = float(edges[0]), float(edges[-1])
    width, most = 100 / _BINS, int(counts.max())
    bars = [
        Bar(
            round(place * width, 3),
            round(width, 3),
            round(100 * count / most, 2),
            f"{edges[place]:.4g} to {edges[place + 1]:.4g}: {count:,} images",
        )
        for place, count in enumerate(counts.tolist())
        if count
    ]
    ticks = [f"{value:.4g}" for value in np.linspace(low, high, _TICKS)]
    place = None if mark is None else 100 * (mark - low) / (high - low)
    is_inside = place is not None and 0 <= place <= 100
    return Histogram(label, bars, ticks, place if is_inside else None)


def draw_shares(shares: npt.NDArray[np.float64], label: str) -> Curve:
    """Draws shares of a whole, the largest first; those below a millionth are left out.

    Args:
        shares: float64 [count], from 0 to 1, descending; the first is over 0.
        label: Name of what is counted.
    """
    shares = shares[shares > _LEAST_SHARE]
    decades = max(1.0, np.ceil(-np.log10(shares[-1])))
    x = np.linspace(0, 100, len(shares)) if len(shares) > 1 else np.array([0.0])
    y = -100 * np.log10(shares) / decades
    points = " ".join(f"{left:.2f},{top:.2f}" for left, top in zip(x, y, strict=True))
    ticks = [f"{round(number):,}" for number in np.linspace(1, len(shares), _TICKS)]
    return Curve(label, points, list(dict.fromkeys(ticks)), "100%", f"{100 * 10**-decades:g}%")


def place_points(
    places: npt.NDArray[np.float32],
    rows: Sequence[int],
    texts: Sequence[str],
    group_of: Sequence[str],
    groups: Sequence[str],
) -> Scatter:
    """Puts images on a plane, as far apart as they are, whichever the direction.

    Args:
        places: float32 [count, 2].
        rows: Number of each image's row.
        texts: Name of each.
        group_of: Group of each, which has a colour.
        groups: The groups, at most as many as COLOURS; empty for one colour.
    """
    room = np.array([_MAP_WIDTH - 2 * _MAP_MARGIN, _MAP_HEIGHT - 2 * _MAP_MARGIN])
    low, high = (
        (places.min(axis=0), places.max(axis=0)) if len(places) else np.zeros((2, 2), np.float32)
    )
    span = high - low
    scale = (room / np.maximum(span, 1e-9)).min()
    centred = (places - low - span / 2) * scale + room / 2 + _MAP_MARGIN
    colours = dict(zip(groups, COLOURS, strict=False))
    points = [
        Point(
            round(x, 1),
            round(y, 1),
            row,
            f"{text}, {group}" if group else text,
            colours.get(group, ""),
        )
        for (x, y), row, text, group in zip(centred.tolist(), rows, texts, group_of, strict=True)
    ]
    return Scatter(_MAP_WIDTH, _MAP_HEIGHT, points, [(colours[name], name) for name in groups])
