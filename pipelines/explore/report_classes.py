"""What pipelines.report shows of a run of pipelines.classify."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.explore.note import Note
from transforms.explore.class_survey import ClassSurvey, survey_classes
from transforms.explore.copies import Copies
from transforms.explore.image_cards import ImageCard, read_cards
from transforms.explore.input_survey import InputSurvey
from transforms.explore.plots import Histogram, bin_values
from transforms.explore.vector_survey import draw_sample
from transforms.runs.record import PublishedRun
from transforms.schemas import CLASS_INDEX, CLASS_LABEL, SCORE

_CERTAINTY_SHOWN, _LOOKED_AT = 12, 1_000
_CLASSES_SHOWN = 20
_CLASS_SHEETS, _CLASS_IMAGES = 8, 8
_ANSWERS_SHOWN = 5
_MAX_LABEL_CHARS = 60
_DOMINANT = 0.9

CLASSES = "classes"
"""Section of the page."""


class Answer(NamedTuple):
    """A class that an image may be of.

    Attributes:
        label: Name of the class, cut where it is long; its number where it has no name.
        score: Score as the run says, a share or a logit.
        share: Length of the score's bar, from 0 to 1; 0 where scores are no shares.
    """

    label: str
    score: float
    share: float


class Answered(NamedTuple):
    """An image and its best classes.

    Attributes:
        card: The image.
        answers: The best first.
        copies: Number of images of its bytes.
    """

    card: ImageCard
    answers: list[Answer]
    copies: int


class AnswerSheet(NamedTuple):
    """Images with their classes.

    Attributes:
        title: Heading above the images.
        images: Images in the order in which the page shows them.
    """

    title: str
    images: list[Answered]


class ClassCount(NamedTuple):
    """How often a class is the best.

    Attributes:
        label: Name of the class, cut where it is long.
        images: Number of images whose best class it is.
        share: Share of the most frequent class's images, in (0, 1].
    """

    label: str
    images: int
    share: float


class ClassSection(NamedTuple):
    """What the page shows of classes.

    Attributes:
        notes: What is worth knowing.
        counts: The most frequent classes.
        distinct: Number of classes that are the best of some image.
        scores: Histogram of the best scores.
        sheets: Images: the least and the most certain, and some of the most frequent classes.
        cards: All images that have a card, by row.
    """

    notes: list[Note]
    counts: list[ClassCount]
    distinct: int
    scores: Histogram
    sheets: list[AnswerSheet]
    cards: dict[int, ImageCard]


def show_classes(
    run: PublishedRun,
    inputs: InputSurvey,
    side_pixels: int,
    on_rows: Callable[[int], None],
    on_step: Callable[[str], None],
) -> ClassSection:
    """Counts the classes of a run, and draws what the page shows of them.

    Args:
        run: A run of pipelines.classify with at least one row.
        inputs: Survey of its images, which is told of every row.
        side_pixels: Longest side of a picture.
        on_rows: Callback, told how many rows more have been read.
        on_step: Callback, told what is being done.

    Raises:
        InputError: If a data file is damaged.
    """
    survey = survey_classes(run, inputs, on_rows)
    counts, copies = survey.frequencies(), Copies.of(survey.contents)
    lowest, highest = survey.lowest(_LOOKED_AT), survey.highest(_LOOKED_AT)
    sheets = [
        ("Least certain: the lowest best scores", copies.pick(lowest, _CERTAINTY_SHOWN)),
        ("Most certain: the highest best scores", copies.pick(highest, _CERTAINTY_SHOWN)),
    ]
    for index, count in counts[:_CLASS_SHEETS]:
        title = f"{_cut(survey.names[index])}: {count:,} images, some at random"
        sheets.append((title, _some_of_class(survey, index, copies)))
    on_step("reading images")
    columns = [CLASS_INDEX, CLASS_LABEL, SCORE]
    wanted = np.concatenate([rows for _, rows in sheets]).tolist()
    cards = read_cards(run, wanted, side_pixels, columns)
    answered = {
        row: Answered(card, _answers(card.columns), int(copies.counts[row]))
        for row, card in cards.items()
    }
    most = counts[0][1]
    return ClassSection(
        notes=_note(survey, counts),
        counts=[
            ClassCount(_cut(survey.names[index]), count, count / most)
            for index, count in counts[:_CLASSES_SHOWN]
        ],
        distinct=len(counts),
        scores=bin_values(survey.scores, "score of the best class"),
        sheets=[
            AnswerSheet(title, [answered[row] for row in rows.tolist()]) for title, rows in sheets
        ],
        cards=cards,
    )


def _some_of_class(survey: ClassSurvey, index: int, copies: Copies) -> npt.NDArray[np.int64]:
    rows = np.unique(copies.first[survey.classes == index])
    return rows[draw_sample(len(rows), _CLASS_IMAGES)]


def _answers(columns: Mapping[str, Any]) -> list[Answer]:
    scores = columns[SCORE][:_ANSWERS_SHOWN]
    are_shares = all(0 <= score <= 1 for score in scores)  # Logits are not.
    named = zip(columns[CLASS_INDEX], columns[CLASS_LABEL], scores, strict=False)
    return [
        Answer(_cut(label or str(index)), score, score if are_shares else 0)
        for index, label, score in named
    ]


def _note(survey: ClassSurvey, counts: list[tuple[int, int]]) -> list[Note]:
    index, most = counts[0]
    rows = len(survey.classes)
    notes = [Note(f"{len(counts):,} classes are the best of some image", CLASSES)]
    if survey.has_choice and most > _DOMINANT * rows and rows > 1:
        text = f"{most / rows:.0%} of the images are of the class {_cut(survey.names[index])}"
        notes.append(Note(text, CLASSES, is_bad=True))
    return notes


def _cut(label: str) -> str:
    return label if len(label) <= _MAX_LABEL_CHARS else f"{label[: _MAX_LABEL_CHARS - 1]}…"
