"""Executes a planned run: pipeline, summary, outcome."""

import time
from collections.abc import Sequence

from pipelines.cli.outcome import Outcome
from pipelines.cli.wording import format_summary, warn
from pipelines.running.dataflow import is_dry_run, is_template
from pipelines.running.graph import define_pipeline
from pipelines.running.metrics_file import write_metrics
from pipelines.running.pipeline_run import (
    Watch,
    make_pipeline,
    read_options,
    run_to_end,
    runs_here,
    workers_here,
)
from pipelines.running.run_facts import DRY_RUN, JOB_WRITTEN, run_facts
from pipelines.running.run_plan import RunPlan
from transforms.errors import printable
from transforms.lifecycle.lock import Hold
from transforms.lifecycle.staging import clear_staging, count_commits
from transforms.runs.record import read_record


def execute(plan: RunPlan, beam_argv: Sequence[str], hold: Hold) -> Outcome:
    """Runs the pipeline to its end and prints the summary.

    A Dataflow template is only written; the job that is made of it publishes by itself.

    Args:
        plan: The run.
        beam_argv: Beam's flags.
        hold: The lock of its output.

    Returns:
        The outcome: published, or all was done that was asked for.

    Raises:
        UserError: If an input turns out not to work.
        RunError: If the run did its work and may not be published.
    """
    started = time.monotonic()
    options = read_options(beam_argv)
    workers = workers_here(options) if runs_here(options) else ""
    pipeline = make_pipeline(options)
    define_pipeline(pipeline, plan)
    run_to_end(pipeline, options, _watch(plan, hold))
    output = plan.publication.output
    if is_template(options):
        hold.is_handed_over = True
        print(
            f"the job is written; once Dataflow runs it, it publishes {printable(output)} by itself"
        )
        return Outcome(facts={"status": JOB_WRITTEN, "output": output})
    if is_dry_run(options):
        if not plan.is_resumed:
            clear_staging(plan.publication.staging)
        print("dry run: the job was built and not submitted; nothing is published")
        return Outcome(facts={"status": DRY_RUN, "output": output})
    return sum_up(output, time.monotonic() - started, workers)


def sum_up(output: str, seconds: float, workers: str) -> Outcome:
    """Prints the summary of a published run.

    Args:
        output: The run directory.
        seconds: Wall time of the run, model loading included.
        workers: Threads or processes of this machine that worked, in words; empty if others did.

    Returns:
        The outcome.
    """
    record = read_record(output)
    print(format_summary(record, output=output, seconds=seconds, workers=workers))
    for warning in record["warnings"]:
        warn(warning)
    return Outcome(facts=run_facts(record, output=output, seconds=seconds))


def drop_if_new(plan: RunPlan) -> None:
    """Clears what a run has staged, if no shard of it is done."""
    if not plan.is_resumed and not count_commits(plan.publication.staging):
        clear_staging(plan.publication.staging)


def _watch(plan: RunPlan, hold: Hold) -> Watch:
    config = plan.launch.config

    def last_act(exit_code: int) -> str:
        write_metrics(config, exit_code)
        hold.let_go()
        return _way_on(plan)

    return Watch(
        stagings=(plan.publication.staging,),
        log_every=config.log_every,
        last_act=last_act,
        json_program=plan.program if config.json else None,
    )


def _way_on(plan: RunPlan) -> str:
    return (
        f"nothing is published; {plan.publication.staging} holds what is finished: "
        "run again with --resume to go on, or --overwrite to start again"
    )
