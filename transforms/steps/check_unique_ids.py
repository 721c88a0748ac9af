"""CheckUniqueIds: finds an image_id that two files both hold, before anything is published."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator

import apache_beam as beam
import numpy as np
import numpy.typing as npt
from apache_beam.pvalue import PCollection

from transforms.errors import RunError
from transforms.results import ShardResult
from transforms.runs.image_ids import read_ids

RANGES = 64
"""Digests are compared range by range, so that no worker holds all of them."""


def split_digests(result: ShardResult) -> Iterator[tuple[int, tuple[str, bytes]]]:
    """Yields (range, (data file, digests in that range))."""
    digests: npt.NDArray[np.uint64] = np.frombuffer(result.id_digests, dtype=np.uint64)
    ranges = digests % RANGES
    for number in np.unique(ranges):
        yield int(number), (result.data.path, digests[ranges == number].tobytes())


def check_unique(group: tuple[int, Iterable[tuple[str, bytes]]]) -> None:
    """Compares the digests of one range, given (range, parts as split_digests makes them).

    Raises:
        RunError: If an image_id occurs twice; names both places.
    """
    paths, chunks = zip(*sorted(group[1]), strict=True)
    arrays = [np.frombuffer(chunk, dtype=np.uint64) for chunk in chunks]
    digests, counts = np.unique(np.concatenate(arrays), return_counts=True)
    suspects = digests[counts > 1]
    if not suspects.size:
        return
    uris: dict[str, list[str]] = collections.defaultdict(list)
    for path, array in zip(paths, arrays, strict=True):
        if np.isin(array, suspects).any():
            for image_id, uri in read_ids(path):
                uris[image_id].append(uri)
    # Two ids may share a digest; only one id in two places is an error.
    for image_id, places in uris.items():
        if len(places) > 1:
            raise RunError(
                f"image_id {image_id!r} is not unique: {places[0]} and {places[1]} both have it; "
                "nothing is published; run again with --resume and another key, such as "
                "--image_id_from uri (file and position): what is computed is kept"
            )


@beam.typehints.with_input_types(ShardResult)
@dataclasses.dataclass(eq=False)
class CheckUniqueIds(beam.PTransform[PCollection[ShardResult], PCollection[ShardResult]]):
    """Fails the run if two rows have one image_id.

    Ids inside TFRecord, Parquet, tar and zip files are known only once these have been read. Those
    of listed images are checked by PlanShards, in a shard: that is all there is of an id, unless
    images are placed by content. 8 bytes a row are shuffled.
    """

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, results: PCollection[ShardResult]) -> PCollection[ShardResult]:
        """Returns the results without their digests, once they have been compared."""
        checked = (
            results
            | "SplitDigests" >> beam.FlatMap(split_digests)
            | "GroupByRange" >> beam.GroupByKey()
            | "CheckUnique" >> beam.Map(check_unique)
        )
        return results | "DropDigests" >> beam.Map(_without_digests, beam.pvalue.AsList(checked))


def _without_digests(result: ShardResult, _: list[None]) -> ShardResult:
    return dataclasses.replace(result, id_digests=b"")
