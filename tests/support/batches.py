"""Builders of the records that travel between transforms."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa

from transforms.batches import EncodedImages, OutputRows, Predictions
from transforms.failure import Failure, Step
from transforms.records import Shard, ShardKey, ShardKind
from transforms.schemas import embedding_schema, read_schema
from transforms.steps.write_shards import StagingTarget

NOTHING_CARRIED = pa.schema([])


def read_rows(*image_ids: str) -> pa.RecordBatch:
    """Makes rows as ReadImages gives them."""
    columns = [[i, f"/photos/{i}", f"sha256 of {i}"] for i in image_ids]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, pa.string()) for column in zip(*columns, strict=True)]
        if columns
        else [pa.array([], pa.string())] * 3,
        schema=read_schema(NOTHING_CARRIED),
    )


def failure(image_id: str = "bad") -> Failure:
    """Makes a failure of the decoder."""
    return Failure(image_id, f"/photos/{image_id}", Step.DECODE, "CorruptImage", "cut short")


def batch_fields(
    *image_ids: str, failures: tuple[Failure, ...] = (), index: int = 0, is_last: bool = True
) -> dict[str, Any]:
    """Makes the fields that every batch has."""
    return {
        "shard": ShardKey(0, 1),
        "index": index,
        "is_last": is_last,
        "matched": len(image_ids) + len(failures),
        "rows": read_rows(*image_ids),
        "failures": failures,
        "plan": Shard(ShardKey(0, 1), ShardKind.TFRECORD) if is_last else None,
    }


def staging_target(
    staging: pathlib.Path, output_format: str = "parquet", *, digests: bool = False
) -> StagingTarget:
    """Says where and how WriteShards writes."""
    return StagingTarget(
        staging=str(staging),
        output_format=output_format,
        carried=NOTHING_CARRIED,
        digests=digests,
    )


def encoded_images(contents: dict[str, bytes]) -> EncodedImages:
    """Makes a batch as ReadImages gives it."""
    return EncodedImages(**batch_fields(*contents), encoded=tuple(contents.values()))


def predictions(outputs: dict[str, list[float]], **fields: Any) -> Predictions:  # noqa: ANN401
    """Makes a batch as the model gives it, of images 20 wide and 10 high."""
    made = batch_fields(*outputs, **fields)
    for name, pixels in (("width", 20), ("height", 10)):
        made["rows"] = made["rows"].append_column(
            name, pa.array([pixels] * len(outputs), pa.int32())
        )
    width = len(next(iter(outputs.values()), ()))
    values = np.array(list(outputs.values()), np.float32).reshape(len(outputs), width)
    return Predictions(**made, outputs=values)


def output_rows(*image_ids: str, shard: ShardKey | None = None, **fields: Any) -> OutputRows:  # noqa: ANN401
    """Makes a batch of embedding rows, as WriteShards takes it."""
    schema = embedding_schema(2, "float32", NOTHING_CARRIED, {"model": "m"})
    made = batch_fields(*image_ids, **fields)
    flat = pa.array([x for n in range(len(image_ids)) for x in (float(n), 1.0)], pa.float32())
    columns = {
        "embedding": pa.FixedSizeListArray.from_arrays(flat, type=schema.field("embedding").type),
        "width": pa.array([20] * len(image_ids), pa.int32()),
        "height": pa.array([10] * len(image_ids), pa.int32()),
    }
    read = {name: made["rows"].column(name) for name in made["rows"].schema.names}
    arrays = [{**read, **columns}[name] for name in schema.names]
    made["rows"] = pa.RecordBatch.from_arrays(arrays, schema=schema)
    if shard is not None:
        plan = made["plan"] and dataclasses.replace(made["plan"], key=shard)
        made |= {"shard": shard, "plan": plan}
    return OutputRows(**made)
