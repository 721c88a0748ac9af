"""ShareShards: the unfinished shards of several runs -> each shard once, with the runs it is of."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PCollection

from transforms.records import Shard
from transforms.runs.recipe import fingerprint_shard


class SharedShard(NamedTuple):
    """A shard that is to be computed.

    Attributes:
        shards: The shard as each run has it, by the run's place: the same images or files.
    """

    shards: dict[int, Shard]


def _to_keyed(shard: Shard, run: int) -> tuple[str, tuple[int, Shard]]:
    """Keys a shard by its place and its inputs, which are the same in all runs that share it."""
    return fingerprint_shard(str(shard.key), shard), (run, shard)


def _to_shared(keyed: tuple[str, Iterable[tuple[int, Shard]]]) -> SharedShard:
    return SharedShard(dict(sorted(keyed[1], key=lambda of_run: of_run[0])))


class ShareShards(beam.PTransform[Sequence[PCollection[Shard]], PCollection[SharedShard]]):
    """Brings together what several runs have to read, and spreads it over the workers.

    Takes the unfinished shards of each run, in order of the runs. Only small elements are shuffled.
    A shard that not all runs have, or that they have of other images, is shared by fewer.
    """

    @beam.typehints.no_annotations
    def expand(self, shards: Sequence[PCollection[Shard]]) -> PCollection[SharedShard]:
        """Returns each shard once."""
        keyed = [
            own
            | f"KeyRun{run}"
            >> beam.Map(_to_keyed, run).with_output_types(tuple[str, tuple[int, Shard]])
            for run, own in enumerate(shards)
        ]
        return (
            keyed
            | "Together" >> beam.Flatten()
            | "GroupByInputs" >> beam.GroupByKey()
            | "ToShared" >> beam.Map(_to_shared).with_output_types(SharedShard)
        )
