"""The pipeline in one sentence; what it is made of is ready-made."""

import dataclasses
from typing import NamedTuple

import apache_beam as beam
from apache_beam.ml.inference.base import RunInference
from apache_beam.pvalue import PCollection

from pipelines.running.run_plan import RunPlan
from transforms.batches import PixelBatch, Predictions
from transforms.lifecycle.basis import Completion, Refresh
from transforms.records import PassedOver, Shard
from transforms.results import ShardResult
from transforms.schemas import computed_columns
from transforms.steps.batch_coder import register_batch_coder
from transforms.steps.check_unique_ids import CheckUniqueIds
from transforms.steps.divide_files import DivideFiles
from transforms.steps.hash_images import HashImages
from transforms.steps.keep_finished import KeepFinished, Kept
from transforms.steps.launched_model import make_handler
from transforms.steps.match_inputs import Listed, MatchInputs
from transforms.steps.plan_coder import register_plan_coder
from transforms.steps.plan_retry import PlanRetry
from transforms.steps.plan_shards import PlanShards
from transforms.steps.preprocess_images import PreprocessImages
from transforms.steps.publish import Publish
from transforms.steps.read_images import ReadImages, ReadPolicy
from transforms.steps.saved_model_handler import SavedModelHandler
from transforms.steps.write_shards import StagingTarget, WriteShards


def define_pipeline(root: beam.Pipeline, plan: RunPlan) -> PCollection[None]:
    """Adds the whole pipeline to root; runs nothing. One element comes once it is published."""
    register_batch_coder()
    register_plan_coder()
    planned = plan_shards(root, plan)
    kept = keep_finished(plan, planned.shards)
    written = (
        kept.unfinished
        # Small elements: shuffled before any image is opened, never after.
        | "SpreadShards" >> beam.Reshuffle().with_output_types(Shard)
        | "ComputeShards" >> ComputeShards(plan).with_resource_hints(**plan.launch.hints)
    )
    return publish(plan, planned, kept, written)


class Planned(NamedTuple):
    """What a run works on.

    Attributes:
        shards: PCollection[Shard], of the run.
        skipped: PCollection[PassedOver], what in directories was passed over.
        warnings: PCollections[str], what could not be listed, or not be divided.
    """

    shards: PCollection[Shard]
    skipped: PCollection[PassedOver]
    warnings: tuple[PCollection[str], ...]


def plan_shards(
    root: beam.Pipeline, plan: RunPlan, listed: Listed | None = None, runs: int = 1
) -> Planned:
    """Lists the inputs and plans the shards.

    Args:
        root: The pipeline.
        plan: The run, or one of those that plan the same shards.
        listed: Inputs as they have been listed already, for several runs; or None.
        runs: Number of runs that plan the same shards.
    """
    launch, basis = plan.launch, plan.basis
    if plan.sample is not None:
        shards = root | "Sample" >> beam.Create(plan.sample.shards, reshuffle=False)
        return Planned(shards, *_nothing(root))
    if isinstance(basis, Completion):
        retry = PlanRetry(basis.run.directory, len(basis.results))
        return Planned(root | "PlanRetry" >> retry, *_nothing(root))
    matched = root | "MatchInputs" >> match_inputs(plan, listed)
    images = matched.images
    if plan.places_by_content:
        hashing = HashImages(
            launch.columns,
            launch.policy.max_image_bytes,
            launch.config.read_limits,
            allow_private_hosts=launch.config.allow_private_hosts,
        )
        images = images | "HashImages" >> hashing
    files = matched.files
    warnings: tuple[PCollection[str], ...] = (matched.warnings,)
    if plan.has_files:
        dividing = DivideFiles(launch.columns, launch.config.rows_per_file, basis.previous)
        divided = files | "DivideFiles" >> dividing
        files = divided.files
        warnings = (*warnings, divided.warnings)
    shards = (images, files) | "PlanShards" >> PlanShards(plan.sizes, runs)
    return Planned(shards, matched.skipped, warnings)


def match_inputs(plan: RunPlan, listed: Listed | None = None) -> MatchInputs:
    """Returns what lists a run's inputs; see plan_shards."""
    launch, basis = plan.launch, plan.basis
    return MatchInputs(
        launch.sources,
        launch.config.manifest,
        launch.columns.stored,
        launch.columns.image_id_from,
        (basis.run.directory, len(basis.results)) if isinstance(basis, Refresh) else None,
        basis.has_same_recipe,
        launch.config.allow_private_hosts,
        launch.columns.uri_column,
        launch.columns.boxes,
        listed,
    )


def keep_finished(plan: RunPlan, shards: PCollection[Shard]) -> Kept:
    """Tells a run's finished shards from those that it must work on, the canaries among these."""
    launch = plan.launch
    if launch.canaries is not None:
        known = shards.pipeline | "Canaries" >> beam.Create([launch.canaries], reshuffle=False)
        shards = (shards, known) | "WithCanaries" >> beam.Flatten()
    return shards | "KeepFinished" >> KeepFinished(
        staging=plan.publication.staging,
        base_fingerprint=launch.base_fingerprint,
        is_resumed=plan.is_resumed,
        previous=plan.basis.previous,
        digests=plan.may_repeat_ids,
        places_by_content=plan.places_by_content,
    )


def publish(
    plan: RunPlan,
    planned: Planned,
    kept: Kept,
    written: PCollection[ShardResult],
    *,
    is_alone: bool = True,
) -> PCollection[None]:
    """Publishes a run once all of its shards are done.

    Args:
        plan: The run.
        planned: Its shards, and what is said of its inputs.
        kept: Shards that were done before.
        written: Shards that are done now.
        is_alone: Whether its refusal fails the pipeline.
    """
    results = (kept.finished, written) | "Results" >> beam.Flatten()
    if plan.may_repeat_ids:
        results = results | "CheckUniqueIds" >> CheckUniqueIds()
    warnings = (*planned.warnings, kept.damaged)
    publishing = Publish(plan.publication, planned.skipped, warnings, is_alone)
    return results | "Publish" >> publishing


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
        launch, publication = self.plan.launch, self.plan.publication
        handler = make_handler(launch.model, launch.engine)
        preprocessing = PreprocessImages(
            launch.policy,
            launch.config.num_model_threads,
            publication.staging,
            launch.config.image_statistics,
            handler,
        )
        pixels = (
            shards
            | "ReadImages" >> ReadImages(read_policy(self.plan))
            | "PreprocessImages" >> preprocessing
        )
        return infer_and_write(self.plan, handler, pixels)


def read_policy(plan: RunPlan) -> ReadPolicy:
    """Returns how a run reads shards."""
    launch, sample = plan.launch, plan.sample
    return ReadPolicy(
        columns=launch.columns,
        batch_size=launch.batch_size,
        max_image_bytes=launch.policy.max_image_bytes,
        computed_columns=computed_columns(launch.stem, statistics=launch.config.image_statistics),
        deduplicate=launch.config.deduplicate,
        allow_private_hosts=launch.config.allow_private_hosts,
        images_per_file=sample.images_per_file if sample else None,
        limits=launch.config.read_limits,
    )


def infer_and_write(
    plan: RunPlan, handler: SavedModelHandler, pixels: PCollection[PixelBatch]
) -> PCollection[ShardResult]:
    """Runs a run's model on its batches, and writes the shards."""
    return tabulate_and_write(plan, pixels | "RunInference" >> RunInference(handler))


def tabulate_and_write(
    plan: RunPlan, predictions: PCollection[Predictions]
) -> PCollection[ShardResult]:
    """Makes rows of a model's answers, and writes the shards."""
    launch, publication = plan.launch, plan.publication
    target = StagingTarget(
        staging=publication.staging,
        output_format=publication.output_format,
        carried=launch.columns.carried,
        digests=plan.may_repeat_ids,
    )
    return (
        predictions | "Tabulate" >> launch.outputs.tabulate | "WriteShards" >> WriteShards(target)
    )


def _nothing(
    root: beam.Pipeline,
) -> tuple[PCollection[PassedOver], tuple[PCollection[str], ...]]:
    nothing = root | "NothingSkipped" >> beam.Create([])
    return nothing, ()
