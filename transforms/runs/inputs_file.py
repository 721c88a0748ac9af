"""What a shard was given, kept beside its rows: the next refresh compares a listing with it."""

import io
from collections.abc import Iterable, Mapping

import pyarrow as pa

from transforms.errors import UnlistedError
from transforms.failure import Failure, Step
from transforms.files.atomic_files import read_whole, write_whole
from transforms.records import ImageRef, Shard, ShardKind, WrittenFile
from transforms.schemas import IMAGE_ID, URI

CHUNK_ROWS = 8192

_CARRIED = "carried"
_UNLISTED = UnlistedError("").error_type
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


def inputs_schema(carried: pa.Schema) -> pa.Schema:
    """Returns the columns of an inputs file.

    One row an image of a shard of images, in order; of a file that holds images, one row a
    failure, whose listing is not known. Carried columns are a struct, so that their names are
    free.
    """
    listing = [
        pa.field(IMAGE_ID, pa.string(), nullable=False),
        pa.field(URI, pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64()),
        pa.field("version", pa.string()),
    ]
    extra = [pa.field(_CARRIED, pa.struct(list(carried)))] if len(carried) else []
    fate = [pa.field(name, pa.string()) for name in ("step", "error_type", "message")]
    return pa.schema([*listing, *extra, *fate])


def write_inputs(
    path: str, shard: Shard, failures: Iterable[Failure], carried: pa.Schema
) -> WrittenFile:
    """Writes what a shard was given and which of it failed.

    Args:
        path: The file; Arrow IPC.
        shard: The shard.
        failures: Failures of the shard.
        carried: The carried columns.
    """
    if shard.kind is ShardKind.IMAGES:
        fates = {failure.image_id: failure for failure in failures}
        rows = [_row(ref, fates.get(ref.image_id), carried) for ref in shard.refs]
    else:
        rows = [_row(ImageRef(fate.image_id, fate.uri), fate, carried) for fate in failures]
    table = pa.Table.from_pylist(rows, schema=inputs_schema(carried))
    buffer = io.BytesIO()
    with pa.ipc.new_file(buffer, table.schema, options=_OPTIONS) as writer:
        writer.write_table(table, max_chunksize=CHUNK_ROWS)
    return write_whole(path, buffer.getvalue())


def read_inputs(path: str) -> tuple[tuple[ImageRef, ...], tuple[Failure, ...]]:
    """Reads an inputs file.

    Returns:
        The images, and those of them that failed, in order.

    Raises:
        pa.ArrowInvalid, OSError: If it is damaged.
    """
    rows = pa.ipc.open_file(read_whole(path)).read_all().to_pylist()
    refs = tuple(
        ImageRef(
            row[IMAGE_ID],
            row[URI],
            row["size_bytes"],
            row["version"],
            tuple((row.get(_CARRIED) or {}).values()),
            unlisted=row["message"] if row["error_type"] == _UNLISTED else None,
        )
        for row in rows
    )
    failures = tuple(
        Failure(row[IMAGE_ID], row[URI], Step(row["step"]), row["error_type"], row["message"])
        for row in rows
        if row["step"] is not None
    )
    return refs, failures


def _row(ref: ImageRef, failure: Failure | None, carried: pa.Schema) -> Mapping[str, object]:
    return {
        IMAGE_ID: ref.image_id,
        URI: ref.uri,
        "size_bytes": ref.size_bytes,
        "version": ref.version,
        _CARRIED: dict(zip(carried.names, ref.carried, strict=True)) if ref.carried else None,
        "step": failure and failure.step.value,
        "error_type": failure and failure.error_type,
        "message": failure and failure.message,
    }
