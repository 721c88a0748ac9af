"""A classifier's answers and the right classes, in one list of classes.

Labels are matched with the classes' names, as they are written; if none is a name and all are
whole numbers, with the classes' numbers. Of a run whose classes 0 and 2 are "cat" and "dog":

    labels        "cat", "hen", "dog"        "0", "1", "2"
    matched by    class_label                class_index
    right class   cat, hen (none), dog       cat, 1 (none), dog

A model with one output gives the score of its class alone; the other class gets its name from the
labels (see one_output).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.errors import InputError
from transforms.evaluation.truth import Truth
from transforms.explore.class_answers import ClassAnswers
from transforms.explore.one_output import both_classes, has_one_output
from transforms.runs.record import PublishedRun
from transforms.schemas import CLASS_INDEX, CLASS_LABEL

_SHOWN = 3


class NamedAnswers(NamedTuple):
    """What a run says of images, and what they are.

    Attributes:
        names: Classes: those that the run names, then those that labels alone do.
        classes: int32 [images, k], places in `names`, best first.
        scores: float32 [images, k].
        truth: int32 [images], places in `names`.
        matched_by: "class_label" or "class_index", what says that a label is a class.
        unknown: Labels that are no class of any answer; their images count as wrong.
        ambiguous: Names that several classes have; each of those is right.
    """

    names: tuple[str, ...]
    classes: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    truth: npt.NDArray[np.int32]
    matched_by: str
    unknown: tuple[str, ...]
    ambiguous: tuple[str, ...]


def read_named_answers(run: PublishedRun, truth: Truth) -> NamedAnswers:
    """Reads the answers for the images that have a label.

    Args:
        run: A run of pipelines.classify.
        truth: What the images are; its rows are those of this run, in any order.

    Raises:
        InputError: If a file is damaged, or no label is one of the run's classes.
    """
    answers = ClassAnswers.read(run)
    if has_one_output(run, answers.classes.shape[1]):
        answers = with_the_other_class(answers, truth, run.directory)
    return name_answers(answers, truth, run.directory)


def name_answers(answers: ClassAnswers, truth: Truth, directory: str) -> NamedAnswers:
    """Puts answers and labels into one list of classes.

    Args:
        answers: Answers for all rows of a run.
        truth: What some of the rows are.
        directory: Name of the run for messages.

    Raises:
        InputError: If no label is one of the classes.
    """
    texts = {label for label in answers.labels.values() if label is not None}
    by_label = any(name in texts for name in truth.names)
    if not by_label and not all(map(str.isdecimal, truth.names)):
        raise InputError(_no_match(answers, truth, directory))
    places: dict[str, int] = {}
    names: list[str] = []
    table = np.zeros(max(answers.labels) + 1, np.int32)
    ambiguous: list[str] = []
    for index, label in sorted(answers.labels.items()):
        key = label if by_label and label is not None else str(index)
        if key in places:
            ambiguous.append(key)
        elif by_label or label is None:
            names.append(key)
        else:
            names.append(label)
        table[index] = places.setdefault(key, len(names) - 1)
    unknown = []
    codes = np.zeros(len(truth.names), np.int32)
    has_images = np.bincount(truth.labels, minlength=len(truth.names)) > 0
    for code, name in enumerate(truth.names):
        key = name if by_label else str(int(name))
        if key not in places:
            places[key] = len(names)
            names.append(name)
            if has_images[code]:
                unknown.append(name)
        codes[code] = places[key]
    return NamedAnswers(
        names=tuple(names),
        classes=table[answers.classes[truth.rows]],
        scores=answers.scores[truth.rows],
        truth=codes[truth.labels],
        matched_by=CLASS_LABEL if by_label else CLASS_INDEX,
        unknown=tuple(unknown),
        ambiguous=tuple(dict.fromkeys(ambiguous)),
    )


def with_the_other_class(answers: ClassAnswers, truth: Truth, directory: str) -> ClassAnswers:
    """Adds the class that a model with one output leaves out, by the name that labels give it.

    Args:
        answers: Answers of one class an image, the same for all.
        truth: What some of the rows are.
        directory: Name of the run for messages.

    Raises:
        InputError: If scores are no probabilities, or the labels are not of two classes.
    """
    ((number, label),) = answers.labels.items()
    texts = {str(number)} if label is None else {label, str(number)}
    others = [name for name in truth.names if name not in texts]
    if len(others) == len(truth.names):
        raise InputError(_no_match(answers, truth, directory))
    if len(others) > 1:
        raise InputError(
            f"the model of {directory} tells one class, {label or number}, from all others; "
            f"the labels have {len(others)} others: {', '.join(others[:_SHOWN])}; wanted one name "
            "for all of them"
        )
    name = others[0] if others else None
    if set(truth.names) - {label, *others}:  # The labels are numbers.
        label, name = str(number), name or str(1 - number)  # See positive_class.
    return both_classes(answers._replace(labels={number: label}), directory, name)


def _no_match(answers: ClassAnswers, truth: Truth, directory: str) -> str:
    texts = [label for label in answers.labels.values() if label is not None]
    folded = {text.casefold().strip(): text for text in texts}
    known = texts or list(map(str, sorted(answers.labels)))
    message = (
        f"no label of {truth.origin} is a class of {directory}: got {_some(truth.names)}; wanted "
        f"classes such as {_some(known)}, or their numbers"
    )
    for name in truth.names:
        if like := folded.get(name.casefold().strip()):
            return f"{message}; {name!r} is written {like!r} there"
    return f"{message}; --labels_csv and --label_from say where labels are"


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_SHOWN]))
