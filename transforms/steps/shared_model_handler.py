"""SharedModelHandler: one model for several runs, run once for all outputs that they want."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from apache_beam.ml.inference.base import ModelHandler
from apache_beam.utils.shared import Shared

from transforms.batches import SharedPixels, SharedPredictions
from transforms.models.spec import ModelSpec
from transforms.steps.model_on_demand import ModelOnDemand
from transforms.steps.saved_model_handler import SavedModelHandler, to_predictions
from transforms.steps.tally import BATCH_IMAGES, TALLY

if TYPE_CHECKING:
    from transforms.models.several_outputs import SeveralOutputs


class SharedModelHandler(
    ModelHandler[SharedPixels, SharedPredictions, "ModelOnDemand[SeveralOutputs]"]
):
    """Runs an image SavedModel for Beam's RunInference; see SavedModelHandler."""

    def __init__(self, handler: SavedModelHandler, specs: Mapping[int, ModelSpec]) -> None:
        """Keeps what a worker needs to load the model; loads nothing.

        Args:
            handler: Handler of the model, whatever its output.
            specs: Contract of the call of each run, by the run's place; they differ in the output.
        """
        super().__init__(min_batch_size=1, max_batch_size=1)
        self._handler = handler
        self._specs = list(dict.fromkeys(specs.values()))
        self._places = {run: self._specs.index(spec) for run, spec in specs.items()}
        self._shared = Shared()

    def load_model(self) -> "ModelOnDemand[SeveralOutputs]":
        """Returns the model, one a process for this handler and its copies, to be loaded."""
        return self._shared.acquire(
            lambda: ModelOnDemand(lambda: self._handler.load_several(self._specs))
        )

    def run_inference(
        self,
        batch: Sequence[SharedPixels],
        model: "ModelOnDemand[SeveralOutputs]",
        inference_args: dict[str, Any] | None = None,
    ) -> list[SharedPredictions]:
        """Runs the model on each batch; what it fails on becomes a failure of that batch."""
        loaded = model()
        return [predict_shared(pixels, loaded, self._places) for pixels in batch]

    def get_num_bytes(self, batch: Sequence[SharedPixels]) -> int:
        """Returns the size of the pixels; Beam's default pickles them to find out."""
        return sum(shared.first.pixels.nbytes for shared in batch)

    def get_metrics_namespace(self) -> str:
        """Returns the namespace of Beam's inference metrics."""
        return "SharedModelHandler"


def predict_shared(
    shared: SharedPixels, model: "SeveralOutputs", places: Mapping[int, int]
) -> SharedPredictions:
    """Runs the model on one batch.

    Args:
        shared: The batch as each run has it, by the run's place.
        model: The model.
        places: Places of the runs' outputs among those of the model, by the run's place.
    """
    pixels = shared.first.pixels
    if images := len(pixels):
        TALLY.observe(BATCH_IMAGES, images)
    started = time.perf_counter()
    wanted = sorted({places[run] for run in shared.batches})
    for place in wanted:
        model.models[place].range_doubt.look_at(pixels)
    answers = dict(zip(wanted, model.predict(pixels, wanted), strict=True))
    seconds = (time.perf_counter() - started) / len(shared.batches)
    return SharedPredictions(
        {
            run: to_predictions(
                batch, model.models[places[run]], *answers[places[run]], seconds=seconds
            )
            for run, batch in shared.batches.items()
        }
    )
