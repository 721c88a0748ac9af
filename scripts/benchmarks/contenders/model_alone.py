"""The model alone: loaded once, called on a batch that is ready; reads and writes nothing."""

import os
import pathlib
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from transforms.files.atomic_files import write_whole
from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessor
from transforms.models.engine_settings import INT8, EngineSettings
from transforms.models.image_model import ImageModel
from transforms.models.inspection import inspect_saved_model
from transforms.models.quantized_engine import make_quantized
from transforms.models.quantized_file import pack
from transforms.records import WrittenFile

BATCH_SIZE = 32
SIDE = 224


CALIBRATION_PHOTOS = 32
"""As many as tell the time of int8, which does not depend on them."""


_LOADED: dict[tuple[pathlib.Path, str, str], ImageModel] = {}


def load_model(
    model_dir: pathlib.Path, engine: str, precision: str, photos: pathlib.Path
) -> ImageModel:
    """Loads a model once, as the pipeline does; for int8, the first photos calibrate it before."""
    key = model_dir, engine, precision
    if key not in _LOADED:
        _LOADED[key] = _load(*key, photos)
    return _LOADED[key]


def _load(model_dir: pathlib.Path, engine: str, precision: str, photos: pathlib.Path) -> ImageModel:
    settings = EngineSettings(
        engine=engine,
        precision=precision,
        batch_size=BATCH_SIZE,
        quantized=_quantize(model_dir, photos) if precision == INT8 else None,
    )
    spec = inspect_saved_model(str(model_dir))
    return ImageModel(str(model_dir), spec, image_size=(SIDE, SIDE), settings=settings)


def _quantize(model_dir: pathlib.Path, photos: pathlib.Path) -> WrittenFile:
    first = sorted(photos.iterdir())[:CALIBRATION_PHOTOS]
    preprocess = Preprocessor(Preprocessing(image_size=(SIDE, SIDE)))
    pixels = preprocess([path.read_bytes() for path in first]).pixels
    quantized = make_quantized(
        str(model_dir),
        inspect_saved_model(str(model_dir)),
        settings=EngineSettings(engine="openvino"),
        calibration=pixels,
        control=pixels,
        making={},
        images_sha256="",
    )
    directory = tempfile.mkdtemp(prefix="image-inference-benchmark-")
    return write_whole(os.path.join(directory, "model.tar"), pack(quantized))


def run(
    photos: pathlib.Path, model_dir: pathlib.Path, threads: int, *, engine: str, precision: str
) -> None:
    """Calls the model on as many images as there are photos."""
    model = load_model(model_dir, engine, precision, photos)
    pixels = np.random.default_rng(0).random((BATCH_SIZE, SIDE, SIDE, 3), np.float32)
    count = len(os.listdir(photos))
    batches = [pixels[: count - start] for start in range(0, count, BATCH_SIZE)]
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(model, batches):
            pass
