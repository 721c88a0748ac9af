"""One model run once for several of its outputs, with the numbers that each has alone."""

import contextlib
import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from transforms.errors import InferenceError, ModelCallError, ModelError, OutOfMemoryError
from transforms.models.engine_settings import EngineSettings
from transforms.models.first_layer import AssumedRange
from transforms.models.image_model import ImageModel
from transforms.models.isolation import predict_isolating, set_aside_not_finite
from transforms.models.spec import ModelSpec

_COMPARED_SIZES = (1, 3, 8)
"""Images of the calls that are compared, beside those of a full batch."""

_Answer = tuple[npt.NDArray[np.float32], dict[int, ModelCallError]]


class SeveralOutputs:
    """A model for several outputs. Threads may call it at the same time.

    Outputs are computed side by side, by one call, if that gives the same bits as a call each; an
    engine may fuse or round otherwise where two outputs are wanted. If it does not, or if a call
    fails, each output has a call of its own.

    Attributes:
        models: Model of each output, as it is alone.
    """

    def __init__(
        self,
        model_dir: str,
        specs: Sequence[ModelSpec],
        *,
        image_size: tuple[int, int],
        settings: EngineSettings,
        assumed_range: AssumedRange | None = None,
    ) -> None:
        """Loads, compares and probes a model for each output, and for all.

        Args:
            model_dir: A directory that holds saved_model.pb.
            specs: Contracts of the call, which differ in the output; each output once.
            image_size: (height, width) in pixels.
            settings: Engine, precision and batch size to run it with.
            assumed_range: Range of its pixels, if nobody said it; see ImageModel.

        Raises:
            ModelError: As ImageModel.
        """
        self.models = tuple(
            ImageModel(
                model_dir,
                spec,
                image_size=image_size,
                settings=settings,
                assumed_range=assumed_range,
            )
            for spec in specs
        )
        self._together: ImageModel | None = None
        if len(specs) > 1 and not settings.tunes_batch_size:
            joined = dataclasses.replace(specs[0], output_rank=None, output_dim=None)
            keys = [spec.output_key for spec in specs]
            with contextlib.suppress(ModelError, InferenceError):  # Each alone can be run.
                together = ImageModel(
                    model_dir, joined, image_size=image_size, settings=settings, joined_keys=keys
                )
                sizes = {*_COMPARED_SIZES, settings.batch_size or 1}
                if all(self._is_same(together, size) for size in sizes):
                    self._together = together

    @property
    def is_run_once(self) -> bool:
        """Whether a call gives all outputs."""
        return len(self.models) == 1 or self._together is not None

    def predict(self, pixels: npt.NDArray[np.generic], places: Sequence[int]) -> list[_Answer]:
        """Runs the model; one bad image costs only itself, and only the outputs that it fails.

        Args:
            pixels: [n, height, width, 3], as the model takes them.
            places: Places of the wanted outputs among `models`.

        Returns:
            Of each wanted output, float32 [good rows, output_dim] and the error of every other row.
        """
        together = self._together
        if together is not None and len(places) > 1 and len(pixels):
            try:
                outputs = self._split(together(pixels))
            except OutOfMemoryError:
                self._together = None
            except InferenceError:
                pass  # A call each says which image it is, and of which output.
            else:
                return [set_aside_not_finite(outputs[place], {}) for place in places]
        return [predict_isolating(self.models[place], pixels) for place in places]

    def _is_same(self, together: ImageModel, images: int) -> bool:
        """Tells whether all outputs by one call are bit for bit what each is alone."""
        pixels = together.random_images(images)
        outputs = self._split(together(pixels))
        return all(
            output.tobytes() == model(pixels).tobytes()
            for output, model in zip(outputs, self.models, strict=True)
        )

    def _split(self, outputs: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
        """Tells outputs that lie side by side apart: of widths 2 and 3, columns 0-1 and 2-4."""
        ends = np.cumsum([model.output_dim for model in self.models])[:-1]
        return [np.ascontiguousarray(part) for part in np.split(outputs, ends, axis=1)]
