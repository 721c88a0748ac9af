"""Images of published runs, read again from where they are."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from transforms.inputs.columns import FileColumns
from transforms.records import ImageRef, Shard
from transforms.results import ShardResult
from transforms.schemas import CONTENT_SHA256, IMAGE_ID
from transforms.steps.read_images import ReadPolicy, ShardReader


class KnownImages(NamedTuple):
    """Images of a run as their files are now, with the run's row of each.

    Attributes:
        keys: image_id and content_sha256 of each: other ones than the run's if it has changed.
        encoded: The image files.
    """

    keys: tuple[tuple[str, str], ...]
    encoded: tuple[bytes, ...]


def read_again(
    shard: ShardResult,
    refs: Sequence[ImageRef],
    config: Mapping[str, Any],
    *,
    batch_size: int,
    max_image_bytes: int,
) -> Generator[KnownImages, None, None]:
    """Reads the images of a shard, a batch at a time; what cannot be read is left out.

    Args:
        shard: Shard of a published run.
        refs: The images wanted; of a shard of files all are read.
        config: The run's flags.
        batch_size: Images a batch.
        max_image_bytes: Larger ones are left out.

    Raises:
        OSError: If the storage fails.
    """
    files = tuple(account.file for account in shard.files)
    plan = Shard(shard.shard, shard.kind, () if files else tuple(refs), files)
    columns = FileColumns(config["image_key"], config["image_id_from"], pa.schema([]))
    policy = ReadPolicy(columns=columns, batch_size=batch_size, max_image_bytes=max_image_bytes)
    reader = ShardReader(policy)
    try:
        for batch in reader.read(plan):
            ids, hashes = (
                batch.rows.column(name).to_pylist() for name in (IMAGE_ID, CONTENT_SHA256)
            )
            yield KnownImages(tuple(zip(ids, hashes, strict=True)), tuple(batch.encoded))
    finally:
        reader.close()
