"""One pass over the vectors of a run: what is measured of all, and a sample to look at closely."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from transforms.errors import InputError
from transforms.explore.input_survey import COLUMNS, InputSurvey
from transforms.runs.image_ids import digest_ids
from transforms.runs.record import PublishedRun
from transforms.runs.rows import read_run, to_matrix
from transforms.schemas import CONTENT_SHA256, EMBEDDING
from transforms.vectors.health import VectorNorms
from transforms.vectors.near_duplicates import make_sketcher

_SEED = 20261126
_SAMPLE_BYTES = 1 << 30


class VectorSurvey(NamedTuple):
    """What is kept of the vectors of a run, read once: measures of all, and a sample.

    Attributes:
        rows: Number of vectors.
        norms: Lengths and moments of all.
        contents: uint64 [rows], a digest of each image's content_sha256.
        sketches: float32 [rows, sketch_dim], sketch of each vector at length 1.
        sample_rows: int64 [sampled], ascending numbers of the rows in the sample.
        sample: float32 [sampled, dim], of length 1; 0 throughout where a vector is.
    """

    rows: int
    norms: VectorNorms
    contents: npt.NDArray[np.uint64]
    sketches: npt.NDArray[np.float32]
    sample_rows: npt.NDArray[np.int64]
    sample: npt.NDArray[np.float32]


def draw_sample(rows: int, count: int) -> npt.NDArray[np.int64]:
    """Draws some of many rows, each as likely, the same ones every time.

    Returns:
        int64 [at most count], ascending.
    """
    if rows <= count:
        return np.arange(rows)
    drawn = np.random.default_rng(_SEED).choice(rows, count, replace=False, shuffle=False)
    return np.sort(drawn)


def survey_vectors(
    run: PublishedRun, sample_rows: int, inputs: InputSurvey, on_rows: Callable[[int], None]
) -> VectorSurvey:
    """Reads all vectors of a run once.

    Args:
        run: A run of pipelines.embed with at least one row.
        sample_rows: Largest number of rows in the sample; fewer where those would be over 1 GiB.
        inputs: Survey of the images, which is told of every row.
        on_rows: Callback, told how many rows more have been read.

    Raises:
        InputError: If a file is damaged, or the run holds other rows than its _run.json says.
    """
    total = sum(shard.rows for shard in run.results)
    contents = bytearray()
    sample: npt.NDArray[np.float32] | None = None
    start = 0
    for batch in read_run(run, [CONTENT_SHA256, EMBEDDING, *COLUMNS]):
        vectors = to_matrix(batch.column(1), run.directory)
        if sample is None:
            dim = vectors.shape[1]
            norms, sketcher = VectorNorms(dim), make_sketcher(dim)
            drawn = draw_sample(total, min(sample_rows, _SAMPLE_BYTES // (4 * dim)))
            sample = np.empty((len(drawn), dim), np.float32)
            sketches = np.empty((total, sketcher.shape[1]), np.float32)
        stop = start + len(vectors)
        if vectors.shape[1] != dim or stop > total:
            raise InputError(
                f"{run.directory} has vectors of {vectors.shape[1]} numbers after {start:,} of "
                f"{dim}; _run.json says {total:,} rows"
            )
        unit = norms.add(vectors)
        sketches[start:stop] = unit @ sketcher
        first, last = np.searchsorted(drawn, (start, stop))
        sample[first:last] = unit[drawn[first:last] - start]
        contents += digest_ids(batch.column(0).to_pylist())
        inputs.add(batch)
        on_rows(len(vectors))
        start = stop
    if sample is None or start != total:
        raise InputError(f"{run.directory} has {start:,} vectors, _run.json says {total:,}")
    return VectorSurvey(total, norms, np.frombuffer(contents, np.uint64), sketches, drawn, sample)
