"""The pipeline in one sentence; what it is made of is ready-made."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.pvalue import PCollection

from transforms.batches import OutputRows, PixelBatch, Predictions
from transforms.forecast.sample import Sample
from transforms.images.policy import Preprocessing
from transforms.inputs.columns import FileColumns
from transforms.inputs.listing import Source
from transforms.lifecycle.previous_run import Previous
from transforms.lifecycle.publication import RunManifest
from transforms.records import Shard, ShardKind, ShardResult
from transforms.schemas import MODEL_COLUMNS
from transforms.steps.batch_coder import register_batch_coder
from transforms.steps.check_unique_ids import CheckUniqueIds
from transforms.steps.hash_images import HashImages
from transforms.steps.keep_finished import KeepFinished
from transforms.steps.match_inputs import MatchInputs
from transforms.steps.plan_retry import PlanRetry
from transforms.steps.plan_shards import PlanShards, ShardSizes
from transforms.steps.preprocess_images import PreprocessImages
from transforms.steps.publish import Publish
from transforms.steps.read_images import ReadImages, ReadPolicy
from transforms.steps.write_shards import StagingTarget, WriteShards


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunPlan:
    """Everything a run is made of, checked at launch.

    Attributes:
        sources: The classified inputs.
        manifests: URIs of manifests.
        columns: What to take from files, and the carried columns.
        sizes: How many shards of listed images there shall be.
        batch_size: Images a model call.
        policy: What is done to every image.
        handler: The model.
        tabulate: ToEmbeddings or ToTopK.
        manifest: What run.json will say.
        num_model_threads: TensorFlow's threads, or None for one a core.
        base_fingerprint: What the fingerprints of all shards share.
        is_resumed: Whether commit records of an earlier start count.
        previous: The run that this one builds on, if there is one.
        retried_shards: If the run only completes the previous one, how many shards that has.
        canaries: The shard of known images, if there are any.
        deduplicate: Whether images of the same bytes are given to the model once.
        places_by_content: Whether listed images are hashed first, and put into shards by it.
        has_files: Whether some shards are TFRecord, Parquet or tar files: ids are then known only
            once these have been read.
        hints: Resource hints of ComputeShards, by name.
        sample: What is computed in place of the inputs; None in a run.
    """

    sources: tuple[Source, ...]
    manifests: tuple[str, ...]
    columns: FileColumns
    sizes: ShardSizes
    batch_size: int
    policy: Preprocessing
    handler: ModelHandler[PixelBatch, Predictions, Any]
    tabulate: beam.PTransform[PCollection[Predictions], PCollection[OutputRows]]
    manifest: RunManifest
    num_model_threads: int | None
    base_fingerprint: str
    is_resumed: bool = False
    previous: Previous | None = None
    retried_shards: int | None = None
    canaries: Shard | None = None
    deduplicate: bool = False
    places_by_content: bool = False
    has_files: bool = False
    hints: Mapping[str, str] = dataclasses.field(default_factory=dict)
    sample: Sample | None = None


def may_have_files(sources: tuple[Source, ...]) -> bool:
    """Whether there may be TFRecord, Parquet or tar files among the inputs."""
    return any(source.is_directory or source.kind is not ShardKind.IMAGES for source in sources)


def define_pipeline(root: beam.Pipeline, plan: RunPlan) -> None:
    """Adds the whole pipeline to root; runs nothing."""
    register_batch_coder()
    manifest = plan.manifest
    shards, skipped = _plan_shards(root, plan)
    if plan.canaries is not None:
        known = root | "Canaries" >> beam.Create([plan.canaries], reshuffle=False)
        shards = (shards, known) | "WithCanaries" >> beam.Flatten()
    kept = shards | "KeepFinished" >> KeepFinished(
        manifest.staging, plan.base_fingerprint, plan.is_resumed, plan.previous, plan.has_files
    )
    written = (
        kept.unfinished
        # Small elements: shuffled before any image is opened, never after.
        | "SpreadShards" >> beam.Reshuffle().with_output_types(Shard)
        | "ComputeShards" >> ComputeShards(plan).with_resource_hints(**plan.hints)
    )
    results = (kept.finished, written) | "Results" >> beam.Flatten()
    if plan.has_files:
        results = results | "CheckUniqueIds" >> CheckUniqueIds()
    _ = results | "Publish" >> Publish(manifest, skipped, kept.damaged)


@dataclasses.dataclass(eq=False)
class ComputeShards(beam.PTransform[PCollection[Shard], PCollection[ShardResult]]):
    """Reads, decodes, infers and writes: one fused chain a shard, a batch at a time.

    One transform, so that resource hints reach the whole chain. A step with other hints than its
    neighbours would be cut off by a shuffle, with pixels in it.

    Attributes:
        plan: The run.
    """

    plan: RunPlan

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, shards: PCollection[Shard]) -> PCollection[ShardResult]:
        """Returns one result a shard."""
        plan, manifest = self.plan, self.plan.manifest
        policy = ReadPolicy(
            columns=plan.columns,
            batch_size=plan.batch_size,
            max_image_bytes=plan.policy.max_image_bytes,
            model_columns=MODEL_COLUMNS[manifest.stem],
            deduplicate=plan.deduplicate,
            images_per_file=plan.sample.images_per_file if plan.sample else None,
        )
        target = StagingTarget(
            staging=manifest.staging,
            output_format=manifest.output_format,
            carried=plan.columns.carried,
            digests=plan.has_files,
        )
        return (
            shards
            | "ReadImages" >> ReadImages(policy)
            | "PreprocessImages" >> PreprocessImages(plan.policy, plan.num_model_threads)
            | "RunInference" >> RunInference(plan.handler)
            | "Tabulate" >> plan.tabulate
            | "WriteShards" >> WriteShards(target)
        )


def _plan_shards(root: beam.Pipeline, plan: RunPlan) -> tuple[PCollection[Shard], PCollection[str]]:
    """Returns the shards of the run, and why names in directories were passed over."""
    if plan.sample is not None:
        shards = root | "Sample" >> beam.Create(plan.sample.shards, reshuffle=False)
        return shards, root | "NothingSkipped" >> beam.Create([])
    if plan.previous is not None and plan.retried_shards is not None:
        retry = PlanRetry(plan.previous.directory, plan.retried_shards)
        return root | "PlanRetry" >> retry, root | "NothingSkipped" >> beam.Create([])
    matched = root | "MatchInputs" >> MatchInputs(
        plan.sources, plan.manifests, plan.columns.carried, plan.columns.image_id_from
    )
    images = matched.images
    if plan.places_by_content:
        hashing = HashImages(plan.columns, plan.policy.max_image_bytes)
        images = images | "HashImages" >> hashing
    return (images, matched.files) | "PlanShards" >> PlanShards(plan.sizes), matched.skipped
