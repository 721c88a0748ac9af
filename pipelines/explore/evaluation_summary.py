"""What evaluate says on the terminal of one run."""

from collections.abc import Iterator

import numpy as np

from pipelines.cli.wording import align
from transforms.evaluation.calibration import Calibration
from transforms.evaluation.class_accuracy import ClassAccuracy
from transforms.evaluation.evaluation import RECALLS, VOTES, Evaluation
from transforms.evaluation.interval import wilson_interval
from transforms.evaluation.vector_accuracy import VectorAccuracy

CLASSES_SHOWN = 15
CONFUSED_SHOWN = 8

_NAMES_SHOWN = 5
_MAX_NAME_CHARS = 32


def summarize(found: Evaluation) -> str:
    """Says how good a run is in a few lines: names, and what there is to say of each."""
    if found.vectors is not None:
        return align([*_notes_of_truth(found), *_vector_rows(found.vectors)])
    return align([*_notes_of_truth(found), *_class_rows(found)])


def describe_share(right: int, images: int) -> str:
    """Says a share and how sure it is: "0.9250 (95 %: 0.894 to 0.948), 359 of 388"."""
    low, high = wilson_interval(right, images)
    return f"{right / images:.4f} (95 %: {low:.3f} to {high:.3f}), {right:,} of {images:,}"


def note_classes(classes: ClassAccuracy) -> Iterator[str]:
    """Says how labels and classes were matched, where that is not by name for each."""
    answers = classes.answers
    if answers.matched_by == "class_index":
        yield "labels are the classes' numbers"
    if answers.unknown:
        images = int(classes.labelled[np.isin(answers.names, answers.unknown)].sum())
        yield (
            f"labels that are no class of any answer: {len(answers.unknown):,}, their images count "
            f"as wrong: {images:,}: {_some(answers.unknown)}"
        )
    if answers.ambiguous:
        yield f"several classes have one name, each of them is right: {_some(answers.ambiguous)}"


def note_vectors(vectors: VectorAccuracy) -> Iterator[str]:
    """Says which images were asked, where that is not all."""
    if vectors.alone:
        yield f"images alone in their class, not asked: {vectors.alone:,}"
    if len(vectors) < vectors.images - vectors.alone:
        yield f"images asked, drawn at random with a fixed seed: {len(vectors):,}"


def describe_calibration(calibration: Calibration) -> str:
    """Says how far scores are from how often they are right."""
    excess = calibration.excess
    side = "high" if excess >= 0 else "low"
    return (
        f"error (ECE) {calibration.error:.4f}; scores are {abs(excess):.4f} too {side} on average"
    )


def list_classes(classes: ClassAccuracy, most: int) -> tuple[str, list[list[str]]]:
    """Returns a heading and, of each class, its name, images, precision, recall, F1 and worst.

    Args:
        classes: Answers and labels.
        most: Classes, at most; of more, those of the lowest F1 are chosen.
    """
    shown = classes.shown
    heading = f"{len(shown):,} classes"
    if len(shown) > most:
        shown = np.sort(shown[np.argsort(classes.f1[shown], kind="stable")[:most]])
        heading = f"the {most} of {len(classes.shown):,} classes with the lowest F1"
    taken_for: dict[int, str] = {}
    for it in classes.confused:
        taken_for.setdefault(it.truth, f"{classes.answers.names[it.answer]} ({it.images:,})")
    return heading, [
        [
            classes.answers.names[place],
            f"{classes.labelled[place]:,}",
            f"{classes.precision[place]:.4f}",
            f"{classes.recall[place]:.4f}",
            f"{classes.f1[place]:.4f}",
            taken_for.get(place, ""),
        ]
        for place in shown.tolist()
    ]


def _notes_of_truth(found: Evaluation) -> list[tuple[str, str]]:
    return [("", note) for note in found.truth.notes]


def _class_rows(found: Evaluation) -> Iterator[tuple[str, str]]:
    classes, calibration = found.classes, found.calibration
    assert classes is not None, "it is of classes"
    for note in note_classes(classes):
        yield "", note
    yield "accuracy", f"{describe_share(int(classes.right.sum()), len(classes))} right"
    if (top := found.top) > 1:
        count = int(classes.is_right(top).sum())
        yield f"top {top}", f"{describe_share(count, len(classes))} among the best {top}"
    balanced, macro = classes.balanced_accuracy, classes.macro_f1
    yield "balanced", f"accuracy {balanced:.4f}, F1 {macro:.4f}: each class counting alike"
    if calibration is not None:
        yield "scores", describe_calibration(calibration)
    heading, rows = list_classes(classes, CLASSES_SHOWN)
    yield "classes", heading
    width = min(_MAX_NAME_CHARS, max(len(row[0]) for row in rows))
    headings = ["", "images", "precision", "recall", "F1", "most often taken for"]
    for name, *numbers, taken_for in [headings, *rows]:
        short = name if len(name) <= width else f"{name[: width - 1]}…"
        columns = "  ".join(f"{number:>9}" for number in numbers)
        yield "", f"  {short:<{width}} {columns}  {taken_for}"
    confused = classes.confused
    names = classes.answers.names
    for place, it in enumerate(confused[:CONFUSED_SHOWN]):
        text = f"{it.images:,} {names[it.truth]} -> {names[it.answer]}"
        yield "" if place else "mistaken", text
    if rest := sum(it.images for it in confused[CONFUSED_SHOWN:]):
        yield "", f"{rest:,} between other classes"


def _vector_rows(vectors: VectorAccuracy) -> Iterator[tuple[str, str]]:
    for note in note_vectors(vectors):
        yield "", note
    neighbours = vectors.neighbours
    for k in VOTES:
        if k <= vectors.k:
            count = int(neighbours.is_voted_right(k).sum())
            of = "the nearest image is of the class" if k == 1 else f"most of the {k} nearest are"
            name = "accuracy" if k == 1 else f"vote of {k}"
            yield name, f"{describe_share(count, len(vectors))}: {of}"
    for k in RECALLS:
        if k <= vectors.k:
            count = int(neighbours.is_recalled(k).sum())
            text = f"one of the {k} nearest is of the class"
            yield f"recall@{k}", f"{describe_share(count, len(vectors))}: {text}"
    silhouette = f"silhouette {vectors.mean_silhouette:.4f}, from -1 to 1, by cosine"
    yield "classes", f"{silhouette}, of {vectors.images:,} images"


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN:,} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more
