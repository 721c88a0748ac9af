"""How often a classifier is right: in all, by class, and what it takes for what."""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.evaluation.named_answers import NamedAnswers
from transforms.training.class_metrics import ClassMetrics

Numbers = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]


class Confused(NamedTuple):
    """A class that is taken for another.

    Attributes:
        truth: What the images are, a place in the answers' names.
        answer: What they are taken for, likewise.
        images: Number of such images.
    """

    truth: int
    answer: int
    images: int


@dataclasses.dataclass(frozen=True, eq=False)
class ClassAccuracy:
    """What a classifier did on some images, at least one.

    Attributes:
        answers: What it said, and what is right.
    """

    answers: NamedAnswers

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.answers.truth)

    @property
    def k(self) -> int:
        """Classes an image, at most."""
        return self.answers.classes.shape[1]

    @functools.cached_property
    def ranks(self) -> Numbers:
        """Place of the right class among the answers, int64 [images]; k where it is not there."""
        is_there = self.answers.classes == self.answers.truth[:, None]
        return np.where(is_there.any(axis=1), is_there.argmax(axis=1), self.k)

    def is_right(self, k: int = 1) -> npt.NDArray[np.bool_]:
        """Tells whether the right class is among the best k: bool [images]."""
        return self.ranks < k

    def accuracy(self, k: int = 1) -> float:
        """Returns the share of images whose right class is among the best k: top-k accuracy."""
        return float(self.is_right(k).mean())

    @functools.cached_property
    def labelled(self) -> Numbers:
        """Images of each class, int64 [names]."""
        return np.bincount(self.answers.truth, minlength=len(self.answers.names))

    @functools.cached_property
    def predicted(self) -> Numbers:
        """Images whose best class it is, int64 [names]."""
        return np.bincount(self.answers.classes[:, 0], minlength=len(self.answers.names))

    @functools.cached_property
    def right(self) -> Numbers:
        """Images of each class that are predicted to be, int64 [names]."""
        right = self.answers.truth[self.is_right()]
        return np.bincount(right, minlength=len(self.answers.names))

    @property
    def shown(self) -> Numbers:
        """The classes that an image is of, or is taken for: int64, ascending places in names."""
        return np.flatnonzero(self.labelled + self.predicted)

    @property
    def precision(self) -> Shares:
        """Share of what is predicted to be of a class and is: float64 [names], 0 where nothing is.

        precision = right / predicted. Source of all three: van Rijsbergen, Information Retrieval
        (1979), chapter 7; 0 for 0/0 as scikit-learn has it.
        """
        return _share(self.right, self.predicted)

    @property
    def recall(self) -> Shares:
        """Share of what is of a class and predicted to be: float64 [names], right / labelled."""
        return _share(self.right, self.labelled)

    @property
    def f1(self) -> Shares:
        """Harmonic mean of precision and recall: float64 [names].

        F1 = 2 precision recall / (precision + recall) = 2 right / (predicted + labelled).
        """
        return _share(2 * self.right, self.predicted + self.labelled)

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that are shown, each counting alike, from 0 to 1."""
        return float(self.f1[self.shown].mean())

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that an image is of, from 0 to 1.

        Source: Brodersen et al., "The balanced accuracy and its posterior distribution" (2010).
        """
        return float(self.recall[self.labelled > 0].mean())

    @functools.cached_property
    def confused(self) -> list[Confused]:
        """What is taken for what, the most frequent first."""
        wrong = np.flatnonzero(~self.is_right())
        count = len(self.answers.names)
        pairs, images = np.unique(
            self.answers.truth[wrong].astype(np.int64) * count + self.answers.classes[wrong, 0],
            return_counts=True,
        )
        order = np.argsort(-images, kind="stable")
        return [
            Confused(pair // count, pair % count, number)
            for pair, number in zip(pairs[order].tolist(), images[order].tolist(), strict=True)
        ]

    def surest_mistakes(self) -> Numbers:
        """Returns the images that are wrong, the highest score of a wrong class first: int64."""
        wrong = np.flatnonzero(~self.is_right())
        return wrong[np.argsort(-self.answers.scores[wrong, 0], kind="stable")]

    def metrics(self, most: int) -> ClassMetrics:
        """Returns what a picture of the confusion needs, of the classes that are mistaken most.

        Args:
            most: Classes, at most; those that are neither label nor answer are left out.
        """
        mistakes = self.labelled + self.predicted - 2 * self.right
        shown = self.shown
        shown = np.sort(shown[np.argsort(-mistakes[shown], kind="stable")[:most]])
        places = np.full(len(self.answers.names), -1)
        places[shown] = np.arange(len(shown))
        truth, best = places[self.answers.truth], places[self.answers.classes[:, 0]]
        is_shown = (truth >= 0) & (best >= 0)
        confusion = np.zeros((len(shown), len(shown)), np.int64)
        np.add.at(confusion, (truth[is_shown], best[is_shown]), 1)
        return ClassMetrics(
            names=tuple(self.answers.names[place] for place in shown),
            rows=len(self),
            right=int(self.right.sum()),
            confusion=confusion,
            predicted=self.predicted[shown],
            labelled=self.labelled[shown],
        )


def _share(part: Numbers, whole: Numbers) -> Shares:
    return part / np.maximum(whole, 1)
