"""PlanRetry: the shards of an earlier run, planned again as they were."""

import dataclasses
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.pvalue import PCollection

from transforms.lifecycle.previous_run import planned_shard
from transforms.records import Shard, ShardKind
from transforms.runs.record import PublishedRun, read_published_run
from transforms.steps.tally import FILES, TALLY


class _PlanShard(beam.DoFn):
    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._run: PublishedRun | None = None

    def setup(self) -> None:
        self._run = read_published_run(self._directory)

    def process(self, index: int) -> Iterator[Shard]:
        assert self._run is not None, "setup runs before process"
        shard = planned_shard(self._run.results[index])
        if shard.kind is ShardKind.IMAGES:
            TALLY.add(total=len(shard.refs))
        else:
            TALLY.count(FILES, len(shard.files))
        yield shard


@dataclasses.dataclass(eq=False)
class PlanRetry(beam.PTransform[beam.Pipeline, PCollection[Shard]]):
    """Plans every shard of an earlier run again. Takes the pipeline's root; lists no input.

    Attributes:
        directory: Directory of the earlier run.
        shard_count: Number of the earlier run's shards.
    """

    directory: str
    shard_count: int

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, root: beam.Pipeline) -> PCollection[Shard]:
        """Returns the shards, one for each of the earlier run's."""
        return (
            root
            | "Numbers" >> beam.Create(range(self.shard_count), reshuffle=False)
            | "PlanShard" >> beam.ParDo(_PlanShard(self.directory)).with_output_types(Shard)
        )
