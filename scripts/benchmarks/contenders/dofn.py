"""The other way to hold a model: a plain DoFn with beam.utils.shared, in RunInference's place."""

import pathlib
from typing import TYPE_CHECKING

import apache_beam as beam
from apache_beam.pvalue import PCollection
from apache_beam.utils.shared import Shared

from pipelines.running import graph
from scripts.benchmarks.contenders import ours
from transforms.batches import PixelBatch, Predictions
from transforms.steps.model_on_demand import ModelOnDemand
from transforms.steps.saved_model_handler import SavedModelHandler

if TYPE_CHECKING:
    from transforms.models.image_model import ImageModel


class _RunModel(beam.DoFn):
    _model: "ModelOnDemand[ImageModel]"

    def __init__(self, handler: SavedModelHandler) -> None:
        self._handler = handler
        self._shared = Shared()

    def setup(self) -> None:
        self._model = self._shared.acquire(self._handler.load_model)

    def process(self, batch: PixelBatch) -> list[Predictions]:
        return self._handler.run_inference([batch], self._model)


class RunModel(beam.PTransform[PCollection[PixelBatch], PCollection[Predictions]]):
    """Runs the handler's model on each batch, without Beam's metrics or its batching step."""

    def __init__(self, handler: SavedModelHandler) -> None:
        super().__init__()
        self._handler = handler

    @beam.typehints.no_annotations
    def expand(self, batches: PCollection[PixelBatch]) -> PCollection[Predictions]:
        """Returns one batch of predictions a batch of pixels."""
        return batches | beam.ParDo(_RunModel(self._handler)).with_output_types(Predictions)


def run(photos: pathlib.Path, model_dir: pathlib.Path, output: pathlib.Path) -> None:
    """Runs the pipeline with the DoFn in RunInference's place."""
    graph.RunInference = RunModel  # type: ignore[attr-defined, assignment]
    ours.run(photos, model_dir, output)
