"""What pipelines.report shows of a run of pipelines.classify."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.explore.report_facts import Note
from transforms.explore.class_survey import ClassSurvey, survey_classes
from transforms.explore.image_cards import ImageCard, read_cards
from transforms.explore.plots import Plot, plot_histogram
from transforms.explore.vector_survey import draw_sample
from transforms.runs.record import PublishedRun
from transforms.schemas import CLASS_INDEX, CLASS_LABEL, SCORE

_THUMBNAIL_PIXELS = 96
_CERTAINTY_SHOWN = 14
_CLASSES_SHOWN = 20
_CLASS_SHEETS, _CLASS_IMAGES = 8, 7
_ANSWERS_SHOWN = 5
_MAX_LABEL_CHARS = 60
_DOMINANT = 0.9


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
    """

    card: ImageCard
    answers: list[Answer]


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
        notes: Sentences on what is worth knowing.
        counts: The most frequent classes.
        distinct: Number of classes that are the best of some image.
        scores: Histogram of the best scores.
        sheets: Images: the least and the most certain, and some of the most frequent classes.
    """

    notes: list[Note]
    counts: list[ClassCount]
    distinct: int
    scores: Plot
    sheets: list[AnswerSheet]


def show_classes(
    run: PublishedRun, on_rows: Callable[[int], None], on_step: Callable[[str], None]
) -> ClassSection:
    """Counts the classes of a run, and draws what the page shows of them.

    Args:
        run: A run of pipelines.classify with at least one row.
        on_rows: Callback, told how many rows more have been read.
        on_step: Callback, told what is being done.

    Raises:
        InputError: If a data file is damaged.
    """
    survey = survey_classes(run, on_rows)
    counts = survey.frequencies()
    sheets = [
        ("Least certain: the lowest best scores", survey.lowest(_CERTAINTY_SHOWN)),
        ("Most certain: the highest best scores", survey.highest(_CERTAINTY_SHOWN)),
    ]
    for index, count in counts[:_CLASS_SHEETS]:
        title = f"{_cut(survey.names[index])}: {count:,} images, some at random"
        sheets.append((title, _some_of_class(survey, index)))
    on_step("reading images")
    columns = [CLASS_INDEX, CLASS_LABEL, SCORE]
    wanted = np.concatenate([rows for _, rows in sheets]).tolist()
    cards = read_cards(run, wanted, _THUMBNAIL_PIXELS, columns)
    answered = {row: Answered(card, _answers(card.columns)) for row, card in cards.items()}
    most = counts[0][1]
    return ClassSection(
        notes=_note(survey, counts),
        counts=[
            ClassCount(_cut(survey.names[index]), count, count / most)
            for index, count in counts[:_CLASSES_SHOWN]
        ],
        distinct=len(counts),
        scores=plot_histogram("scores", survey.scores, "best score"),
        sheets=[
            AnswerSheet(title, [answered[row] for row in rows.tolist()]) for title, rows in sheets
        ],
    )


def _some_of_class(survey: ClassSurvey, index: int) -> npt.NDArray[np.int64]:
    rows = np.flatnonzero(survey.classes == index)
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
    notes = [Note(f"{len(counts):,} classes are the best of some image")]
    if most > _DOMINANT * rows and rows > 1:
        text = f"{most / rows:.0%} of the images are of the class {_cut(survey.names[index])}"
        notes.append(Note(text, is_bad=True))
    return notes


def _cut(label: str) -> str:
    return label if len(label) <= _MAX_LABEL_CHARS else f"{label[: _MAX_LABEL_CHARS - 1]}…"
