"""RecallUnseen: directories that could not be listed -> what the run before had below them."""

import dataclasses
from collections.abc import Iterator
from typing import Literal, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import AsList, PCollection, TaggedOutput

from transforms.inputs.entries import ImageFile
from transforms.lifecycle.recall import Unseen, recall
from transforms.records import InputFile
from transforms.runs.record import PublishedRun, read_published_run

_File = TaggedOutput[Literal["files"], InputFile]


class Recalled(NamedTuple):
    """Outputs of RecallUnseen.

    Attributes:
        images: PCollection[ImageFile], as the run before had them listed.
        files: PCollection[InputFile], TFRecord, Parquet, tar and zip.
    """

    images: PCollection[ImageFile]
    files: PCollection[InputFile]


class _RecallShard(beam.DoFn):
    def __init__(self, directory: str, image_id_from: str | None) -> None:
        self._directory = directory
        self._image_id_from = image_id_from
        self._run: PublishedRun | None = None

    def process(self, index: int, unseen: list[Unseen]) -> Iterator[ImageFile | _File]:
        if not unseen:  # As on most nights: the earlier run's listing is not even opened.
            return
        if self._run is None:
            self._run = read_published_run(self._directory)
        for found in recall(self._run.results[index], unseen, self._image_id_from):
            if isinstance(found, ImageFile):
                yield found
            else:
                yield _File("files", found)


@dataclasses.dataclass(eq=False)
class RecallUnseen(beam.PTransform[PCollection[Unseen], Recalled]):
    """Takes what is below directories that could not be listed from the listing of the run before.

    Attributes:
        directory: Directory of the earlier run.
        shard_count: Number of the earlier run's shards.
        image_id_from: Origin of the image_id, or None for each kind's default.
    """

    directory: str
    shard_count: int
    image_id_from: str | None

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, unseen: PCollection[Unseen]) -> Recalled:
        """Returns the images, and the files that hold images."""
        recalled = (
            unseen.pipeline
            | "Numbers" >> beam.Create(range(self.shard_count), reshuffle=False)
            | "RecallShard"
            >> beam.ParDo(
                _RecallShard(self.directory, self.image_id_from), AsList(unseen)
            ).with_outputs("files", main="images")
        )
        return Recalled(recalled.images, recalled.files)
