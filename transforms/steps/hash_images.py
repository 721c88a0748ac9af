"""HashImages: listed images -> the same with the hash of their content, so that equal ones meet."""

import dataclasses
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.pvalue import PCollection

from transforms.inputs.columns import FileColumns
from transforms.inputs.image_files import REMOTE_READS, ImageFiles
from transforms.records import ImageRef, RefChunk
from transforms.schemas import CONTENT_SHA256, IMAGE_ID, URI

BATCH_IMAGES = 2 * REMOTE_READS


class _HashBatch(beam.DoFn):
    def __init__(
        self, columns: FileColumns, max_image_bytes: int, allow_private_hosts: bool
    ) -> None:
        self._columns = columns
        self._max_image_bytes = max_image_bytes
        self._allow_private_hosts = allow_private_hosts
        self._files: ImageFiles | None = None

    def setup(self) -> None:
        self._files = ImageFiles(
            self._columns,
            self._max_image_bytes,
            allow_private_hosts=self._allow_private_hosts,
        )

    def process(self, refs: list[ImageRef]) -> Iterator[RefChunk]:
        assert self._files is not None, "setup runs before process"
        rows = self._files.read([dataclasses.replace(ref, carried=()) for ref in refs]).rows
        names = (rows.column(name).to_pylist() for name in (IMAGE_ID, URI, CONTENT_SHA256))
        hashes = {(image_id, uri): content for image_id, uri, content in zip(*names, strict=True)}
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


def _refs(chunk: RefChunk) -> tuple[ImageRef, ...]:
    return chunk.refs


@beam.typehints.with_input_types(RefChunk)
@dataclasses.dataclass(eq=False)
class HashImages(beam.PTransform[PCollection[RefChunk], PCollection[RefChunk]]):
    """Reads every image once, only to hash it.

    Attributes:
        columns: Feature, column or field that holds the image, for members of files.
        max_image_bytes: Largest encoded image that is read, in bytes.
        allow_private_hosts: Whether servers of the web may have addresses that are not public.
    """

    columns: FileColumns
    max_image_bytes: int
    allow_private_hosts: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, images: PCollection[RefChunk]) -> PCollection[RefChunk]:
        """Returns the images; one that cannot be read has no hash."""
        hashing = _HashBatch(self.columns, self.max_image_bytes, self.allow_private_hosts)
        return (
            images
            | "Refs" >> beam.FlatMap(_refs)
            | "Spread" >> beam.Reshuffle()
            | "Batch" >> beam.BatchElements(BATCH_IMAGES, BATCH_IMAGES)
            | "HashBatch" >> beam.ParDo(hashing).with_output_types(RefChunk)
        )
