"""Two runs compared: their images, vectors or classes, and one number that sums it up."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from transforms.errors import InputError
from transforms.explore.label_changes import LabelChanges, compare_labels
from transforms.explore.run_join import RunJoin, join_runs
from transforms.explore.vector_changes import VectorChanges, compare_vectors
from transforms.runs.recipe import differences
from transforms.runs.record import PublishedRun

VERDICT_QUANTILE = 0.01
"""The share of images that may differ more than the verdict on vectors says."""

_SAME_ANSWERS = frozenset({"engine", "precision", "quantized"})
"""What a model may be run by: its vectors stay comparable."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """How much alike two runs' answers are, for the images of unchanged content.

    Attributes:
        value: Number from 0, of cosines from -1, to 1; None if nothing can be compared.
        meaning: Sentence on what the value is, or why there is none.
    """

    value: float | None
    meaning: str


@dataclasses.dataclass(frozen=True, eq=False)
class RunDiff:
    """How the rows, vectors and classes of two runs differ.

    Attributes:
        before: The earlier run.
        after: The later run.
        join: Rows of both runs, put together by image.
        vectors: Changes of the vectors; None for runs of pipelines.classify, or without pairs.
        labels: Changes of the classes; None for runs of pipelines.embed, or without pairs.
    """

    before: PublishedRun
    after: PublishedRun
    join: RunJoin
    vectors: VectorChanges | None
    labels: LabelChanges | None

    @property
    def has_same_model(self) -> bool:
        """Whether one model made both, whatever ran it: cosines then mean something."""
        models = (run.record["recipe"]["model"] for run in (self.before, self.after))
        return _SAME_ANSWERS.issuperset(differences(*models))

    @property
    def making(self) -> dict[str, dict[str, str]]:
        """What differs in the making of the two: "was ..., is ..." by name, by kind."""
        was, now = self.before.record, self.after.record
        return {
            "recipe": differences(was["recipe"], now["recipe"]),
            "software": differences(_software(was), _software(now)),
            "flags": differences(was["config"], now["config"]),
        }

    @property
    def verdict(self) -> Verdict:
        """The likeness of the runs as one number, which a scheduler can put a limit on."""
        count = int(self.join.is_unchanged.sum())
        images = f"{count:,} image{'s' * (count != 1)} of unchanged content"
        if not count:
            return Verdict(None, "no image of unchanged content is in both runs")
        if self.labels is not None:
            same = ~self.labels.is_flip[self.join.is_unchanged]
            return Verdict(float(same.mean()), f"the share of {images} with the same best class")
        assert self.vectors is not None  # There are pairs.
        if self.has_same_model and self.vectors.has_cosines:
            cosines = self.vectors.cosines[self.join.is_unchanged]
            least = np.quantile(cosines, VERDICT_QUANTILE, method="lower")
            share = f"{1 - VERDICT_QUANTILE:.0%}"
            return Verdict(float(least), f"{share} of {images} have at least this cosine")
        overlap = self.vectors.overlap
        if overlap is None:
            return Verdict(None, "the models differ, and one image has no neighbours to compare")
        why = "models" if not self.has_same_model else "dimensions"
        text = (
            f"the {why} differ: the share of the {overlap.k} nearest neighbours that are the same"
        )
        return Verdict(overlap.mean, text)


def compare_runs(
    before: PublishedRun, after: PublishedRun, k: int, advance: Callable[[int], object]
) -> RunDiff:
    """Compares two runs of one program.

    Args:
        before: The earlier run.
        after: The later run.
        k: Neighbours an image, of vectors.
        advance: Callback, told how many images of both runs were compared.

    Raises:
        InputError: If they are of different programs, or a file is damaged.
    """
    programs = [run.record["recipe"]["program"] for run in (before, after)]
    if programs[0] != programs[1]:
        raise InputError(
            f"{before.directory} is a run of {programs[0]}, {after.directory} one of {programs[1]}:"
            " vectors and classes cannot be compared"
        )
    join = join_runs(before, after)
    vectors = labels = None
    if len(join) and programs[0] == "embed":
        vectors = compare_vectors(before, after, join, k, advance)
    elif len(join):
        labels = compare_labels(before, after, join)
    return RunDiff(before, after, join, vectors, labels)


def _software(record: Mapping[str, Any]) -> dict[str, Any]:
    devices = sorted({engine["device"] for engine in record["engines"]})
    return {**record["software"], "devices": devices}
