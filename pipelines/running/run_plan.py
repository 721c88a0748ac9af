"""From a checked launch and a claimed output to a run: what it builds on and must satisfy."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
from apache_beam.ml.inference.base import ModelHandler
from apache_beam.pvalue import PCollection

from pipelines.running.launch import Launch, describe_run, make_handler
from transforms.batches import OutputRows, PixelBatch, Predictions
from transforms.errors import FlagError
from transforms.forecast.sample import Sample
from transforms.images.policy import Preprocessing
from transforms.inputs.columns import FileColumns
from transforms.inputs.source import Source
from transforms.lifecycle.canaries import CanaryGate
from transforms.lifecycle.claim import Claim
from transforms.lifecycle.previous_run import Previous, why_recomputed
from transforms.lifecycle.publication import PreviousCounts, Publication
from transforms.records import Shard, ShardKind
from transforms.runs.directory import absolute_output
from transforms.runs.recipe import describe_differences, fingerprint_json
from transforms.runs.record import PublishedRun
from transforms.runs.root import RunRoot
from transforms.steps.plan_shards import ShardSizes


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
        publication: What run.json will say.
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
    publication: Publication
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


def plan_run(
    launch: Launch,
    claim: Claim,
    staging: str,
    *,
    previous: PublishedRun | None = None,
    completes: bool = False,
    root: RunRoot | None = None,
    max_deleted_fraction: float = 1.0,
) -> RunPlan:
    """Plans the run that a launch and a claimed output make.

    Args:
        launch: The checked flags.
        claim: Where to write.
        staging: Where to work until then.
        previous: The run to build on.
        completes: Whether to compute the failures of the previous run only.
        root: The refresh root, if the run is a refresh.
        max_deleted_fraction: Largest share of the previous run's images that may be gone.

    Raises:
        UserError: If the previous run or the canaries cannot be used.
    """
    config = launch.config
    differing = why_recomputed(previous, launch.recipe, limits=not completes) if previous else {}
    if completes and previous is not None and differing:
        raise FlagError(
            f"--retry_failed {previous.directory}: its rows were made otherwise: "
            f"{describe_differences(differing)}; use what it used"
        )
    is_refresh = previous is not None and not completes
    gate = None
    if config.canaries is not None and launch.canaries is not None:
        directory = absolute_output(config.canaries)
        gate = CanaryGate(directory, config.canary_threshold, launch.stem, config.write_canaries)
        gate.check_expected(launch.canaries)
    return RunPlan(
        sources=launch.sources,
        manifests=config.manifest,
        columns=launch.columns,
        sizes=ShardSizes(
            config.rows_per_file, previous.image_shard_count if previous and is_refresh else 0
        ),
        batch_size=launch.engine.batch_size or 1,
        policy=launch.policy,
        handler=make_handler(launch.model, launch.engine),
        tabulate=launch.outputs.tabulate,
        publication=Publication(
            run_id=claim.run_id,
            output=claim.output,
            staging=staging,
            stem=launch.stem,
            output_format=config.output_format,
            max_failed_fraction=config.max_failed_fraction,
            max_deleted_fraction=max_deleted_fraction,
            previous=_previous_counts(previous, differing) if previous else None,
            canary_gate=gate,
            root=root,
            description=describe_run(launch),
        ),
        num_model_threads=config.num_model_threads,
        base_fingerprint=fingerprint_json(
            {"recipe": launch.recipe, "columns": launch.column_recipe}
        ),
        is_resumed=claim.is_resumed,
        previous=Previous(previous.directory, not differing, completes) if previous else None,
        retried_shards=len(previous.results) if previous and completes else None,
        canaries=launch.canaries,
        deduplicate=config.deduplicate,
        places_by_content=config.deduplicate and root is None,
        has_files=(
            any(result.file is not None for result in previous.results)
            if previous and completes
            else may_have_files(launch.sources)
        ),
        hints=launch.hints,
    )


def _previous_counts(previous: PublishedRun, differing: Mapping[str, str]) -> PreviousCounts:
    return PreviousCounts(
        previous.directory,
        sum(result.images for result in previous.results),
        {result.file.uri: result.images for result in previous.results if result.file},
        describe_differences(differing) if differing else None,
    )


def may_have_files(sources: tuple[Source, ...]) -> bool:
    """Whether there may be TFRecord, Parquet or tar files among the inputs."""
    return any(source.is_directory or source.kind is not ShardKind.IMAGES for source in sources)
