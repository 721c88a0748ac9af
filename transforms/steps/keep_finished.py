"""KeepFinished: which shards are done already, by this run before it died or by the run before."""

import dataclasses
import functools
import os
import uuid
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.files.atomic_files import is_intact, link_or_copy
from transforms.files.file_systems import FileSystems
from transforms.lifecycle.previous_files import can_be_opened
from transforms.lifecycle.previous_run import Previous, PreviousShards, files_of, is_made_alike
from transforms.lifecycle.staging import commit, read_commit, writing_shard
from transforms.records import (
    Change,
    ImageRef,
    InputFile,
    Predecessor,
    Shard,
    ShardKind,
    WrittenFile,
)
from transforms.results import ShardResult
from transforms.runs.image_ids import digests_in
from transforms.runs.recipe import fingerprint_shard
from transforms.steps.tally import TALLY

PARENTS_REMEMBERED = 1024
"""Files of the run before that were found intact, or not; a local one is read whole for it."""

_Finished = TaggedOutput[Literal["finished"], ShardResult]
_Damaged = TaggedOutput[Literal["damaged"], str]


class Kept(NamedTuple):
    """Outputs of KeepFinished.

    Attributes:
        unfinished: PCollection[Shard], with fingerprint and predecessor, to be worked on.
        finished: PCollection[ShardResult], committed.
        damaged: PCollection[str], what of the run before could not be used.
    """

    unfinished: PCollection[Shard]
    finished: PCollection[ShardResult]
    damaged: PCollection[str]


class _KeepShard(beam.DoFn):
    def __init__(self, keep: "KeepFinished") -> None:
        self._staging = keep.staging
        self._base = keep.base_fingerprint
        self._is_resumed = keep.is_resumed
        self._previous = keep.previous
        self._digests = keep.digests
        self._places_by_content = keep.places_by_content
        self._shards: PreviousShards | None = None
        self._is_intact = is_intact

    def setup(self) -> None:
        # The spans of a changed file have all their parents in common.
        self._is_intact = functools.lru_cache(PARENTS_REMEMBERED)(is_intact)
        if self._previous is not None:
            self._shards = PreviousShards(self._previous)

    def process(self, shard: Shard) -> Iterator[Shard | _Finished | _Damaged]:
        if shard.key.is_canaries:
            yield shard
            return
        if not shard.fingerprint:
            fingerprint = fingerprint_shard(self._base, shard)
            shard = dataclasses.replace(shard, fingerprint=fingerprint)
        known: ShardResult | Shard | str | None = None
        if self._is_resumed:
            known = self._from_commit(shard)
        if known is None and self._shards is not None:
            known = self._from_previous(shard, self._shards)
        match known:
            case ShardResult():
                yield _Finished("finished", self._counted(known, shard))
            case Shard():
                yield known
            case str():
                yield _Damaged(
                    "damaged",
                    f"{known} is not what its run wrote; shard {shard.key} was computed again",
                )
                yield shard
            case None:
                yield shard

    def _from_commit(self, shard: Shard) -> ShardResult | Shard | None:
        """Returns what this run finished before it died, or the shard with that to build on."""
        result = read_commit(self._staging, shard.key)
        if result is None or not (is_intact(result.data) and is_intact(result.inputs)):
            return None
        if result.fingerprint != shard.fingerprint:
            # Its images changed since, or their ids. Its rows are worth as much as those of
            # another run, unless that has some: what changed is counted by these.
            if self._shards is not None and self._shards.parents_of(shard):
                return None
            predecessor = Predecessor(
                (result.data,),
                (result.inputs,),
                changes={},
                unchanged_files=self._unchanged_files(shard, [result]),
            )
            return dataclasses.replace(shard, predecessor=predecessor)
        if result.may_pass and _can_be_read(shard):
            # Its rows stay, and only what failed is tried again.
            predecessor = Predecessor(
                (result.data,),
                (result.inputs,),
                keeps_all=True,
                changes=result.changes,
                unchanged_files=shard.files,
            )
            return dataclasses.replace(shard, predecessor=predecessor)
        return result

    def _from_previous(
        self, shard: Shard, shards: PreviousShards
    ) -> ShardResult | Shard | str | None:
        """Returns what the run before gives: all, a predecessor, a damaged file's path, nothing."""
        parents = shards.parents_of(shard)
        if not parents:
            return None
        for parent in parents:
            for file in (parent.data, parent.inputs):
                if not self._is_intact(file):
                    return file.path
        result = self._carried_over(shard, parents[0]) if len(parents) == 1 else None
        if result is not None:
            return result
        predecessor = shards.predecessor(parents, self._unchanged_files(shard, parents))
        return dataclasses.replace(shard, predecessor=predecessor)

    def _unchanged_files(
        self, shard: Shard, parents: Sequence[ShardResult]
    ) -> tuple[InputFile, ...]:
        """Returns the files of which each image's row is known without a look into them.

        They are listed as they were, and their shard's fingerprint is what it would be now: so the
        recipe, the columns and what the ids are made of are the same.
        """
        keeps_all = self._previous is not None and self._previous.keeps_all
        known: set[InputFile] = set()
        for parent in parents if shard.files else ():
            if keeps_all or is_made_alike(parent, self._base):
                known.update(
                    file for file in files_of(parent) if keeps_all or file.version is not None
                )
        return tuple(file for file in shard.files if file in known)

    def _counted(self, result: ShardResult, shard: Shard) -> ShardResult:
        is_file = result.kind is not ShardKind.IMAGES
        TALLY.add(total=result.images if is_file else 0, written=result.rows, failed=result.failed)
        TALLY.add_failures(result.failures)
        # Equal ids meet where the plan places images by them: then it has looked at these.
        is_checked = shard.has_planned_ids and not self._places_by_content
        if self._digests and not is_checked:
            result = dataclasses.replace(result, id_digests=digests_in(result.data.path))
        return result

    def _carried_over(self, shard: Shard, parent: ShardResult) -> ShardResult | None:
        """Gives the parent's files to a shard without a change."""
        assert self._previous is not None, "only then are there parents"
        if self._previous.keeps_all:
            is_same = not parent.failed
        else:
            is_same = (
                self._previous.has_same_recipe
                and parent.fingerprint == shard.fingerprint
                and _is_listed(shard)
                and not (parent.may_pass and _can_be_read(shard))
            )
        if not is_same:
            return None
        with writing_shard(self._staging, shard.key):
            result = dataclasses.replace(
                parent,
                shard=shard.key,
                fingerprint=shard.fingerprint,
                data=self._adopt(parent.data, shard),
                inputs=self._adopt(parent.inputs, shard),
                changes={Change.UNCHANGED: parent.images, Change.REUSED: parent.rows},
                seconds={},
                retries={},
            )
            commit(self._staging, result)
        return result

    def _adopt(self, file: WrittenFile, shard: Shard) -> WrittenFile:
        extension = os.path.splitext(file.path)[1]
        name = f"{shard.key}.{uuid.uuid4().hex}{extension}"
        path = FileSystems.join(self._staging, name)
        link_or_copy(file.path, path)
        return dataclasses.replace(file, path=path)


def _is_listed(shard: Shard) -> bool:
    """Whether the listing can tell that nothing has changed."""
    listed: tuple[ImageRef | InputFile, ...] = (*shard.refs, *shard.files)
    return all(one.version is not None for one in listed)


def _can_be_read(shard: Shard) -> bool:
    """Whether it helps to try again what failed: a file that does not open now keeps its rows."""
    return not shard.files or any(map(can_be_opened, shard.files))


@dataclasses.dataclass(eq=False)
class KeepFinished(beam.PTransform[PCollection[Shard], Kept]):
    """Takes the shards out that need no work; small elements only.

    Attributes:
        staging: Directory that the run works in.
        base_fingerprint: Fingerprint of the recipe and the columns, a part of every shard's.
        is_resumed: Whether commit records of an earlier start count.
        previous: The run that this one builds on, if there is one.
        digests: Whether results carry digests of the ids, for CheckUniqueIds.
        places_by_content: Whether listed images are put into shards by content, not by image_id.
    """

    staging: str
    base_fingerprint: str
    is_resumed: bool
    previous: Previous | None
    digests: bool
    places_by_content: bool

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, shards: PCollection[Shard]) -> Kept:
        """Returns the shards to be worked on, and those that are done."""
        kept = shards | "KeepShard" >> beam.ParDo(_KeepShard(self)).with_outputs(
            "finished", "damaged", main="unfinished"
        )
        return Kept(kept.unfinished, kept.finished, kept.damaged)
