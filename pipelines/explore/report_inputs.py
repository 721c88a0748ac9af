"""What pipelines.report says of the images that went in: sizes and formats."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.explore.report_facts import Facts
from transforms.explore.input_survey import InputSurvey, Size
from transforms.explore.plots import Histogram, bin_values
from transforms.explore.thumbnails import Thumbnail

_SIZES_SHOWN = 5


class InputSection(NamedTuple):
    """What the page shows of the images that went in.

    Attributes:
        facts: Names and values.
        sides: Histogram of the shorter sides, with a line at the model's; None if all are alike.
        sizes: The most frequent sizes; empty if none is there twice, or all are alike.
    """

    facts: Facts
    sides: Histogram | None
    sizes: list[Size]


def show_inputs(
    survey: InputSurvey, record: Mapping[str, Any], drawn: Iterable[Thumbnail]
) -> InputSection:
    """Says how large the images are, and of which formats.

    Args:
        survey: Survey of the images of all rows, at least one.
        record: The _run.json of the run.
        drawn: Pictures of some of them: what their formats are where names do not say it.
    """
    sizes = survey.sizes()
    shorter = sizes.min(axis=1)
    wanted = min(record["preprocessing"]["image_size"])
    small = int((shorter < wanted).sum())
    facts = [
        ("formats", _describe_formats(survey, len(sizes), drawn)),
        *_describe_sizes(sizes),
        *([("smaller than the model wants", f"{small:,}")] if small else []),
    ]
    frequent = survey.frequent_sizes(_SIZES_SHOWN)
    label = "shorter side in pixels; the line is the model's"
    return InputSection(
        facts,
        bin_values(shorter.astype(np.float32), label, wanted) if np.ptp(shorter) else None,
        [size for size in frequent if size.images > 1] if len(frequent) > 1 else [],
    )


def _describe_sizes(sizes: npt.NDArray[np.int32]) -> Facts:
    if not np.ptp(sizes, axis=0).any():
        return [("size", "all {:,} x {:,} pixels".format(*sizes[0]))]
    order = np.argsort(sizes.prod(axis=1, dtype=np.int64), kind="stable")
    height, width = sizes.T
    shapes = {
        "landscape": int((width > height).sum()),
        "portrait": int((width < height).sum()),
        "square": int((width == height).sum()),
    }
    shares = [f"{images / len(sizes):.0%} {name}" for name, images in shapes.items() if images]
    return [
        *(
            (name, "{:,} x {:,} pixels".format(*sizes[order[place]]))
            for name, place in (("smallest", 0), ("median", len(order) // 2), ("largest", -1))
        ),
        ("shape", ", ".join(shares)),
    ]


def _describe_formats(survey: InputSurvey, images: int, drawn: Iterable[Thumbnail]) -> str:
    named = survey.formats()
    if named:
        other = images - sum(named.values())
        counts = {**named, "other names": other} if other else named
        return _list_counts(counts)
    looked_at = Counter(picture.format for picture in drawn if picture.format)
    if not looked_at:
        return "not known by their names"
    return f"{_list_counts(dict(looked_at.most_common()))} among those looked at"


def _list_counts(counts: Mapping[str, int]) -> str:
    if len(counts) == 1:
        (name,) = counts
        return f"all {name}"
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
