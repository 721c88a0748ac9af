"""The page of evaluate: what the terminal says, the confusion, and the worst mistakes."""

from typing import Any, NamedTuple

import numpy as np

from pipelines.explore.evaluation_summary import (
    describe_calibration,
    describe_share,
    list_classes,
    note_classes,
    note_vectors,
)
from transforms.evaluation.calibration import BINS, Calibration
from transforms.evaluation.class_accuracy import ClassAccuracy
from transforms.evaluation.evaluation import Evaluation
from transforms.evaluation.truth import Truth
from transforms.evaluation.vector_accuracy import VectorAccuracy
from transforms.explore.image_cards import ImageCard, read_cards
from transforms.explore.page import render_page
from transforms.runs.record import PublishedRun
from transforms.training.confusion_picture import MAX_CLASSES, draw_confusion

MISTAKES_SHOWN = 24
CLASSES_SHOWN = 200
PAIRS_SHOWN = 50
SIDE_PIXELS = 160


class Mistake(NamedTuple):
    """An image that is wrong.

    Attributes:
        card: The image.
        text: What it is.
        taken_for: What it is taken for.
        nearest: The image that is nearest to it, of vectors; else None.
    """

    card: ImageCard
    text: str
    taken_for: str
    nearest: ImageCard | None = None


class ScoreBin(NamedTuple):
    """Answers whose scores are alike.

    Attributes:
        scores: Words for the scores of the bin.
        images: Number of the answers.
        confidence: Mean score.
        accuracy: Share of them that is right.
    """

    scores: str
    images: int
    confidence: float
    accuracy: float


def render_evaluation(found: Evaluation) -> str:
    """Returns the page: one HTML file with everything in it.

    Raises:
        InputError: If a data file is damaged.
    """
    values: dict[str, Any] = {
        "classes": None,
        "confused": [],
        "confusion": "",
        "bins": [],
        "scores": "",
    }
    if found.vectors is not None:
        mistakes = _vector_mistakes(found.run, found.truth, found.vectors)
        right = int(found.vectors.neighbours.is_voted_right(1).sum())
        notes, images = [*note_vectors(found.vectors)], len(found.vectors)
    else:
        assert found.classes is not None, "one of the two is there"
        mistakes = _class_mistakes(found.run, found.truth, found.classes)
        right, images = int(found.classes.right.sum()), len(found.classes)
        notes = [*note_classes(found.classes)]
        values |= _describe_classes(found.classes)
        if found.calibration is not None:
            values["scores"] = describe_calibration(found.calibration)
            values["bins"] = _list_bins(found.calibration)
    return render_page(
        "evaluation.html",
        title=f"{found.run.name}: accuracy {found.accuracy.value:.4f}",
        directory=found.run.directory,
        origin=found.truth.origin,
        notes=[*found.truth.notes, *notes],
        accuracy=describe_share(right, images),
        measures=[(it.name, f"{it.value:.4f}") for it in found.measures()],
        of_vectors=found.vectors is not None,
        mistakes=mistakes,
        wrong=images - right,
        **values,
    )


def _describe_classes(classes: ClassAccuracy) -> dict[str, Any]:
    heading, rows = list_classes(classes, CLASSES_SHOWN)
    names = classes.answers.names
    return {
        "classes": {"heading": heading, "rows": rows},
        "confused": [
            [f"{it.images:,}", names[it.truth], names[it.answer]]
            for it in classes.confused[:PAIRS_SHOWN]
        ],
        "confusion": draw_confusion(classes.metrics(MAX_CLASSES), "images"),
    }


def _list_bins(calibration: Calibration) -> list[ScoreBin]:
    return [
        ScoreBin(f"{place / BINS:.2f} to {(place + 1) / BINS:.2f}", images, confidence, accuracy)
        for place, (images, confidence, accuracy) in enumerate(
            zip(*(it.tolist() for it in calibration), strict=True)
        )
        if images
    ]


def _class_mistakes(run: PublishedRun, truth: Truth, classes: ClassAccuracy) -> list[Mistake]:
    worst = classes.surest_mistakes()[:MISTAKES_SHOWN]
    cards = read_cards(run, truth.rows[worst], SIDE_PIXELS)
    answers = classes.answers
    return [
        Mistake(
            cards[int(truth.rows[image])],
            f"is {answers.names[answers.truth[image]]}",
            f"taken for {answers.names[answers.classes[image, 0]]}, "
            f"score {answers.scores[image, 0]:.3f}",
        )
        for image in worst.tolist()
    ]


def _vector_mistakes(run: PublishedRun, truth: Truth, vectors: VectorAccuracy) -> list[Mistake]:
    worst = vectors.surest_mistakes()[: MISTAKES_SHOWN // 2]
    images, nearest = truth.rows[vectors.queries[worst]], truth.rows[vectors.nearest[worst]]
    cards = read_cards(run, np.concatenate([images, nearest]).tolist(), SIDE_PIXELS)
    neighbours = vectors.neighbours
    return [
        Mistake(
            cards[image],
            f"is {vectors.names[neighbours.truth[query]]}",
            f"is {vectors.names[neighbours.labels[query, 0]]}, "
            f"cosine {neighbours.cosines[query, 0]:.4f}",
            cards[near],
        )
        for query, image, near in zip(
            worst.tolist(), images.tolist(), nearest.tolist(), strict=True
        )
    ]
