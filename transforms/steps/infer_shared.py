"""InferShared: pixels that several runs share -> the predictions of each, from one model."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.batches import Predictions, SharedPixels, SharedPredictions
from transforms.steps.shared_model_handler import SharedModelHandler


def _by_run(shared: SharedPredictions) -> Iterator[Any]:
    for run, batch in shared.batches.items():
        yield TaggedOutput(_output_of(run), batch)


def _output_of(run: int) -> str:
    return f"run_{run}"


@beam.typehints.with_input_types(SharedPixels)
@dataclasses.dataclass(eq=False)
class InferShared(beam.PTransform[PCollection[SharedPixels], tuple[PCollection[Predictions], ...]]):
    """Runs one model once for several runs, batch for batch.

    Attributes:
        handler: What loads and runs the model.
        runs: Places of the runs.
    """

    handler: SharedModelHandler
    runs: Sequence[int]

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, pixels: PCollection[SharedPixels]) -> tuple[PCollection[Predictions], ...]:
        """Returns the predictions of each run, in order of `runs`."""
        names = [_output_of(run) for run in self.runs]
        told = (
            pixels
            | "RunInference" >> RunInference(self.handler)
            | "ByRun" >> beam.FlatMap(_by_run).with_outputs(*names)
        )
        for name in names:
            told[name].element_type = Predictions
        return tuple(told[name] for name in names)
