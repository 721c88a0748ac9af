"""ModelOptions: what every transform says of a model, its images and its batches."""

import dataclasses
import numbers
import os

import numpy as np

from transforms.errors import FlagError
from transforms.images.policy import Preprocessing, to_image_size
from transforms.inference.settled_model import SettledModel, settle_model
from transforms.models.engine_settings import AUTO, LARGEST_TUNED_BATCH


@dataclasses.dataclass(eq=False, kw_only=True)
class ModelOptions:
    """Arguments that the transforms share; see EmbedImages. None is what the model says."""

    signature: str | None = None
    output_key: str | None = None
    engine: str | None = None
    precision: str = "float32"
    batch_size: int | str = 32
    max_batch_seconds: float | None = None
    num_model_threads: int | None = None
    image_size: int | str | tuple[int, int] | None = None
    input_range: str | None = None
    resize_mode: str | None = None
    crop_fraction: float | None = None
    interpolation: str | None = None
    antialias: bool | None = None
    exif: str | None = None
    decode: str | None = None
    color_profile: str | None = None
    max_image_pixels: int | None = None
    max_image_bytes: int | None = None
    max_image_seconds: float | None = None

    @property
    def images_a_batch(self) -> int:
        """Images that make a batch full.

        Raises:
            FlagError: If batch_size is neither a number of them nor "auto".
        """
        if self.batch_size == AUTO:
            return LARGEST_TUNED_BATCH
        return _count("batch_size", self.batch_size, 'a number, at least 1, or "auto"')

    def settle(self, model: str | os.PathLike[str]) -> SettledModel:
        """Finds and inspects the model.

        Raises:
            UserError: If it cannot be used so.
        """
        if not isinstance(model, str | os.PathLike):
            raise FlagError(f"model must be a path or URI, got {model!r}")
        threads = self.num_model_threads
        try:
            image_size = None if self.image_size is None else to_image_size(self.image_size)
        except ValueError as error:
            raise FlagError(f"image_size: {error}") from error
        given = {
            field.name: value.item() if isinstance(value, np.generic) else value
            for field in dataclasses.fields(Preprocessing)
            if field.name != "image_size" and (value := getattr(self, field.name, None)) is not None
        }
        return settle_model(
            os.fspath(model),
            signature=self.signature,
            output_key=self.output_key,
            image_size=image_size,
            preprocessing=given,
            engine=self.engine,
            precision=self.precision,
            num_threads=None
            if threads is None
            else _count("num_model_threads", threads, "a number, at least 1"),
            batch_size=AUTO if self.batch_size == AUTO else self.images_a_batch,
        )


def _count(name: str, value: object, wanted: str) -> int:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise FlagError(f"{name} must be {wanted}, got {value!r}")
    return int(value)
