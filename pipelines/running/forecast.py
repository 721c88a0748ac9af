"""--plan: lists all, runs a few hundred images here, and says what the run would do and take."""

from collections.abc import Sequence
from typing import NamedTuple

from apache_beam.options.pipeline_options import DirectOptions

from pipelines.cli.forecast_flags import PlanFlags
from pipelines.cli.outcome import Outcome
from pipelines.running.forecast_facts import forecast_facts
from pipelines.running.forecast_report import Forecast, format_forecast
from pipelines.running.pipeline_run import read_options, runs_here, workers_here
from pipelines.running.run_plan import RunPlan
from pipelines.running.sample_run import SampleRun, run_sample
from transforms.errors import RunError
from transforms.forecast.comparison import Comparison
from transforms.forecast.sample import make_sample, sample_size
from transforms.forecast.workload import Workload, take_workload
from transforms.machine.usage import peak_memory_bytes, seconds_since_start


class _Machine(NamedTuple):
    """This machine, on which a forecast works whatever the runner.

    Attributes:
        workers: Threads that it uses, in words.
        threads: Number of them.
        is_here: Whether the run would be on it too.
    """

    workers: str
    threads: int
    is_here: bool


def forecast_run(
    plan: RunPlan, flags: PlanFlags, beam_argv: Sequence[str], *, output: str
) -> Outcome:
    """Prints what a run would do and take; writes nothing to its output.

    Args:
        plan: The run.
        flags: Flags that say what is asked of the forecast.
        beam_argv: Beam's flags.
        output: Sentence on whether the run could start at its output.

    Returns:
        The outcome.

    Raises:
        UserError: As the run would.
        RunError: If no image of the sample can be used.
    """
    launch_seconds = seconds_since_start()
    machine = _this_machine(beam_argv)
    workload = _take_workload(plan, machine.threads)
    run = None if workload.is_empty else _try_sample(plan, workload, machine.threads)
    forecast = Forecast(
        launch=plan.launch,
        workload=workload,
        shards=_count_shards(plan, workload),
        output=output,
        previous=plan.basis.counts,
        run=run,
        start_seconds=launch_seconds + workload.listing_seconds,
        workers=machine.workers,
        is_here=machine.is_here,
        memory_bytes=peak_memory_bytes(),
    )
    print(format_forecast(forecast, flags))
    if run is not None and not run.costs.rows and plan.launch.config.max_failed_fraction < 1:
        raise RunError("every image of the sample failed; a run would publish nothing")
    return Outcome(facts=forecast_facts(forecast, flags))


def _this_machine(beam_argv: Sequence[str]) -> _Machine:
    options = read_options(beam_argv)
    is_here = runs_here(options)
    if not is_here:  # Another runner's flags say nothing of this machine.
        options = read_options([])
    return _Machine(
        workers_here(options), options.view_as(DirectOptions).direct_num_workers, is_here
    )


def _take_workload(plan: RunPlan, threads: int) -> Workload:
    launch, basis = plan.launch, plan.basis
    return take_workload(
        launch.sources,
        launch.config.manifest,
        launch.columns,
        max_image_bytes=launch.policy.max_image_bytes,
        allow_private_hosts=launch.config.allow_private_hosts,
        draw=sample_size(launch.batch_size, threads),
        comparison=Comparison(
            basis.results,
            launch.base_fingerprint,
            has_same_recipe=basis.has_same_recipe,
            boxes=launch.columns.boxes,
        ),
    )


def _count_shards(plan: RunPlan, workload: Workload) -> int:
    in_files = workload.file_shards(plan.launch.config.rows_per_file)
    return plan.sizes.count(workload.survey.rows) + in_files


def _try_sample(plan: RunPlan, workload: Workload, threads: int) -> SampleRun:
    survey = workload.survey
    image_shards = plan.sizes.count(survey.rows)
    sample = make_sample(
        survey.drawn,
        workload.files_to_compute,
        size=sample_size(plan.launch.batch_size, threads),
        images=workload.listed_to_compute,
        images_in_files=workload.in_files_to_compute,
        rows_per_shard=-(-survey.rows // max(image_shards, 1)),
        threads=threads,
    )
    return run_sample(plan, sample, threads)
