"""Images that calibrate int8, and others that tell what it costs: drawn as a run reads them."""

import contextlib
import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.cli.engine_flags import CALIBRATION_IMAGES, LEAST_CALIBRATION_IMAGES
from pipelines.cli.run_flags import RunConfig
from transforms.errors import FlagError, InputError
from transforms.forecast.comparison import Comparison
from transforms.forecast.sample import make_sample
from transforms.forecast.workload import take_workload
from transforms.images.policy import Preprocessing
from transforms.inputs.columns import FileColumns
from transforms.inputs.listing import classify_inputs
from transforms.inputs.source import Source
from transforms.schemas import CONTENT_SHA256
from transforms.steps.preprocess_images import preprocess_batch
from transforms.steps.read_images import ReadPolicy, ShardReader

_BATCH_SIZE = 32

_SPARE = 1.25
"""Drawn of what is wanted: some images are damaged, some twice there."""


class CalibrationImages(NamedTuple):
    """Two sets of images, with none in both.

    Attributes:
        calibration: [images, height, width, 3], as the model takes them.
        control: The same of others, about as many.
        sha256: Digest of the encoded images that calibrate, hexadecimal.
    """

    calibration: npt.NDArray[np.generic]
    control: npt.NDArray[np.generic]
    sha256: str


def draw_calibration_images(
    config: RunConfig,
    sources: tuple[Source, ...],
    columns: FileColumns,
    policy: Preprocessing,
) -> CalibrationImages:
    """Draws images by a hash: the same inputs give the same images, spread over all of them.

    Of listed images those whose ids have the smallest digests; of files of images the beginnings
    of some, far apart. Which of them calibrate is decided by a digest of their bytes.

    Args:
        config: The flags: how many, or in which directory.
        sources: Inputs of the run, classified.
        columns: Columns to take from files.
        policy: What is done to every image.

    Raises:
        UserError: If inputs cannot be read, or hold too few images.
    """
    from transforms.images.preprocessor import Preprocessor

    wanted, manifests = config.calibration_images, config.manifest
    origin = "the inputs"
    if isinstance(wanted, str):
        origin = f"--calibration_images {wanted}"
        with _naming(origin):
            sources, manifests = tuple(classify_inputs(wanted, None)), ()
        columns = FileColumns(None, None, pa.schema([]))
        wanted = CALIBRATION_IMAGES
    size = round(2 * wanted * _SPARE)
    with _naming(origin):
        workload = take_workload(
            sources,
            manifests,
            columns,
            max_image_bytes=policy.max_image_bytes,
            allow_private_hosts=config.allow_private_hosts,
            draw=size,
            comparison=Comparison((), "", has_same_recipe=False),
        )
    sample = make_sample(
        workload.survey.drawn,
        workload.files_to_compute,
        size=size,
        images=workload.listed_to_compute,
        images_in_files=workload.in_files_to_compute,
        rows_per_shard=size,
        threads=1,
    )
    reading = ReadPolicy(
        columns=columns,
        batch_size=_BATCH_SIZE,
        max_image_bytes=policy.max_image_bytes,
        allow_private_hosts=config.allow_private_hosts,
        images_per_file=sample.images_per_file,
        limits=config.read_limits,
    )
    preprocessor = Preprocessor(policy)
    found: dict[bytes, npt.NDArray[np.generic]] = {}
    with contextlib.closing(ShardReader(reading)) as reader:
        for shard in sample.shards:
            for batch in reader.read(shard):
                made = preprocess_batch(batch, preprocessor)
                contents = made.rows.column(CONTENT_SHA256).to_pylist()
                for content, image in zip(contents, made.pixels, strict=True):
                    found.setdefault(bytes.fromhex(content), image.copy())
    if len(found) < 2 * LEAST_CALIBRATION_IMAGES:
        raise FlagError(
            f"--precision int8 needs {2 * LEAST_CALIBRATION_IMAGES} different images that can be "
            f"decoded, to calibrate and to compare, and {origin} gave {len(found)}; give a "
            "directory of more with --calibration_images"
        )
    order = sorted(found)[: 2 * wanted]
    half = len(order) // 2
    calibration, control = (
        np.stack([found[it] for it in part]) for part in (order[:half], order[half:])
    )
    return CalibrationImages(
        calibration, control, hashlib.sha256(b"".join(order[:half])).hexdigest()
    )


@contextlib.contextmanager
def _naming(origin: str) -> Iterator[None]:
    """Says of what is wrong with images to calibrate on whose they are, the run's or a flag's."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{origin}: {error}") from error
