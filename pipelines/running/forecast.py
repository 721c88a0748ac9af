"""--plan: lists all, runs a few hundred images here, and says what the run would do and take."""

import time
from collections.abc import Sequence

from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from pipelines.cli.forecast_flags import PlanFlags
from pipelines.running.execute import EXIT_DONE, runs_here, use_every_core
from pipelines.running.forecast_report import Forecast, format_forecast
from pipelines.running.launch import Launch
from pipelines.running.run_plan import RunPlan
from pipelines.running.sample_run import run_sample
from transforms.errors import RunError
from transforms.forecast.comparison import Comparison
from transforms.forecast.input_survey import take_survey
from transforms.forecast.sample import make_sample, sample_size
from transforms.inputs.counts import FileCount, count_in_files
from transforms.machine.usage import peak_memory_bytes, seconds_since_start
from transforms.records import ImageRef
from transforms.runs.record import PublishedRun


def forecast_run(
    launch: Launch,
    plan: RunPlan,
    flags: PlanFlags,
    beam_argv: Sequence[str],
    *,
    output: str,
    previous: PublishedRun | None = None,
) -> int:
    """Prints what a run would do and take; writes nothing to its output.

    Args:
        launch: The checked flags.
        plan: The run.
        flags: What is asked of the forecast.
        beam_argv: Beam's flags. Whatever the runner, only this machine works.
        output: What is to be said of the run's output.
        previous: The run that it would refresh, if there is one.

    Returns:
        EXIT_DONE.

    Raises:
        UserError: As the run would.
        RunError: If no image of the sample can be used.
    """
    launch_seconds = seconds_since_start()
    options = PipelineOptions(list(beam_argv))
    is_here = runs_here(options)
    if not is_here:
        options = PipelineOptions([])
    workers = use_every_core(options)
    threads: int = options.view_as(DirectOptions).direct_num_workers

    comparison = _compare(plan, previous)
    started = time.monotonic()
    survey = take_survey(
        plan.sources,
        plan.manifests,
        plan.columns,
        draw=sample_size(plan.batch_size, threads),
        is_wanted=comparison.must_compute if comparison else _always,
    )
    listing_seconds = time.monotonic() - started
    images = comparison.images_to_compute if comparison else survey.images
    carried = {file for file in survey.files if comparison and comparison.is_carried_over(file)}
    files = [file for file in survey.files if file not in carried]
    counts = count_in_files(files, plan.columns)
    in_files = round(sum(count.images for count in counts.values()))
    if comparison is not None:
        counts |= {f: FileCount(comparison.images_before(f), is_exact=True) for f in carried}
    image_shards = plan.sizes.count(survey.images)

    run = costs = None
    if files or survey.drawn:
        sample = make_sample(
            survey.drawn,
            files,
            images=images,
            images_in_files=in_files,
            rows_per_shard=-(-survey.images // max(image_shards, 1)),
            batch_size=plan.batch_size,
            threads=threads,
        )
        run = run_sample(plan, sample, threads)
        costs = run.costs.of_a_run(launch_seconds + listing_seconds)
    forecast = Forecast(
        launch=launch,
        survey=survey,
        counts=counts,
        images_to_compute=images + in_files,
        shards=image_shards + len(survey.files),
        output=output,
        changes=(
            comparison.changes({file: count.images for file, count in counts.items()})
            if comparison
            else None
        ),
        previous=plan.publication.previous,
        max_deleted_fraction=plan.publication.max_deleted_fraction,
        run=run,
        costs=costs,
        workers=workers,
        is_here=is_here,
        memory_bytes=peak_memory_bytes(),
    )
    print(format_forecast(forecast, flags))
    if run is not None and not run.costs.rows and launch.config.max_failed_fraction < 1:
        raise RunError("every image of the sample failed; a run would publish nothing")
    return EXIT_DONE


def _compare(plan: RunPlan, previous: PublishedRun | None) -> Comparison | None:
    if previous is None or plan.previous is None:
        return None
    return Comparison(
        previous, plan.base_fingerprint, has_same_recipe=plan.previous.has_same_recipe
    )


def _always(ref: ImageRef) -> bool:
    return True
