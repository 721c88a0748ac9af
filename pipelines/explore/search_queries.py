"""The images that pipelines.search looks for: files, or images of the run."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from transforms.errors import ImageError, InputError
from transforms.explore.thumbnails import (
    Thumbnail,
    draw_thumbnail,
    read_thumbnails,
    thumbnail_columns,
)
from transforms.files.schemes import scheme_of
from transforms.inputs.members import is_member
from transforms.machine.garbage import importing
from transforms.machine.tensorflow_runtime import start_tensorflow
from transforms.runs.embedding_runs import EmbeddingRuns
from transforms.runs.rows import find_rows, read_vectors, take_rows
from transforms.schemas import CONTENT_SHA256

SIDE_PIXELS = 240
"""Of pictures on the page."""


@dataclasses.dataclass(frozen=True)
class Query:
    """An image that is looked for.

    Attributes:
        name: Name as the user gave it: a URI, or the image_id of an image of the run.
        content_sha256: sha256 of the encoded image, hexadecimal.
        thumbnail: Small picture of the image, or why there is none.
        row: Row number in the run, or None if the query is a file.
    """

    name: str
    content_sha256: str
    thumbnail: Thumbnail
    row: int | None = None


def read_queries(
    runs: EmbeddingRuns, images: Sequence[str], image_ids: Sequence[str], handle: str | None
) -> tuple[list[Query], npt.NDArray[np.float32]]:
    """Reads the images that are looked for, and their vectors.

    Args:
        runs: Run that the images are looked for in; one alone.
        images: URIs of files; the run's model embeds them.
        image_ids: Images of the run.
        handle: The model, if it is no longer where the run found it.

    Returns:
        The queries, and float32 [queries, dim].

    Raises:
        UserError: If an image or the model cannot be used.
    """
    queries: list[Query] = []
    parts: list[npt.NDArray[np.float32]] = []
    if images:
        queries, vectors = _embed(runs, images, handle)
        parts.append(vectors)
    if image_ids:
        (run,) = runs.runs
        rows = find_rows(run, image_ids)
        order, places = np.unique(rows, return_inverse=True)
        parts.append(read_vectors(run, order)[places])
        table = take_rows(run, order, thumbnail_columns(run.record))
        hashes = table[CONTENT_SHA256].to_pylist()
        pictures = read_thumbnails(run.record, table, SIDE_PIXELS)
        queries += [
            Query(image_id, hashes[place], pictures[place], int(order[place]))
            for image_id, place in zip(image_ids, places.tolist(), strict=True)
        ]
    vectors = np.concatenate(parts)
    for query, vector in zip(queries, vectors, strict=True):
        if not vector.any():
            raise InputError(f"the vector of {query.name} is 0 throughout: nothing is near to it")
    return queries, vectors


def _embed(
    runs: EmbeddingRuns, uris: Sequence[str], handle: str | None
) -> tuple[list[Query], npt.NDArray[np.float32]]:
    """Gives image files to the run's model."""
    # Reading it would say so, but TensorFlow is slow to import.
    for path in (uri for uri in uris if scheme_of(uri) is None and not uri.startswith("file:")):
        if not os.path.exists(path) and not is_member(path):
            raise InputError(f"{path}: no such file or directory")
    with importing():  # TensorFlow: --image_id does without.
        start_tensorflow()
        from transforms.explore.query_images import embed_query_images, read_query_images
        from transforms.models.engine_settings import EngineSettings
        from transforms.models.image_model import ImageModel
        from transforms.runs.model_of_run import find_model_of_run, quantized_of

    record = runs.record
    images = read_query_images(record, uris)
    body = find_model_of_run(runs, handle)
    size = body.policy.image_size
    settings = EngineSettings(
        engine=record["recipe"]["model"]["engine"],
        precision=record["recipe"]["model"]["precision"],
        pixel_range=body.policy.pixel_range,
        batch_size=len(uris),
        quantized=quantized_of(runs.runs[0]),
    )
    model = ImageModel(body.model_dir, body.spec, image_size=size, settings=settings)
    vectors = embed_query_images(images, model, body.policy)
    pictures = [_draw(encoded, body.policy.max_image_pixels) for encoded in images.encoded]
    return list(map(Query, uris, images.content_sha256, pictures)), vectors


def _draw(encoded: bytes, max_image_pixels: int) -> Thumbnail:
    try:
        return Thumbnail(draw_thumbnail(encoded, SIDE_PIXELS, max_image_pixels), "")
    except ImageError as error:  # Decoders differ in what they forgive.
        return Thumbnail(b"", str(error))
