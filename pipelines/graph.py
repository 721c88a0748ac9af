"""The pipeline in one sentence; what it is made of is ready-made."""

import dataclasses
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.pvalue import PCollection

from transforms.batch_coder import register_batch_coder
from transforms.file_columns import FileColumns
from transforms.listing import Source
from transforms.match import MatchInputs
from transforms.plan import PlanShards
from transforms.preprocess import PreprocessImages
from transforms.preprocessing import Preprocessing
from transforms.publish import Publish, RunManifest
from transforms.read import ReadImages
from transforms.records import OutputRows, PixelBatch, Predictions, ShardKind
from transforms.unique_ids import CheckUniqueIds
from transforms.write import WriteShards


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunPlan:
    """Everything a run is made of, checked at launch.

    Attributes:
        sources: The classified inputs.
        manifests: URIs of manifests.
        columns: What to take from files, and the carried columns.
        rows_per_file: Rows an output file of listed images holds at most, about.
        batch_size: Images a model call.
        policy: What is done to every image.
        handler: The model.
        tabulate: ToEmbeddings or ToTopK.
        manifest: What run.json will say.
        num_model_threads: TensorFlow's threads, or None for one a core.
    """

    sources: tuple[Source, ...]
    manifests: tuple[str, ...]
    columns: FileColumns
    rows_per_file: int
    batch_size: int
    policy: Preprocessing
    handler: ModelHandler[PixelBatch, Predictions, Any]
    tabulate: beam.PTransform[PCollection[Predictions], PCollection[OutputRows]]
    manifest: RunManifest
    num_model_threads: int | None

    @property
    def reads_files(self) -> bool:
        """Whether some ids are known only once a TFRecord or Parquet file has been read."""
        return any(
            source.is_directory or source.kind is not ShardKind.IMAGES for source in self.sources
        )


def define_pipeline(root: beam.Pipeline, plan: RunPlan) -> None:
    """Adds the whole pipeline to root; runs nothing."""
    register_batch_coder()
    manifest = plan.manifest
    matched = root | "MatchInputs" >> MatchInputs(
        plan.sources, plan.manifests, plan.columns.carried, plan.columns.image_id_from
    )
    shards = (matched.images, matched.files) | "PlanShards" >> PlanShards(plan.rows_per_file)
    results = (
        shards
        | "ReadImages" >> ReadImages(plan.columns, plan.batch_size, plan.policy.max_image_bytes)
        | "PreprocessImages" >> PreprocessImages(plan.policy, plan.num_model_threads)
        | "RunInference" >> RunInference(plan.handler)
        | "Tabulate" >> plan.tabulate
        | "WriteShards"
        >> WriteShards(manifest.staging, manifest.stem, manifest.output_format, plan.reads_files)
    )
    if plan.reads_files:
        results = results | "CheckUniqueIds" >> CheckUniqueIds()
    _ = results | "Publish" >> Publish(manifest, matched.skipped)
