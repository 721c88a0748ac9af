"""Images of published runs, read again from where they are."""

import collections
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from transforms.boxes import ImageBox, content_of_box
from transforms.inputs.columns import FileColumns
from transforms.records import ImageRef, Shard
from transforms.results import ShardResult
from transforms.schemas import CONTENT_SHA256, IMAGE_ID, URI
from transforms.steps.read_images import ReadPolicy, ShardReader


class KnownImages(NamedTuple):
    """Images of a run as their files are now, with the run's row of each.

    Attributes:
        keys: image_id and content_sha256 of each: other ones than the run's if it has changed.
        encoded: The image files.
        boxes: The box of each; None of a whole image.
    """

    keys: tuple[tuple[str, str], ...]
    encoded: tuple[bytes, ...]
    boxes: tuple[ImageBox | None, ...]


def read_again(
    shard: ShardResult,
    refs: Sequence[ImageRef],
    boxes: Sequence[ImageBox | None],
    config: Mapping[str, Any],
    *,
    batch_size: int,
    max_image_bytes: int,
) -> Generator[KnownImages, None, None]:
    """Reads the images of a shard, a batch at a time; what cannot be read is left out.

    Args:
        shard: Shard of a published run.
        refs: The images wanted; of a shard of files all are read, unless they have boxes.
        boxes: The box of each; None of a whole image.
        config: The run's flags.
        batch_size: Images a batch.
        max_image_bytes: Larger ones are left out.

    Raises:
        OSError: If the storage fails.
    """
    files = tuple(account.file for account in shard.files)
    boxes_of_uri: collections.defaultdict[str, dict[str, ImageBox]]
    boxes_of_uri = collections.defaultdict(dict)
    for ref, box in zip(refs, boxes, strict=True):
        if box is not None:
            boxes_of_uri[ref.uri][ref.image_id] = box
    images = {ref.uri: ref for ref in refs} if boxes_of_uri else {ref.image_id: ref for ref in refs}
    plan = Shard(shard.shard, shard.kind, () if files else tuple(images.values()), files)
    columns = FileColumns(config["image_key"], config["image_id_from"], pa.schema([]))
    policy = ReadPolicy(columns=columns, batch_size=batch_size, max_image_bytes=max_image_bytes)
    reader = ShardReader(policy)
    try:
        for batch in reader.read(plan):
            ids, uris, hashes = (
                batch.rows.column(name).to_pylist() for name in (IMAGE_ID, URI, CONTENT_SHA256)
            )
            known = [
                (key, data, box)
                for image_id, uri, content, data in zip(
                    ids, uris, hashes, batch.encoded, strict=True
                )
                for key, box in _rows(image_id, content, boxes_of_uri.get(uri))
            ]
            yield KnownImages(*zip(*known, strict=True)) if known else KnownImages((), (), ())
    finally:
        reader.close()


def _rows(
    image_id: str, content: str, boxes: Mapping[str, ImageBox] | None
) -> Iterator[tuple[tuple[str, str], ImageBox | None]]:
    """Yields the key of each row that an image has: itself, or its boxes."""
    if boxes is None:
        yield (image_id, content), None
        return
    for name, box in boxes.items():
        yield (name, content_of_box(content, box)), box
