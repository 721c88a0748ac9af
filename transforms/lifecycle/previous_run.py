"""The run that a run builds on, and which of its shards is whose predecessor."""

import contextlib
import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from transforms.errors import CorruptRecordError
from transforms.failure import UNOPENED
from transforms.files.atomic_files import is_intact
from transforms.images.policy import LIMITS
from transforms.records import InputFile, Predecessor, Shard, ShardKind
from transforms.results import ShardResult
from transforms.runs.data_file import iter_rows
from transforms.runs.directory import STEMS
from transforms.runs.inputs_file import read_inputs
from transforms.runs.recipe import differences, fingerprint_shard, has_statistics
from transforms.runs.record import PublishedRun, read_published_run
from transforms.schemas import computed_columns


@dataclasses.dataclass(frozen=True)
class Previous:
    """What workers are told of the run that theirs builds on; see basis.

    Attributes:
        directory: Directory of the earlier run.
        has_same_recipe: Whether its rows are what this run would make of the same images.
        keeps_all: Whether the run completes the earlier one: same inputs, only failures computed.
    """

    directory: str
    has_same_recipe: bool
    keeps_all: bool = False


class PreviousShards:
    """The shards of an earlier run, by what they hold."""

    def __init__(self, previous: Previous) -> None:
        """Reads the earlier run's record.

        Raises:
            InputError: If it is no complete run.
        """
        self._previous = previous
        run = read_published_run(previous.directory)
        self._images = [r for r in run.results if r.kind is ShardKind.IMAGES]
        self._files: defaultdict[str, list[ShardResult]] = defaultdict(list)
        for result in run.results:
            for account in result.files:
                self._files[account.file.uri].append(result)

    def parents_of(self, shard: Shard) -> Sequence[ShardResult]:
        """Returns the shards in which the shard's images were: one, or all that had its files.

        The number of shards of images only doubles, so a shard's images were all in one shard: of 4
        then and 8 now, shards 2 and 6 both come from 2. Of a file that has changed, any span may
        hold what another one held. Tiny files may have been in other groups.
        """
        if shard.kind is ShardKind.IMAGES:
            return [self._images[shard.key.index % len(self._images)]] if self._images else []
        had = (result for file in shard.files for result in self._files.get(file.uri, ()))
        own = list({result.shard.index: result for result in had}.values())
        if not (self._previous.keeps_all or all(file.version is not None for file in shard.files)):
            return own  # It may have changed.
        return [result for result in own if files_of(result) == shard.files] or own

    def as_divided(self, file: InputFile) -> list[InputFile]:
        """Returns the spans that a file was divided into, if it and the recipe are as they were.

        None of them, if it could not be opened then, so that it was not divided, or not read.
        """
        if file.version is None or not self._previous.has_same_recipe:
            return []
        results = self._files.get(file.uri, [])
        if not all(UNOPENED.isdisjoint(result.failures) for result in results):
            return []
        spans = [span for result in results for span in files_of(result)]
        return [span for span in spans if dataclasses.replace(span, span=None) == file]

    def predecessor(
        self, parents: Sequence[ShardResult], unchanged_files: tuple[InputFile, ...]
    ) -> Predecessor:
        """Returns what a shard takes from its parents."""
        return Predecessor(
            data=tuple(parent.data for parent in parents),
            inputs=tuple(parent.inputs for parent in parents),
            has_same_recipe=self._previous.has_same_recipe,
            keeps_all=self._previous.keeps_all,
            unchanged_files=unchanged_files,
        )


def planned_shard(result: ShardResult) -> Shard:
    """Returns the shard that a finished one was made of; its fingerprint stays.

    Raises:
        pa.ArrowInvalid, OSError: If its inputs file is damaged.
    """
    refs = read_inputs(result.inputs.path)[0] if result.kind is ShardKind.IMAGES else ()
    return Shard(result.shard, result.kind, refs, files_of(result), result.fingerprint)


def files_of(result: ShardResult) -> tuple[InputFile, ...]:
    """Returns the files that a finished shard was made of."""
    return tuple(account.file for account in result.files)


def is_made_alike(result: ShardResult, base_fingerprint: str) -> bool:
    """Tells whether a finished shard of files was made as it would be now, of the same files.

    Args:
        result: The shard.
        base_fingerprint: Fingerprint of the recipe and the columns of now.
    """
    shard = Shard(result.shard, result.kind, files=files_of(result))
    return fingerprint_shard(base_fingerprint, shard) == result.fingerprint


def why_recomputed(run: PublishedRun, recipe: Mapping[str, Any], *, limits: bool) -> dict[str, str]:
    """Tells what differs between how an earlier run's rows were made and how this one's would be.

    Args:
        run: The earlier run.
        recipe: Recipe of this run.
        limits: Whether the limits on images count; they decide which fail, and no row.
    """
    found = differences(run.record["recipe"], recipe)
    # Columns that are no longer wanted are left out of rows that stay; new ones are lacking below.
    found.pop("outputs.image_statistics", None)
    of_limits = {f"preprocessing.{name}" for name in LIMITS}
    counted = {name: what for name, what in found.items() if limits or name not in of_limits}
    if counted:
        return counted
    columns = computed_columns(STEMS[recipe["program"]], statistics=has_statistics(recipe))
    lacking = _lacking_columns(run, columns)
    return {f"column {name}": "was not written, is written" for name in lacking}


def _lacking_columns(run: PublishedRun, columns: Sequence[str]) -> list[str]:
    """Names the columns that an earlier run's rows do not have.

    All its rows have the same columns, so any file with a row tells; of a damaged one nothing is
    known. With another version of this program, a column can be new although no flag is.
    """
    for result in run.results:
        if result.rows and is_intact(result.data):
            # In an object store, only the size is known to be right.
            with contextlib.suppress(pa.ArrowException, OSError):
                return [name for name in columns if not _has_column(result.data.path, name)]
    return []


def _has_column(path: str, name: str) -> bool:
    try:
        next(iter_rows(path, [name]))
    except CorruptRecordError:
        return False
    return True
