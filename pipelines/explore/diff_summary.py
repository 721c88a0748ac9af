"""What diff says on the terminal."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pipelines.cli.wording import align
from transforms.explore.label_changes import LabelChanges
from transforms.explore.run_diff import RunDiff
from transforms.explore.vector_changes import VectorChanges

FLIPS_SHOWN = 8
DIFFERENCES_SHOWN = 8
GROUPS = ("unchanged", "changed")
"""The images that two runs share, by their content."""


def summarize(found: RunDiff) -> str:
    """Says the comparison in a few lines: names, and what there is to say of each."""
    return align(_rows(found))


def count_rows(found: RunDiff) -> dict[str, int]:
    """Counts the images by what became of them; every image of both runs is counted once."""
    join = found.join
    return {
        "unchanged": int((join.is_unchanged & ~join.is_moved).sum()),
        "changed": int((~join.is_unchanged).sum()),
        "moved": int(join.is_moved.sum()),
        "added": len(join.added),
        "removed": len(join.removed),
        "failing": len(join.failing),
        "recovered": len(join.recovered),
    }


def groups_of(found: RunDiff) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """Returns the pairs of unchanged content, moved ones among them, and of changed; if any."""
    for name, members in zip(
        GROUPS, (found.join.is_unchanged, ~found.join.is_unchanged), strict=True
    ):
        if members.any():
            yield name, np.flatnonzero(members)


def describe_overlap(changes: VectorChanges) -> str:
    """Says how many neighbours are the same."""
    overlap = changes.overlap
    if overlap is None:
        return "none: fewer than two images of unchanged content"
    return (
        f"{overlap.mean:.4f} of the {overlap.k} nearest neighbours are the same, "
        f"asked of {len(overlap.queries):,} images"
    )


def describe_verdict(found: RunDiff) -> str:
    """Returns the verdict on a line: its value, rounded down, and what that means."""
    verdict = found.verdict
    if verdict.value is None:
        return verdict.meaning
    return f"{round_down(verdict.value)}: {verdict.meaning}"


def round_down(value: float) -> str:
    """Rounds down: what is below a threshold does not look as if it reached it."""
    return f"{math.floor(value * 1e6) / 1e6:.6f}"


def _rows(found: RunDiff) -> Iterator[tuple[str, str]]:
    for name, run in (("before", found.before), ("after", found.after)):
        counts = run.record["counts"]
        failed = f", {counts['failed']:,} failed" if counts["failed"] else ""
        yield name, f"{run.directory}, {counts['written']:,} images{failed}"
    for name, count in count_rows(found).items():
        if count or name not in ("failing", "recovered"):
            yield name, f"{count:,}"
    software = {f"software.{name}": what for name, what in found.making["software"].items()}
    differing = found.making["recipe"] | software
    for place, (name, what) in enumerate(differing.items()):
        if place == DIFFERENCES_SHOWN:
            yield "", f"and {len(differing) - place:,} more; the page has all"
            break
        yield "" if place else "differs", f"{name} {what}"
    if found.vectors is not None:
        yield from _vector_rows(found, found.vectors)
    if found.labels is not None:
        yield from _label_rows(found, found.labels)
    yield "verdict", describe_verdict(found)


def _vector_rows(found: RunDiff, changes: VectorChanges) -> Iterator[tuple[str, str]]:
    if not changes.has_cosines:
        yield "cosine", "none: vectors of {:,} numbers before, {:,} after".format(*changes.dims)
    for place, (name, pairs) in enumerate(groups_of(found) if changes.has_cosines else ()):
        yield "" if place else "cosine", f"{name}: {_describe_cosines(changes, pairs)}"
    if changes.has_cosines and not found.has_same_model:
        yield "", "the models differ: cosines between their vectors may mean nothing"
    yield "overlap", describe_overlap(changes)


def _describe_cosines(changes: VectorChanges, pairs: npt.NDArray[np.int64]) -> str:
    identical = int(changes.is_identical[pairs].sum())
    if identical == len(pairs):
        return f"{identical:,} vectors, all identical"
    least, low, median = np.quantile(changes.cosines[pairs], [0, 0.01, 0.5], method="lower")
    return (
        f"least {round_down(least)}, 1% at most {round_down(low)}, median {round_down(median)}; "
        f"{identical:,} of {len(pairs):,} vectors identical"
    )


def _label_rows(found: RunDiff, changes: LabelChanges) -> Iterator[tuple[str, str]]:
    if changes.matched_by == "class_label":
        yield "labels", "the lists differ: classes are the same if their texts are"
    for place, (name, pairs) in enumerate(groups_of(found)):
        flipped = int(changes.is_flip[pairs].sum())
        overlap = float(changes.overlaps[pairs].mean(dtype=np.float64))
        best = f", {overlap:.4f} of the {changes.k} best" if changes.k > 1 else ""
        yield (
            "" if place else "agreement",
            f"{name}: {1 - flipped / len(pairs):.4f} of the best classes{best}; "
            f"{flipped:,} of {len(pairs):,} flipped",
        )
    flips = changes.flips()
    for place, flip in enumerate(flips[:FLIPS_SHOWN]):
        yield "" if place else "flips", f"{len(flip.pairs):,} {flip.before} -> {flip.after}"
    if len(flips) > FLIPS_SHOWN:
        rest = sum(len(flip.pairs) for flip in flips[FLIPS_SHOWN:])
        yield "", f"{rest:,} between other classes"
    same = ~changes.is_flip
    if same.any():
        moves = np.abs(changes.score_after - changes.score_before)[same]
        middle, high, most = np.quantile(moves, [0.5, 0.99, 1])
        yield (
            "scores",
            f"of the best class, where it is the same: changed by {middle:.4f} (median), "
            f"{high:.4f} (99%), {most:.4f} (most)",
        )
