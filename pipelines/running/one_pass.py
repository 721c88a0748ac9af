"""Several runs in one pass: launched, claimed, planned and executed together.

Each is a whole run, as its program alone would make it, and is published by itself.
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from pipelines.cli.one_pass_flags import OnePassConfig, RunFile, naming
from pipelines.cli.outcome import Outcome
from pipelines.cli.program import EXIT_FAILED
from pipelines.cli.wording import warn
from pipelines.running.dataflow import is_dry_run, is_template
from pipelines.running.destination import destination_of
from pipelines.running.execute import drop_if_new, sum_up
from pipelines.running.launch import MakeOutputs
from pipelines.running.pass_graph import define_pass
from pipelines.running.pipeline_run import (
    Watch,
    make_pipeline,
    read_options,
    run_to_end,
    runs_here,
    workers_here,
)
from pipelines.running.run import claim_run, launch_run, plan_claimed
from pipelines.running.run_facts import ALREADY_PUBLISHED, DRY_RUN, JOB_WRITTEN, REFUSED
from pipelines.running.run_plan import RunPlan
from transforms.errors import printable
from transforms.lifecycle.lock import Hold
from transforms.lifecycle.staging import read_refusal
from transforms.steps.publish import is_done


class _Planned(NamedTuple):
    """A run that has work to do."""

    file: RunFile
    plan: RunPlan
    hold: Hold


def run_pass(
    config: OnePassConfig,
    files: Sequence[RunFile],
    beam_argv: Sequence[str],
    *,
    outputs_of: Callable[[str], MakeOutputs[Any]],
    write_metrics: Callable[[int], None],
) -> Outcome:
    """Runs several runs over the same images; one that may not be published stops no other.

    Args:
        config: Flags of the pass.
        files: The runs.
        beam_argv: Beam's flags.
        outputs_of: Callback, given "embed" or "classify"; returns what says what becomes of a
            model's outputs.
        write_metrics: Callback, given the exit code, for a sudden end.

    Returns:
        The outcome, with one of each run.

    Raises:
        UserError: If a run cannot work; then none is begun.
    """
    launched = []
    for file in files:
        with naming(file):
            destination = destination_of(file.config)
            make_outputs = outputs_of(file.program)
            launch = launch_run(
                destination, file.config, program=file.program, make_outputs=make_outputs
            )
            launched.append((file, destination, launch))
    outcomes: dict[str, Outcome] = {}
    with contextlib.ExitStack() as stack:
        planned = []
        for file, destination, launch in launched:
            with naming(file):
                claim = stack.enter_context(claim_run(destination, launch))
                if claim.is_published:
                    facts = {"status": ALREADY_PUBLISHED, "output": claim.output}
                    outcomes[file.path] = Outcome(facts=facts)
                    done = f"{claim.output} has been published by this command"
                    print(printable(f"{file.path}: {done}; there is nothing to resume"))
                else:
                    plan = plan_claimed(launch, claim, destination)
                    planned.append(_Planned(file, plan, claim.hold))
        if planned:
            outcomes |= _execute(planned, config, beam_argv, write_metrics)
    return _sum_up([(file, outcomes[file.path]) for file in files])


def _execute(
    runs: Sequence[_Planned],
    config: OnePassConfig,
    beam_argv: Sequence[str],
    write_metrics: Callable[[int], None],
) -> dict[str, Outcome]:
    """Runs the pipeline; returns what became of each run, by its file's path."""
    started = time.monotonic()
    options = read_options(beam_argv)
    workers = workers_here(options) if runs_here(options) else ""
    pipeline = make_pipeline(options)
    define_pass(pipeline, [run.plan for run in runs])
    run_to_end(pipeline, options, _watch(runs, config, write_metrics))
    if is_template(options) or is_dry_run(options):
        status = JOB_WRITTEN if is_template(options) else DRY_RUN
        print("the job is written" if is_template(options) else "dry run: nothing is published")
        for run in runs:
            run.hold.is_handed_over = is_template(options)
            if is_dry_run(options):
                drop_if_new(run.plan)
        return {
            run.file.path: Outcome(facts={"status": status, "output": run.plan.publication.output})
            for run in runs
        }
    seconds = time.monotonic() - started
    return {run.file.path: _look_at(run, seconds, workers) for run in runs}


def _look_at(run: _Planned, seconds: float, workers: str) -> Outcome:
    """Says what became of a run."""
    publication = run.plan.publication
    reason = read_refusal(publication.staging)
    if is_done(publication):
        print(printable(f"{run.file.path}:"))
        outcome = sum_up(publication.output, seconds, workers)
        if reason is None:
            return outcome
    elif reason is not None:
        outcome = Outcome(facts={"status": REFUSED, "output": publication.output})
    else:
        raise RuntimeError(f"{publication.output} is neither published nor refused")
    warn(f"{run.file.path}: {reason}")
    return dataclasses.replace(outcome, error=reason, exit_code=EXIT_FAILED)


def _sum_up(runs: Sequence[tuple[RunFile, Outcome]]) -> Outcome:
    told = [
        {
            "config": file.path,
            "program": file.program,
            "exit_code": outcome.exit_code,
            "error": outcome.error,
            **outcome.facts,
        }
        for file, outcome in runs
    ]
    failed = [file.path for file, outcome in runs if outcome.exit_code]
    error = None
    if failed:
        error = f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}"
    return Outcome(facts={"runs": told}, error=error, exit_code=EXIT_FAILED if failed else 0)


def _watch(
    runs: Sequence[_Planned], config: OnePassConfig, write_metrics: Callable[[int], None]
) -> Watch:
    stagings = tuple(run.plan.publication.staging for run in runs)

    def last_act(exit_code: int) -> str:
        write_metrics(exit_code)
        with ThreadPoolExecutor(len(runs)) as threads:
            list(threads.map(lambda run: run.hold.let_go(), runs))
        return (
            f"{', '.join(stagings)} hold what is finished of runs that are not published: run "
            "again with resume: true in each file to go on, or overwrite: true to start again"
        )

    return Watch(
        stagings=stagings,
        log_every=config.log_every,
        last_act=last_act,
        json_program="one_pass" if config.json else None,
    )
