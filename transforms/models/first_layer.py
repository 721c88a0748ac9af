"""What a model's first layer sees of images, for each --input_range, and which range is right.

A model that begins with Rescaling(1 / 127.5, offset=-1), black and white as its convolution gets
them:

    --input_range    0,1               -1,1              0,255      imagenet      caffe
    black, white     -1.000, -0.992    -1.008, -0.992    -1, 1      -1.02, -0.98  -1.97, 0.19

What 0,255 becomes is what --input_range -1,1 would be without the Rescaling: it is the right one.
With 0,1 the layer sees next to nothing of an image.
"""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from transforms.errors import ModelError

SMALLEST_SPAN = 0.05
"""Distance of black and white below which a layer sees next to nothing of an image; a share of the
larger of them where that is over 1."""

_SCALED_INSIDE = ("0,1", "-1,1", "0,255")
"""Ranges that models are given which do the rest themselves."""

_TOLERANCE = 0.02
_LARGEST_SHIFT = 0.2
_UNIT_SPANS = (0.5, 2.2)
_CENTRED_SPANS = ((0.5, 10.0), (200.0, 300.0))
"""Spans of a range that zero is the middle of: standardized pixels, and levels less a mean."""
_STANDARDIZED_SPANS = (2.5, 6.7)
"""Spans that pixels have where zero is their mean and 1 their deviation, of photos as of digits:
deviations of 0.15 to 0.4 of the range."""
_UNIT_RANGES = ("0,1", "-1,1")


class AssumedRange(NamedTuple):
    """A range of pixels that nobody said of this very graph.

    Attributes:
        name: One of INPUT_RANGES.
        source: Name of the file that says it of the network: a graph that was exported with the
            scaling inside may have the same beside it. Nothing where it is the default.
    """

    name: str
    source: str = ""


class View(NamedTuple):
    """What becomes of black and white pixels.

    Attributes:
        black: Red, green and blue of black.
        white: Red, green and blue of white.
        is_straight: Whether gray lies between them as it should, or was cut off or rounded.
    """

    black: tuple[float, ...]
    white: tuple[float, ...]
    is_straight: bool = True

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value of the channel that is widest."""
        return max(
            ((min(pair), max(pair)) for pair in zip(self.black, self.white, strict=True)),
            key=lambda pair: pair[1] - pair[0],
        )

    @property
    def span(self) -> float:
        """Distance of black and white in that channel."""
        low, high = self.bounds
        return high - low

    @property
    def is_degenerate(self) -> bool:
        """Whether next to nothing is left of an image."""
        return self.span < SMALLEST_SPAN * max(1.0, *map(abs, self.bounds))

    def is_close_to(self, other: "View", tolerance: float = _TOLERANCE) -> bool:
        """Whether black and white are those of another view, up to a share of its span."""
        pairs = zip(self.black + self.white, other.black + other.white, strict=True)
        return all(abs(mine - its) <= tolerance * other.span for mine, its in pairs)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FirstLayer:
    """The first layer that images reach, and what it sees of them.

    Attributes:
        kind: Words for the layer, such as "convolution".
        given: What images are as they go into the model, by range.
        seen: What the layer sees, by range; empty if that cannot be known.
        order: Order of the channels as the layer sees them, "RGB" or "BGR", of RGB images; "" if
            it is neither.
        obstacle: Reason that it cannot be known, or nothing.
    """

    kind: str = "layer"
    given: Mapping[str, View] = dataclasses.field(default_factory=dict)
    seen: Mapping[str, View] = dataclasses.field(default_factory=dict)
    order: str = ""
    obstacle: str = ""

    @property
    def sees_all_as_given(self) -> bool:
        """Whether the model does nothing to pixels before: no range is then righter than others."""
        return all(view.is_close_to(self.given[name]) for name, view in self.seen.items())

    @property
    def wanted(self) -> str | None:
        """Range that is the right one, or None if it cannot be told."""
        # Of uint8 images there is one range, and nothing to choose.
        if len(self.seen) < 2 or self.sees_all_as_given:
            return None
        views = {
            name: view
            for name in _SCALED_INSIDE
            if (view := self.seen.get(name)) and view.is_straight and not view.is_degenerate
        }
        known = [name for name in self.seen if self._is_known(name)]
        plausible = [name for name, view in views.items() if _is_plausible(view)]
        if known or len(plausible) != 1:
            return known[0] if len(known) == 1 else None
        return None if self._has_rival(*plausible) else plausible[0]

    @property
    def most_visible(self) -> str | None:
        """Range of which the layer sees the most; None if it sees next to nothing of any.

        Of Normalization for digits on black, in [0, 255] with a mean of 33 and a deviation of 79,
        it sees -0.42 to -0.41 with 0,1, and -0.4 to 2.8 with 0,255.
        """
        seen = {name: self.seen[name] for name in _SCALED_INSIDE if name in self.seen}
        clear = [name for name, view in seen.items() if not view.is_degenerate]
        return max(clear, key=lambda name: seen[name].span, default=None)

    def range_instead_of(self, name: str) -> str | None:
        """Returns the right range, or the likeliest, where next to nothing is seen of this one.

        None where more is seen, or next to nothing of any.
        """
        if self.wanted == name or name not in self.seen or not self.seen[name].is_degenerate:
            return None
        return self.wanted or self.most_visible

    def _is_known(self, name: str) -> bool:
        """Whether a range becomes what another would be, had the model done nothing.

        One that stays as it was tells nothing: 0,255 does so where a model takes 0.5 from 0,1.
        """
        view = self.seen[name]
        return view.is_straight and any(
            view.is_close_to(given) for other, given in self.given.items() if other != name
        )

    def _has_rival(self, name: str) -> bool:
        """Whether another range could be right as well.

        Of Normalization for digits on black, in [0, 1] with a mean of 0.13 and a deviation of 0.3,
        the layer sees -0.4 to 2.9 with 0,1. With -1,1 it sees -3.8 to 2.9, as it would of photos
        that have this mean and deviation in [-1, 1]. And a model that changes -1,1 by little, and
        imagenet too, does next to nothing to pixels.
        """
        others = {other: view for other, view in self.seen.items() if other != name}
        return any(_could_be_standardized(others[it]) for it in _UNIT_RANGES if it in others) or (
            self._is_left(name) and any(map(self._is_left, others))
        )

    def _is_left(self, name: str) -> bool:
        """Whether a range stays about as it was."""
        return self.seen[name].is_straight and self.seen[name].is_close_to(
            self.given[name], tolerance=_LARGEST_SHIFT
        )


def _is_plausible(view: View) -> bool:
    """Whether networks are trained on such pixels: from zero to 1 or 2, or about zero."""
    low, high = view.bounds
    if abs(low) <= _TOLERANCE * high and _UNIT_SPANS[0] <= view.span <= _UNIT_SPANS[1]:
        return True
    is_centred = abs(low + high) / 2 <= _LARGEST_SHIFT * view.span
    return is_centred and any(least <= view.span <= most for least, most in _CENTRED_SPANS)


def _could_be_standardized(view: View) -> bool:
    low, high = view.bounds
    least, most = _STANDARDIZED_SPANS
    return low < 0 < high and least <= view.span <= most


def check_assumed_range(layer: FirstLayer, assumed: AssumedRange) -> None:
    """Refuses a range that nobody chose, where the model sees next to nothing of it.

    Where it sees next to nothing of any range, nothing is refused.

    Args:
        layer: What the model's first layer sees.
        assumed: Range that images would have.

    Raises:
        ModelError: Names the range that is right; or the likeliest, where that cannot be told.
    """
    likeliest = layer.range_instead_of(assumed.name)
    if likeliest is None:
        return
    said = f"as {assumed.source} says" if assumed.source else "the default"
    cure = "give" if layer.wanted else "look up what it was trained on, and give that, most likely"
    raise ModelError(
        f"the model scales pixels itself: of --input_range {assumed.name}, {said}, its first "
        f"{layer.kind} sees {describe_view(layer.seen[assumed.name])}, next to nothing; {cure} "
        f"--input_range {likeliest}, of which it sees {describe_view(layer.seen[likeliest])} (or "
        f"--input_range {assumed.name}, if it was trained on that)"
    )


def doubt_assumed_range(layer: FirstLayer, assumed: str) -> tuple[str, ...]:
    """Returns a sentence where a range that nobody chose may be wrong, by what the layer sees.

    Args:
        layer: What the model's first layer sees.
        assumed: Range that images have.
    """
    if not layer.seen or layer.wanted == assumed:
        return ()
    told = "the model does not tell which it wants; look up what it was trained on"
    if layer.wanted is not None:
        told = f"by what its first {layer.kind} sees the model wants {layer.wanted}"
    return (f"nobody said --input_range, and {assumed} was given; {told}, and say it",)


def describe_view(view: View) -> str:
    """Says what black and white become, such as "-1.000 to -0.992"."""
    # As many digits as tell the two apart.
    digits = next((n for n in range(7) if view.span * 10**n >= SMALLEST_SPAN * 100), 7)
    low, high = (f"{bound:.{digits}f}" for bound in view.bounds)
    if float(low).is_integer() and float(high).is_integer():
        low, high = f"{float(low) + 0:.0f}", f"{float(high) + 0:.0f}"
    return f"{low} to {high}"
