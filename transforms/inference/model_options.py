"""ModelOptions: what every transform says of a model, its images and its batches."""

import dataclasses

from transforms.errors import FlagError
from transforms.images.policy import Preprocessing
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
    image_size: tuple[int, int] | None = None
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
        if not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise FlagError(
                f'batch_size must be a number, at least 1, or "auto", got {self.batch_size!r}'
            )
        return self.batch_size

    def settle(self, model: str) -> SettledModel:
        """Finds and inspects the model.

        Raises:
            UserError: If it cannot be used so.
        """
        given = {
            field.name: value
            for field in dataclasses.fields(Preprocessing)
            if field.name != "image_size" and (value := getattr(self, field.name, None)) is not None
        }
        return settle_model(
            model,
            signature=self.signature,
            output_key=self.output_key,
            # Beam YAML gives a list.
            image_size=None if self.image_size is None else (*self.image_size,),
            preprocessing=given,
            engine=self.engine,
            precision=self.precision,
            num_threads=self.num_model_threads,
            batch_size=AUTO if self.batch_size == AUTO else self.images_a_batch,
        )
