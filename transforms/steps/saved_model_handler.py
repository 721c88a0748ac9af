"""SavedModelHandler: the one place where the pipeline meets the model."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from apache_beam.ml.inference.base import ModelHandler
from apache_beam.utils.shared import Shared

from transforms.batches import PixelBatch, Predictions
from transforms.errors import ImageError, ModelError
from transforms.failure import Step
from transforms.machine.tensorflow_runtime import start_tensorflow
from transforms.models.engine_settings import EngineSettings, choose_engine
from transforms.models.first_layer import AssumedRange
from transforms.models.handle import fingerprint_model, resolve_model
from transforms.models.spec import ModelSpec
from transforms.steps.model_on_demand import ModelOnDemand
from transforms.steps.tally import BATCH_IMAGES, TALLY

if TYPE_CHECKING:
    from transforms.models.image_model import ImageModel
    from transforms.models.several_outputs import SeveralOutputs


class SavedModelHandler(ModelHandler[PixelBatch, Predictions, "ModelOnDemand[ImageModel]"]):
    """Runs an image model for Beam's RunInference; an element is a whole batch.

    Beam's own TensorFlow handlers load no SavedModel directory under Keras 3, and a
    PredictionResult would carry the pixels along.
    """

    def __init__(
        self,
        *,
        handle: str,
        fingerprint: str,
        spec: ModelSpec,
        image_size: tuple[int, int],
        settings: EngineSettings | None = None,
        assumed_range: AssumedRange | None = None,
    ) -> None:
        """Keeps what a worker needs to load the model; loads nothing.

        Args:
            handle: The model, as the user names it.
            fingerprint: Fingerprint of the model at launch.
            spec: Contract of the model's call.
            image_size: Height and width of the pixels it gets, in pixels.
            settings: Engine, precision and batch size to run it with; None for the engine of the
                model's format, in float32.
            assumed_range: Range of these pixels, if nobody said it; see ImageModel.
        """
        # The batches are made by ReadImages: one in, one out, whatever the bundle.
        super().__init__(min_batch_size=1, max_batch_size=1)
        self._handle = handle
        self._fingerprint = fingerprint
        self._spec = spec
        self._image_size = image_size
        self._settings = settings or EngineSettings(engine=choose_engine(spec.kind))
        self._assumed_range = assumed_range
        self._shared = Shared()

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the model at launch."""
        return self._fingerprint

    def load_model(self) -> "ModelOnDemand[ImageModel]":
        """Returns the model, one a process for this handler and its copies, to be loaded."""
        return self._shared.acquire(lambda: ModelOnDemand(self.load))

    def load(self) -> "ImageModel":
        """Loads and probes the model.

        Raises:
            ModelError: If it is not the model that the launch saw, cannot be run as the settings
                say, or fails its probe.
        """
        model_dir = self._find()
        from transforms.models.image_model import ImageModel

        return ImageModel(
            model_dir,
            self._spec,
            image_size=self._image_size,
            settings=self._settings,
            assumed_range=self._assumed_range,
        )

    def load_several(self, specs: Sequence[ModelSpec]) -> "SeveralOutputs":
        """Loads and probes the model, to be run for several of its outputs; see load.

        Args:
            specs: Contracts of the call, which differ in the output.
        """
        model_dir = self._find()
        from transforms.models.several_outputs import SeveralOutputs

        return SeveralOutputs(
            model_dir,
            specs,
            image_size=self._image_size,
            settings=self._settings,
            assumed_range=self._assumed_range,
        )

    def _find(self) -> str:
        """Starts TensorFlow, and returns the model's directory on this worker."""
        start_tensorflow(self._settings.num_threads)
        model_dir = resolve_model(self._handle)
        found = fingerprint_model(model_dir)
        if found != self._fingerprint:
            raise ModelError(
                f"{self._handle}: this worker found model {found[:12]}, the launch saw "
                f"{self._fingerprint[:12]}; keep the model unchanged while a run lasts"
            )
        return model_dir

    def run_inference(
        self,
        batch: Sequence[PixelBatch],
        model: "ModelOnDemand[ImageModel]",
        inference_args: dict[str, Any] | None = None,
    ) -> list[Predictions]:
        """Runs the model on each batch; what it fails on becomes a failure of that batch."""
        loaded = model()
        return [predict_batch(pixels, loaded) for pixels in batch]

    def get_num_bytes(self, batch: Sequence[PixelBatch]) -> int:
        """Returns the size of the pixels; Beam's default pickles them to find out."""
        return sum(pixels.pixels.nbytes for pixels in batch)

    def get_metrics_namespace(self) -> str:
        """Returns the namespace of Beam's inference metrics."""
        return "SavedModelHandler"


def predict_batch(batch: PixelBatch, model: "ImageModel") -> Predictions:
    """Runs the model on one batch."""
    from transforms.models.isolation import predict_isolating

    if images := len(batch.pixels):
        TALLY.observe(BATCH_IMAGES, images)
    started = time.perf_counter()
    model.range_doubt.look_at(batch.pixels)
    outputs, errors = predict_isolating(model, batch.pixels)
    return to_predictions(batch, model, outputs, errors, time.perf_counter() - started)


def to_predictions(
    batch: PixelBatch,
    model: "ImageModel",
    outputs: npt.NDArray[np.float32],
    errors: Mapping[int, ImageError],
    seconds: float,
) -> Predictions:
    """Makes the next step's batch of a model's answers.

    Args:
        batch: The batch as preprocessed.
        model: The model.
        outputs: float32 [good rows, output_dim].
        errors: Errors of the other rows, by row.
        seconds: Wall time that it took.
    """
    rows, failures = batch.set_aside(Step.MODEL, errors)
    times = {**batch.seconds, Step.MODEL: seconds}
    return Predictions(
        **batch.common_fields(rows=rows, failures=failures, seconds=times),
        outputs=outputs,
        outputs_are_probabilities=model.outputs_are_probabilities,
        warnings=model.warnings,
        range_doubt=model.range_doubt.sentence,
        engine=model.report,
    )
