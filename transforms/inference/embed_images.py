"""EmbedImages: a vector for every image of a PCollection."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import PCollection

from transforms.batches import OutputRows, Predictions
from transforms.errors import FlagError
from transforms.inference.image_inference import ImageInference, Inferred
from transforms.inference.infer_batch import columns_less_names
from transforms.models.engine_settings import NORMALIZATIONS
from transforms.models.image_model import ImageModel
from transforms.schemas import CONTENT_SHA256, EMBEDDING, HEIGHT, WIDTH
from transforms.steps.to_embeddings import to_embedding_rows

COLUMNS = {EMBEDDING: Sequence[np.float32], WIDTH: int, HEIGHT: int, CONTENT_SHA256: str}
"""New columns, and their types."""


@dataclasses.dataclass(eq=False)
class EmbedImages(ImageInference):
    """Gives every image its vector, by any TF2 image SavedModel.

    For example::

        rows, failures = pipeline | beam.Create(["a.jpg", "b.jpg"]) | EmbedImages("model/")

    An element is the bytes of an image file, its URI, or a row or dict with a field of either; a
    tuple of two is a key and such an element. What comes out keeps the key and the other fields,
    and has the columns embedding (list of float), width, height (before anything is done to the
    image, in pixels) and content_sha256. An element without a type comes out without one.

    Arguments that are left out are what the model says, or the defaults of pipelines.embed, whose
    flags have the same names.

    Attributes:
        model: Handle of the SavedModel or ONNX file: a directory, .tar.gz, .onnx, or URI. A
            SavedModel is code: run only models that you trust.
        normalize: "l2" scales vectors to length 1; "none" does not.
        image: Name of the field that holds the image, in rows and dicts.
        signature: Signature or sub-callable to run, if the model has several.
        output_key: Output to take, if the model has several.
        engine: "tensorflow", or "openvino" if that is installed; None is "tensorflow", of ONNX
            "openvino".
        precision: "float32", "bfloat16", "float16" or "auto".
        batch_size: Images a model call, or "auto": the fastest, measured on the first batches. A
            batch ends early with its bundle, and with 24 MiB.
        max_batch_seconds: Seconds for which a batch waits for more, across bundles: for streams,
            whose bundles are small. It shuffles the elements, images and all. None waits for none.
        num_model_threads: Number of the engine's threads; None for one a core.
        image_size: Height and width in pixels, or one number for both.
        input_range: Range of the pixels that the model wants: "0,1", "-1,1", "0,255", "imagenet"
            or "caffe".
        resize_mode: "squash", "crop" or "pad".
        crop_fraction: Share of the largest centred crop to keep, with "crop".
        interpolation: Method of tf.image.resize.
        antialias: Whether to filter when making smaller.
        exif: "apply" turns photos upright, "ignore" does not.
        decode: "exact", or "fast" for large JPEG files.
        color_profile: "srgb" applies ICC profiles, "ignore" does not.
        max_image_pixels: Most pixels of an image; larger ones fail.
        max_image_bytes: Most bytes of an image file; larger ones fail.
        max_image_seconds: Seconds after which the decoding of an image fails.

    Raises:
        UserError: From where it is applied, if the model cannot be used so.
        TypeError: If rows have no field for the image, or one of a new column's name.
    """

    model: str
    normalize: str = "none"

    @beam.typehints.no_annotations
    def expand(self, images: PCollection[Any]) -> Inferred:
        """Returns the elements with vectors, and those that failed."""
        check_normalize(self.normalize)
        return self.infer(
            images,
            self.settle(self.model),
            tabulate=functools.partial(tabulate_embeddings, normalize=self.normalize),
            columns_of=_columns_of,
            columns=COLUMNS,
        )


def check_normalize(normalize: str) -> None:
    """Checks the name of what is done to vectors.

    Raises:
        FlagError: If there is no such thing.
    """
    if normalize not in NORMALIZATIONS:
        raise FlagError(f"normalize must be one of {' '.join(NORMALIZATIONS)}, got {normalize!r}")


def tabulate_embeddings(batch: Predictions, _: ImageModel, *, normalize: str) -> OutputRows:
    """Makes rows of float32 vectors."""
    return to_embedding_rows(
        batch, dtype="float32", normalize=normalize, carried=pa.schema([]), metadata={}
    )


def _columns_of(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    columns = columns_less_names(batch)
    vectors = columns.pop(EMBEDDING)
    # Arrow makes an object of each number on the way to a list, which takes forty times as long.
    values = vectors.flatten().to_numpy().reshape(-1, vectors.type.list_size).tolist()
    others = {name: column.to_pylist() for name, column in columns.items()}
    return [
        {EMBEDDING: vector, **{name: column[row] for name, column in others.items()}}
        for row, vector in enumerate(values)
    ]
