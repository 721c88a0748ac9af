"""The model alone: loaded once, called on a batch that is ready; reads and writes nothing."""

import functools
import os
import pathlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from transforms.models.engine_settings import EngineSettings
from transforms.models.image_model import ImageModel
from transforms.models.inspection import inspect_saved_model

BATCH_SIZE = 32
SIDE = 224


@functools.cache
def load_model(model_dir: pathlib.Path, engine: str, precision: str) -> ImageModel:
    """Loads a model as the pipeline does."""
    settings = EngineSettings(engine=engine, precision=precision, batch_size=BATCH_SIZE)
    spec = inspect_saved_model(str(model_dir))
    return ImageModel(str(model_dir), spec, image_size=(SIDE, SIDE), settings=settings)


def run(
    photos: pathlib.Path, model_dir: pathlib.Path, threads: int, *, engine: str, precision: str
) -> None:
    """Calls the model on as many images as there are photos."""
    model = load_model(model_dir, engine, precision)
    pixels = np.random.default_rng(0).random((BATCH_SIZE, SIDE, SIDE, 3), np.float32)
    count = len(os.listdir(photos))
    batches = [pixels[: count - start] for start in range(0, count, BATCH_SIZE)]
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(model, batches):
            pass
