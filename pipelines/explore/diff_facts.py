"""What diff says, as facts with names that stay."""

from typing import Any

import numpy as np

from pipelines.explore.diff_summary import count_rows, groups_of
from transforms.explore.label_changes import LabelChanges
from transforms.explore.run_diff import RunDiff
from transforms.explore.vector_changes import VectorChanges


def diff_facts(found: RunDiff) -> dict[str, Any]:
    """Returns the facts of a comparison."""
    verdict = found.verdict
    return {
        "before": found.before.directory,
        "after": found.after.directory,
        "images": count_rows(found),
        "differs": found.making,
        "vectors": None if found.vectors is None else _vector_facts(found, found.vectors),
        "classes": None if found.labels is None else _class_facts(found, found.labels),
        "verdict": {"value": verdict.value, "meaning": verdict.meaning},
    }


def _vector_facts(found: RunDiff, changes: VectorChanges) -> dict[str, Any]:
    facts: dict[str, Any] = {"has_same_model": found.has_same_model, "dims": list(changes.dims)}
    for name, pairs in groups_of(found) if changes.has_cosines else ():
        least, low, median = np.quantile(changes.cosines[pairs], [0, 0.01, 0.5], method="lower")
        facts[name] = {
            "images": len(pairs),
            "identical": int(changes.is_identical[pairs].sum()),
            "cosine": {"least": least, "percentile_1": low, "median": median},
        }
    overlap = changes.overlap
    facts["overlap"] = None
    if overlap is not None:
        facts["overlap"] = {"k": overlap.k, "mean": overlap.mean, "images": len(overlap.queries)}
    return facts


def _class_facts(found: RunDiff, changes: LabelChanges) -> dict[str, Any]:
    facts: dict[str, Any] = {"matched_by": changes.matched_by}
    for name, pairs in groups_of(found):
        flipped = int(changes.is_flip[pairs].sum())
        overlap = float(changes.overlaps[pairs].mean(dtype=np.float64))
        facts[name] = {"images": len(pairs), "flipped": flipped, "overlap": overlap}
    facts["flips"] = [
        {"before": flip.before, "after": flip.after, "images": len(flip.pairs)}
        for flip in changes.flips()
    ]
    return facts
