"""ReadShared: a shard of several runs -> its images' bytes, read once, a batch at a time."""

import dataclasses
from collections.abc import Iterator, Mapping

import apache_beam as beam
from apache_beam.pvalue import PCollection

from transforms.batches import SharedImages
from transforms.steps.read_images import ReadPolicy, ShardReader
from transforms.steps.share_shards import SharedShard


class _ReadShared(beam.DoFn):
    def __init__(self, policy: ReadPolicy, computed: Mapping[int, tuple[str, ...]]) -> None:
        self._policy = policy
        self._computed = computed
        self._reader: ShardReader | None = None

    def setup(self) -> None:
        self._reader = ShardReader(self._policy)

    def process(self, shared: SharedShard) -> Iterator[SharedImages]:
        assert self._reader is not None, "setup runs before process"
        yield from self._reader.read_shared(shared.shards, self._computed)

    def teardown(self) -> None:
        if self._reader is not None:
            self._reader.close()


@beam.typehints.with_input_types(SharedShard)
@dataclasses.dataclass(eq=False)
class ReadShared(beam.PTransform[PCollection[SharedShard], PCollection[SharedImages]]):
    """Reads each shard's images once for all of its runs; see ReadImages.

    Attributes:
        policy: Columns and limits of the reading, the same for all runs.
        computed: Columns of a run's output that a row of a predecessor spares the work for, by the
            run's place.
    """

    policy: ReadPolicy
    computed: Mapping[int, tuple[str, ...]]

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, shards: PCollection[SharedShard]) -> PCollection[SharedImages]:
        """Returns the batches of all runs, each run's in order; at least one a shard and run."""
        return shards | "ReadShard" >> beam.ParDo(
            _ReadShared(self.policy, self.computed)
        ).with_output_types(SharedImages)
