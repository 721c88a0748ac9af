"""From a checked launch and a claimed output to a run: what it builds on and must satisfy."""

from collections.abc import Mapping

from pipelines.running.graph import RunPlan, may_have_files
from pipelines.running.launch import Launch, describe_run, make_handler
from transforms.errors import FlagError
from transforms.lifecycle.canaries import CanaryGate
from transforms.lifecycle.claim import Claim
from transforms.lifecycle.previous_run import Previous, why_recomputed
from transforms.lifecycle.publication import PreviousCounts, RunManifest
from transforms.runs.directory import absolute_output
from transforms.runs.recipe import describe_differences, fingerprint_json
from transforms.runs.record import PublishedRun
from transforms.runs.root import RunRoot
from transforms.steps.plan_shards import ShardSizes


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
        manifest=RunManifest(
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
