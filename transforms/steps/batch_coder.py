"""BatchCoder: how batches cross a stage, if a runner makes them, and what they weigh."""

import pickle
from typing import Any

import pyarrow as pa
from apache_beam.coders import Coder
from apache_beam.coders.typecoders import registry

from transforms.batches import (
    Batch,
    EncodedImages,
    OutputRows,
    PixelBatch,
    Predictions,
    SharedBatches,
    SharedImages,
    SharedPixels,
    SharedPredictions,
)


class BatchCoder(Coder):
    """Codes a batch's rows as Arrow does and the rest by pickle; knows its size without coding it.

    Beam takes the size of the first elements of every bundle on every edge, also where they only
    pass from one fused step to the next. Pickling 32 images of 224 x 224 for that takes 11 ms.
    And a pickled fixed_size_list type forgets its field's name and that it holds no nulls (pyarrow
    25), so that the bytes of the output would depend on where a runner cuts its stages. Batches
    are never read from outside: the pickles are Beam's own.
    """

    def encode(self, value: Batch) -> bytes:
        """Returns the batch as bytes: a pickle that holds its rows as an Arrow stream."""
        rows = pa.BufferOutputStream()
        with pa.ipc.new_stream(rows, value.rows.schema) as stream:
            stream.write_batch(value.rows)
        fields = {**vars(value), "rows": rows.getvalue().to_pybytes()}
        return pickle.dumps((type(value), fields), pickle.HIGHEST_PROTOCOL)

    def decode(self, encoded: bytes) -> Batch:
        """Returns the batch that encode was given."""
        batch_class, fields = pickle.loads(encoded)
        rows = pa.ipc.open_stream(fields["rows"]).read_next_batch()
        return batch_class(**{**fields, "rows": rows})

    def estimate_size(self, value: Batch) -> int:
        """Returns the size of the arrays, in bytes."""
        return value.size_bytes


class SharedBatchesCoder(Coder):
    """Codes the batches of several runs each by itself; see BatchCoder."""

    def encode(self, value: SharedBatches[Any]) -> bytes:
        """Returns the batches as bytes; on this way they share nothing."""
        batches = {run: BatchCoder().encode(batch) for run, batch in value.batches.items()}
        return pickle.dumps((type(value), batches), pickle.HIGHEST_PROTOCOL)

    def decode(self, encoded: bytes) -> SharedBatches[Any]:
        """Returns the batches that encode was given."""
        kind, batches = pickle.loads(encoded)
        return kind({run: BatchCoder().decode(batch) for run, batch in batches.items()})

    def estimate_size(self, value: SharedBatches[Any]) -> int:
        """Returns the size of the arrays, in bytes."""
        return value.size_bytes


def register_batch_coder() -> None:
    """Makes Beam use these coders for batches; before a pipeline that has them is built."""
    for shared in (SharedImages, SharedPixels, SharedPredictions):
        registry.register_coder(shared, SharedBatchesCoder)
    for batch in (EncodedImages, PixelBatch, Predictions, OutputRows):
        registry.register_coder(batch, BatchCoder)
