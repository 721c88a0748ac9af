"""HashImages: listed images -> the same with the hash of their content, so that equal ones meet."""

import dataclasses
import itertools
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.pvalue import PCollection

from transforms.files.flight import FLIGHT
from transforms.files.read_limits import ReadLimits
from transforms.inputs.columns import FileColumns
from transforms.inputs.image_files import ImageFiles
from transforms.records import ImageRef, RefChunk
from transforms.schemas import CONTENT_SHA256, IMAGE_ID, URI

BATCH_IMAGES = 1000
"""Images of an element: enough to keep many reads in flight."""

READ_IMAGES = 32
"""Images in memory at a time, once they are read."""


class _HashBatch(beam.DoFn):
    def __init__(
        self,
        columns: FileColumns,
        max_image_bytes: int,
        limits: ReadLimits,
        allow_private_hosts: bool,
    ) -> None:
        self._columns = columns
        self._limits = limits
        self._max_image_bytes = max_image_bytes
        self._allow_private_hosts = allow_private_hosts
        self._files: ImageFiles | None = None

    def setup(self) -> None:
        FLIGHT.allow(self._limits)
        self._files = ImageFiles(
            self._columns,
            self._max_image_bytes,
            allow_private_hosts=self._allow_private_hosts,
        )

    def process(self, images: list[tuple[ImageRef, ...]]) -> Iterator[RefChunk]:
        assert self._files is not None, "setup runs before process"
        refs = [ref for boxes in images for ref in boxes]
        bare = [dataclasses.replace(ref, carried=()) for ref in refs]
        hashes: dict[tuple[str, str], str] = {}
        for part in self._files.read_batches(bare, READ_IMAGES):
            names = (part.rows.column(name).to_pylist() for name in (IMAGE_ID, URI, CONTENT_SHA256))
            hashes |= {
                (image_id, uri): sha256 for image_id, uri, sha256 in zip(*names, strict=True)
            }
        # What cannot be read now is read again, and fails then, in the shard of its id.
        yield RefChunk(
            tuple(
                dataclasses.replace(ref, content_sha256=hashes.get((ref.image_id, ref.uri)))
                for ref in refs
            )
        )

    def teardown(self) -> None:
        if self._files is not None:
            self._files.close()


def _images(chunk: RefChunk) -> list[tuple[ImageRef, ...]]:
    """Puts boxes of one image that follow one another together, to be read once."""
    return [tuple(boxes) for _, boxes in itertools.groupby(chunk.refs, lambda ref: ref.uri)]


@beam.typehints.with_input_types(RefChunk)
@dataclasses.dataclass(eq=False)
class HashImages(beam.PTransform[PCollection[RefChunk], PCollection[RefChunk]]):
    """Reads every image once, only to hash it.

    Attributes:
        columns: Feature, column or field that holds the image, for members of files.
        max_image_bytes: Largest encoded image that is read, in bytes.
        limits: What reading from remote stores may take.
        allow_private_hosts: Whether servers of the web may have addresses that are not public.
    """

    columns: FileColumns
    max_image_bytes: int
    limits: ReadLimits
    allow_private_hosts: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, images: PCollection[RefChunk]) -> PCollection[RefChunk]:
        """Returns the images; one that cannot be read has no hash."""
        hashing = _HashBatch(
            self.columns, self.max_image_bytes, self.limits, self.allow_private_hosts
        )
        return (
            images
            | "Images" >> beam.FlatMap(_images)
            | "Spread" >> beam.Reshuffle()
            | "Batch" >> beam.BatchElements(BATCH_IMAGES, BATCH_IMAGES)
            | "HashBatch" >> beam.ParDo(hashing).with_output_types(RefChunk)
        )
