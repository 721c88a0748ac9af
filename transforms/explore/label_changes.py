"""What became of the classes from one run to the next: flips, agreement, scores."""

import collections
import dataclasses
import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.explore.class_answers import ClassAnswers, Classes, Scores
from transforms.explore.one_output import both_classes, has_one_output
from transforms.explore.run_join import RunJoin
from transforms.runs.record import PublishedRun
from transforms.schemas import CLASS_INDEX, CLASS_LABEL
from transforms.vectors.neighbour_overlap import overlap_at_k

Numbers = npt.NDArray[np.int64]


SCORE_BANDS = (-0.1, -0.01, -0.001, 0.001, 0.01, 0.1)
"""Where the changes of a score are told apart."""


class Flip(NamedTuple):
    """Images whose best class was one and is another.

    Attributes:
        before: The class that it was.
        after: The class that it is.
        pairs: int64 [images], the surest first: by the lower of the two scores.
    """

    before: str
    after: str
    pairs: Numbers


@dataclasses.dataclass(frozen=True, eq=False)
class LabelChanges:
    """What became of the classes of the images that two runs share.

    Attributes:
        names: Name of each class.
        matched_by: "class_index" or "class_label", what says that two classes are the same.
        best_before: int32 [pairs], the best class in the earlier run.
        best_after: int32 [pairs], the best class in the later run.
        score_before: float32 [pairs], its score there.
        score_after: float32 [pairs], its score there.
        k: Classes an image whose sets are compared.
        overlaps: float32 [pairs], the share of the k best classes that both have, from 0 to 1.
    """

    names: tuple[str, ...]
    matched_by: str
    best_before: Classes
    best_after: Classes
    score_before: Scores
    score_after: Scores
    k: int
    overlaps: Scores

    @property
    def is_flip(self) -> npt.NDArray[np.bool_]:
        """Whether the best class is another, bool [pairs]."""
        return self.best_before != self.best_after

    def surest_flips(self) -> Numbers:
        """Returns the pairs whose best class is another, the surest first.

        Sure is what both runs are: by the lower of the two scores.
        """
        flips = np.flatnonzero(self.is_flip)
        sureness = np.minimum(self.score_before[flips], self.score_after[flips])
        return flips[np.argsort(-sureness, kind="stable")]

    def flips(self) -> list[Flip]:
        """Groups the flips by the two classes, the most frequent first."""
        groups: dict[tuple[int, int], list[int]] = collections.defaultdict(list)
        for pair in self.surest_flips().tolist():
            groups[int(self.best_before[pair]), int(self.best_after[pair])].append(pair)
        ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
        return [
            Flip(self.names[was], self.names[now], np.array(pairs, np.int64))
            for (was, now), pairs in ordered
        ]


def count_score_changes(changes: Scores) -> dict[str, int]:
    """Counts changes of a score by how large they are, the lowest first."""
    first, last = f"below {SCORE_BANDS[0]:g}", f"{SCORE_BANDS[-1]:+g} or more"
    between = [f"{low:+g} to {high:+g}" for low, high in itertools.pairwise(SCORE_BANDS)]
    counts = np.bincount(np.digitize(changes, SCORE_BANDS), minlength=len(SCORE_BANDS) + 1)
    return dict(zip([first, *between, last], counts.tolist(), strict=True))


def compare_labels(before: PublishedRun, after: PublishedRun, join: RunJoin) -> LabelChanges:
    """Compares the classes of the images that two runs share.

    Classes are the same if their numbers are, where both runs have one list of labels, or one has
    none; if the lists differ, their texts say it. Of a model with one output there are two: its
    own from a score of a half on, and the other.

    Args:
        before: A run of pipelines.classify.
        after: Another such run, the later one.
        join: Rows of both runs, put together by image.

    Raises:
        InputError: If a file is damaged, or scores of a model with one output are no probabilities.
    """
    read_before, read_after = _read(before), _read(after)
    by_label = _label_lists_differ(before, after)
    codes: dict[str | int, int] = {}
    names: list[str] = []
    coded = []
    for answers, rows in ((read_before, join.before), (read_after, join.after)):
        table = np.zeros(max(answers.labels, default=-1) + 1, np.int32)
        for index, label in answers.labels.items():
            key = label if by_label and label is not None else index
            if codes.setdefault(key, len(names)) == len(names):
                names.append(str(index) if label is None else label)
            elif label is not None:
                names[codes[key]] = label
            table[index] = codes[key]
        coded.append(table[answers.classes[rows]])
    k = min(answers.shape[1] for answers in coded)
    classes_before, classes_after = (answers[:, :k] for answers in coded)
    return LabelChanges(
        names=tuple(names),
        matched_by=CLASS_LABEL if by_label else CLASS_INDEX,
        best_before=classes_before[:, 0],
        best_after=classes_after[:, 0],
        score_before=read_before.scores[join.before, 0],
        score_after=read_after.scores[join.after, 0],
        k=k,
        overlaps=overlap_at_k(classes_before, classes_after),
    )


def _read(run: PublishedRun) -> ClassAnswers:
    answers = ClassAnswers.read(run)
    if has_one_output(run, answers.classes.shape[1]):
        return both_classes(answers, run.directory)
    return answers


def _label_lists_differ(before: PublishedRun, after: PublishedRun) -> bool:
    """Tells whether both runs have labels and a class may have another number in each."""
    lists = [run.record["recipe"]["outputs"]["labels"] for run in (before, after)]
    widths = {run.record["model"]["output_dim"] for run in (before, after)}
    return None not in lists and (lists[0] != lists[1] or len(widths) > 1)
