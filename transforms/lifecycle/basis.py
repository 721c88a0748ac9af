"""What a run builds on: no run, the one that it refreshes, or the one that it completes.

Each of the three answers the same questions:

                      Fresh           Refresh             Completion
  least_image_shards  0               the earlier run's   0: all are planned as they were
  has_files           by the inputs   by the inputs       by the earlier run's shards
  previous            none            if same recipe,     all that did not fail
                                      what is unchanged
  counts              none            changes, and why    changes
                                      all is computed
  results             none            what a listing is   what is planned again
                                      compared with
"""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from transforms.errors import FlagError
from transforms.inputs.glob_pattern import has_wildcards
from transforms.inputs.source import Source
from transforms.lifecycle.previous_run import Previous, why_recomputed
from transforms.lifecycle.publication import PreviousCounts
from transforms.records import ShardKind
from transforms.results import ShardResult
from transforms.runs.recipe import describe_differences, differences
from transforms.runs.record import PublishedRun


@dataclasses.dataclass(frozen=True)
class Fresh:
    """A run that builds on none: embed's, classify's, and the first refresh under a root."""

    least_image_shards = 0
    has_same_recipe = False
    previous = None
    counts = None
    results: ClassVar[Sequence[ShardResult]] = ()

    def has_files(self, sources: Sequence[Source]) -> bool:
        """Whether there may be TFRecord, Parquet, tar or zip files among the inputs."""
        return _may_have_files(sources)


@dataclasses.dataclass(frozen=True)
class Refresh:
    """A run that lists its inputs again, and takes from an earlier run what has not changed.

    Attributes:
        run: The earlier run.
        differing: Differences of the recipe, "was ..., is ..." by dotted name. With any, nothing is
            taken, and all is computed again.
        max_deleted_fraction: Largest share of the earlier run's images that may be gone.
    """

    run: PublishedRun
    differing: Mapping[str, str]
    max_deleted_fraction: float

    @property
    def least_image_shards(self) -> int:
        """Shards of listed images that there must be: each needs its parent."""
        return self.run.image_shard_count

    @property
    def has_same_recipe(self) -> bool:
        """Whether the earlier rows are what this run would make of the same images."""
        return not self.differing

    @property
    def previous(self) -> Previous:
        """Facts of the earlier run that workers are told."""
        return Previous(self.run.directory, self.has_same_recipe)

    @property
    def counts(self) -> PreviousCounts:
        """Facts of the earlier run that _run.json says."""
        because = describe_differences(self.differing) if self.differing else None
        return _counts(self.run, because, self.max_deleted_fraction)

    @property
    def results(self) -> Sequence[ShardResult]:
        """Shards that the listing is compared with."""
        return self.run.results

    def has_files(self, sources: Sequence[Source]) -> bool:
        """Whether there may be TFRecord, Parquet, tar or zip files among the inputs."""
        return _may_have_files(sources)


@dataclasses.dataclass(frozen=True)
class Completion:
    """A run that lists nothing: an earlier run's shards again, of which only failures are computed.

    Attributes:
        run: The earlier run, of the same recipe.
    """

    run: PublishedRun

    least_image_shards = 0
    has_same_recipe = True

    @property
    def previous(self) -> Previous:
        """Facts of the earlier run that workers are told."""
        return Previous(self.run.directory, has_same_recipe=True, keeps_all=True)

    @property
    def counts(self) -> PreviousCounts:
        """Facts of the earlier run that _run.json says."""
        return _counts(self.run)

    @property
    def results(self) -> Sequence[ShardResult]:
        """Shards that are planned again."""
        return self.run.results

    def check_columns(self, columns: Mapping[str, Any]) -> None:
        """Checks that kept rows have the ids and the carried columns that computed ones get.

        Args:
            columns: What decides the columns that are no model's, as _run.json has it.

        Raises:
            FlagError: If not. The types of carried columns follow the inputs, which may be others.
        """
        differing = differences(self.run.record["columns"], columns)
        if differing:
            raise FlagError(
                f"--retry_failed {self.run.directory}: its ids or carried columns were made "
                f"otherwise: {describe_differences(differing)}; use what it used, or run all again"
            )

    def has_files(self, sources: Sequence[Source]) -> bool:
        """Whether shards of the earlier run are TFRecord, Parquet, tar or zip files."""
        return any(result.files for result in self.results)


Basis = Fresh | Refresh | Completion
"""Stays at launch: it holds all of _run.json. Workers are told `previous`, Publish the `counts`."""


def refresh(run: PublishedRun, recipe: Mapping[str, Any], max_deleted_fraction: float) -> Refresh:
    """Builds on an earlier run; where the recipe is another now, on nothing but its counts.

    Args:
        run: The earlier run.
        recipe: Recipe of this run: all that decides a row.
        max_deleted_fraction: Largest share of its images that may be gone.
    """
    return Refresh(run, why_recomputed(run, recipe, limits=True), max_deleted_fraction)


def complete(run: PublishedRun, recipe: Mapping[str, Any]) -> Completion:
    """Completes an earlier run.

    Limits on images may be others now: those that failed by the old ones are what is tried again.

    Args:
        run: The earlier run.
        recipe: Recipe of this run: all that decides a row.

    Raises:
        FlagError: If its rows were made otherwise than this run's would be.
    """
    differing = why_recomputed(run, recipe, limits=False)
    if differing:
        raise FlagError(
            f"--retry_failed {run.directory}: its rows were made otherwise: "
            f"{describe_differences(differing)}; use what it used"
        )
    return Completion(run)


def _may_have_files(sources: Sequence[Source]) -> bool:
    return any(
        source.is_directory or source.kind is not ShardKind.IMAGES or has_wildcards(source.pattern)
        for source in sources
    )


def _counts(
    run: PublishedRun, because: str | None = None, max_deleted_fraction: float = 1.0
) -> PreviousCounts:
    files: collections.Counter[str] = collections.Counter()
    for result in run.results:
        for account in result.files:
            files[account.file.uri] += account.images
    return PreviousCounts(
        directory=run.directory,
        images=sum(result.images for result in run.results),
        files=files,
        recomputed_because=because,
        max_deleted_fraction=max_deleted_fraction,
    )
