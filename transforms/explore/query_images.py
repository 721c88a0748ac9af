"""Images that are looked for: read, and given to the model that made a run's vectors."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.errors import InputError
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessor
from transforms.inputs.columns import FileColumns
from transforms.inputs.image_files import ImageFiles
from transforms.models.image_model import ImageModel
from transforms.models.isolation import predict_isolating
from transforms.records import ImageRef
from transforms.schemas import CONTENT_SHA256


@dataclasses.dataclass(frozen=True)
class QueryImages:
    """Image files to search with.

    Attributes:
        uris: URI of each.
        encoded: Content of each file.
        content_sha256: sha256 of each file, hexadecimal.
    """

    uris: tuple[str, ...]
    encoded: tuple[bytes, ...]
    content_sha256: tuple[str, ...]


def read_query_images(record: Mapping[str, Any], uris: Sequence[str]) -> QueryImages:
    """Reads images.

    Args:
        record: The _run.json of the run: the limit on files, and where images are in files.
        uris: Files, or images in files as the run names them (`file#index`).

    Raises:
        InputError: If one cannot be read.
    """
    config = record["config"]
    columns = FileColumns(config["image_key"], config["image_id_from"], pa.schema([]))
    files = ImageFiles(columns, record["preprocessing"]["max_image_bytes"])
    try:
        # Named by their places: one file may be given twice.
        part = files.read([ImageRef(str(place), uri) for place, uri in enumerate(uris)])
    except OSError as error:
        raise InputError(f"an image cannot be read: {error}") from error
    finally:
        files.close()
    for failure in part.failures:
        message = failure.message
        raise InputError(
            message if message.startswith(failure.uri) else f"{failure.uri}: {message}"
        )
    return QueryImages(
        tuple(uris), part.encoded, tuple(part.rows.column(CONTENT_SHA256).to_pylist())
    )


def embed_query_images(
    images: QueryImages, model: ImageModel, policy: Preprocessing
) -> npt.NDArray[np.float32]:
    """Computes the vectors of images as a run does.

    Args:
        images: The images.
        model: Model of the run.
        policy: Policy by which the run turned every image into pixels.

    Returns:
        float32 [images, embedding_dim], not normalized.

    Raises:
        InputError: If one cannot be decoded, or the model fails on it.
    """
    decoded = Preprocessor(policy)(images.encoded)
    for place, error in decoded.errors.items():
        raise InputError(f"{images.uris[place]}: {error}")
    vectors, errors = predict_isolating(model, decoded.pixels)
    for place, failure in errors.items():
        raise InputError(f"{images.uris[place]}: {failure}")
    return vectors
