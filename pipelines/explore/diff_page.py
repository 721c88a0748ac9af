"""The page of diff: what the terminal says, and tables, distributions and pictures besides."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.explore.diff_notes import note_diff
from pipelines.explore.diff_summary import count_rows, describe_overlap, describe_verdict, groups_of
from transforms.explore.changed_images import ChangedImage, draw_changed_images
from transforms.explore.label_changes import LabelChanges, count_score_changes
from transforms.explore.page import render_page
from transforms.explore.run_diff import RunDiff
from transforms.explore.vector_changes import VectorChanges, count_cosines
from transforms.runs.rows import take_rows
from transforms.schemas import IMAGE_ID

IMAGES_SHOWN = 24
"""Pictures a sheet."""
FLIPS_SHOWN = 30
IDS_SHOWN = 20

_SIDE_PIXELS = 256
_QUANTILES = {"least": 0.0, "1%": 0.01, "5%": 0.05, "median": 0.5}

_Pairs = npt.NDArray[np.int64]
_Row = list[str]


class _Table(NamedTuple):
    """A table of the page; all columns but the first hold numbers."""

    headings: _Row
    rows: list[_Row]


class _Sheet(NamedTuple):
    """Pictures under a heading: each with what is said of it, and its number of copies."""

    section: str
    heading: str
    about: str
    images: list[tuple[ChangedImage, str, int]]


def render_diff(found: RunDiff, complaint: str | None = None) -> str:
    """Returns the page: one HTML file with everything in it.

    Args:
        found: The comparison.
        complaint: What is wrong with the verdict, if someone has set a limit on it.

    Raises:
        InputError: If a data file is damaged.
    """
    values: dict[str, Any] = {"bands": [], "measures": None, "overlap": "", "flips": None}
    sheets: list[_Sheet] = []
    if found.vectors is not None:
        values |= _describe_vectors(found, found.vectors)
        sheets = list(_vector_sheets(found, found.vectors))
    elif found.labels is not None:
        values |= _describe_labels(found, found.labels)
        sheets = list(_label_sheets(found, found.labels))
    runs = (("before", found.before), ("after", found.after))
    return render_page(
        "diff.html",
        title=f"{found.before.name} and {found.after.name}",
        verdict=describe_verdict(found),
        notes=[*note_diff(found, complaint)],
        runs=[(name, run.directory, run.record["counts"]) for name, run in runs],
        counts=count_rows(found),
        making=found.making,
        ids=dict(_list_ids(found)),
        sheets=[sheet for sheet in sheets if sheet.images],
        **values,
    )


def _describe_vectors(found: RunDiff, changes: VectorChanges) -> dict[str, Any]:
    values: dict[str, Any] = {"overlap": describe_overlap(changes)}
    if not changes.has_cosines:
        return values
    bands, measures = [], []
    for name, pairs in groups_of(found):
        cosines = changes.cosines[pairs]
        counted = count_cosines(cosines, changes.is_identical[pairs])
        bands.append((f"Cosines of {len(pairs):,} images of {name} content", counted, len(pairs)))
        levels = np.quantile(cosines, list(_QUANTILES.values()), method="lower")
        mean = cosines.mean(dtype=np.float64)
        measures.append([name, f"{len(pairs):,}", *(f"{v:.6f}" for v in (*levels, mean))])
    headings = ["content", "images", *_QUANTILES, "mean"]
    return values | {"bands": bands, "measures": _Table(headings, measures)}


def _describe_labels(found: RunDiff, changes: LabelChanges) -> dict[str, Any]:
    measures, bands = [], []
    for name, pairs in groups_of(found):
        is_flip = changes.is_flip[pairs]
        moves = (changes.score_after - changes.score_before)[pairs][~is_flip]
        measures.append(
            [
                name,
                f"{len(pairs):,}",
                f"{is_flip.sum():,}",
                f"{1 - is_flip.mean():.4f}",
                f"{changes.overlaps[pairs].mean(dtype=np.float64):.4f}",
            ]
        )
        if len(moves):
            title = f"Changes of the best score of {len(moves):,} images of {name} content"
            bands.append(
                (f"{title}, the class being the same", count_score_changes(moves), len(moves))
            )
    headings = ["content", "images", "flips", "same best class", f"overlap of the {changes.k} best"]
    flips = changes.flips()
    examples = _ids(found, np.array([flip.pairs[0] for flip in flips[:FLIPS_SHOWN]], np.int64))
    table = [
        [
            flip.before,
            flip.after,
            f"{len(flip.pairs):,}",
            f"{found.join.is_unchanged[flip.pairs].sum():,}",
            example,
        ]
        for flip, example in zip(flips, examples, strict=False)
    ]
    return {
        "measures": _Table(headings, measures),
        "bands": bands,
        "flips": {"rows": table, "kinds": len(flips), "images": int(changes.is_flip.sum())},
    }


def _vector_sheets(found: RunDiff, changes: VectorChanges) -> Iterator[_Sheet]:
    """Chooses what changed most: by cosine where that means something, else by neighbours."""
    if found.has_same_model and changes.has_cosines:
        for name, pairs in groups_of(found):
            differing = pairs[~changes.is_identical[pairs]]
            worst = differing[np.argsort(changes.cosines[differing], kind="stable")[:IMAGES_SHOWN]]
            texts = [f"cosine {changes.cosines[pair]:.4f}" for pair in worst]
            heading = f"Most changed vectors, {name} content"
            about = "By cosine, the lowest first."
            yield _draw(found, f"most-{name}", heading, about, worst, texts)
    elif changes.overlap is not None:
        overlap = changes.overlap
        order = np.argsort(overlap.shares, kind="stable")[:IMAGES_SHOWN]
        kept = np.rint(overlap.shares[order] * overlap.k).astype(int)
        texts = [f"{count} of {overlap.k} neighbours" for count in kept]
        about = f"By neighbours kept, the fewest first, of {len(overlap.queries):,} images asked."
        heading = "Most changed neighbours"
        yield _draw(found, "most", heading, about, overlap.queries[order], texts)


def _label_sheets(found: RunDiff, changes: LabelChanges) -> Iterator[_Sheet]:
    flips = changes.surest_flips()
    for name, pairs in groups_of(found):
        surest = flips[np.isin(flips, pairs)][:IMAGES_SHOWN]
        texts = [
            f"{changes.names[changes.best_before[pair]]} {changes.score_before[pair]:.3f} → "
            f"{changes.names[changes.best_after[pair]]} {changes.score_after[pair]:.3f}"
            for pair in surest
        ]
        heading = f"Surest flips, {name} content"
        about = "The surest first, by the lower of the two scores."
        yield _draw(found, f"flips-{name}", heading, about, surest, texts)


def _draw(
    found: RunDiff, section: str, heading: str, about: str, pairs: _Pairs, texts: list[str]
) -> _Sheet:
    """Draws images; of copies, which have changed alike, one."""
    images = draw_changed_images(found.before, found.after, found.join, pairs, _SIDE_PIXELS)
    texts_of = zip(images, texts, strict=True)
    shown: dict[tuple[str, str, str], list[tuple[ChangedImage, str]]] = {}
    for image, text in texts_of:
        shown.setdefault((*image.contents, text), []).append((image, text))
    return _Sheet(section, heading, about, [(*same[0], len(same)) for same in shown.values()])


def _ids(found: RunDiff, pairs: _Pairs) -> list[str]:
    rows = found.join.after[pairs]
    distinct, places = np.unique(rows, return_inverse=True)
    ids = take_rows(found.after, distinct, [IMAGE_ID])[IMAGE_ID].to_pylist()
    return [ids[place] for place in places]


def _list_ids(found: RunDiff) -> Iterator[tuple[str, list[str]]]:
    """Names the first few images of each kind."""
    join = found.join
    for name, run, rows in (
        ("removed", found.before, join.removed),
        ("added", found.after, join.added),
        ("failing", found.before, join.failing),
        ("recovered", found.after, join.recovered),
    ):
        if len(rows):
            yield name, take_rows(run, rows[:IDS_SHOWN], [IMAGE_ID])[IMAGE_ID].to_pylist()
    if moved := np.flatnonzero(join.is_moved)[:IDS_SHOWN].tolist():
        was = take_rows(found.before, join.before[moved], [IMAGE_ID])[IMAGE_ID].to_pylist()
        now = take_rows(found.after, join.after[moved], [IMAGE_ID])[IMAGE_ID].to_pylist()
        yield "moved", [f"{old} → {new}" for old, new in zip(was, now, strict=True)]
