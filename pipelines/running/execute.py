"""Runs a planned pipeline: runner, progress, summary, outcome."""

import contextlib
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.runner import PipelineResult
from rich.console import Console

from pipelines.cli.outcome import Outcome, format_json
from pipelines.cli.progress import ProgressLine
from pipelines.cli.progress_log import Pace, ProgressLog
from pipelines.cli.wording import format_summary, warn
from pipelines.running.dataflow import (
    failure_type,
    is_dry_run,
    is_on_dataflow,
    is_template,
    job_messages,
)
from pipelines.running.graph import define_pipeline
from pipelines.running.job_watch import describe_finished, describe_job, take_measures
from pipelines.running.kept_views import KeptViews
from pipelines.running.metrics_file import write_metrics
from pipelines.running.run_facts import DRY_RUN, JOB_WRITTEN, run_facts
from pipelines.running.run_plan import RunPlan
from transforms.errors import FlagError, ModelError, RunError, UserError, brief, printable
from transforms.lifecycle.lock import Hold
from transforms.lifecycle.staging import clear_staging, count_commits
from transforms.machine.signals import ENDINGS, on_signals
from transforms.runs.record import read_record
from transforms.steps.tally import TALLY

MAX_THREADS = 16
"""Of the local runner. Each holds a few batches; decoding and the model use every core anyway."""

LOCAL_RUNNERS = ("", "direct", "directrunner", "fnapirunner")

_WORKERS = {False: ("thread", "threads"), True: ("process", "processes")}

_REPORTED = re.compile(r"transforms\.errors\.(\w+): (.+)")


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
    pipeline = _make_pipeline(options)
    define_pipeline(pipeline, plan)
    try:
        _run_to_end(pipeline, options, plan)
    except ModelError:
        # Found out as the model was loaded: other flags are needed, and nothing is worth keeping.
        if not plan.is_resumed and not count_commits(plan.publication.staging):
            clear_staging(plan.publication.staging)
        raise
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
    record = read_record(output)
    seconds = time.monotonic() - started
    print(format_summary(record, output=output, seconds=seconds, workers=workers))
    for warning in record["warnings"]:
        warn(warning)
    return Outcome(facts=run_facts(record, output=output, seconds=seconds))


def _make_pipeline(options: PipelineOptions) -> beam.Pipeline:
    try:
        return beam.Pipeline(runner=FnApiRunner() if runs_here(options) else None, options=options)
    except ValueError as error:  # Beam's own flags do not do for the runner.
        raise FlagError(brief(error)) from error


def _run_to_end(pipeline: beam.Pipeline, options: PipelineOptions, plan: RunPlan) -> None:
    """Runs the pipeline, says how far it is, and raises our own errors as such."""
    TALLY.reset()
    with contextlib.ExitStack() as stack:
        stack.enter_context(own_errors(failure_type(options)))
        if not runs_here(options):
            _run_elsewhere(pipeline, options, plan, stack)
            return
        stack.enter_context(quiet_beam())
        progress = _show_progress(options, plan)
        stack.callback(progress.stop)
        stack.enter_context(leaving_on_signals(progress, plan, lambda code: _last_act(plan, code)))
        take_measures(pipeline.run())


def _show_progress(options: PipelineOptions, plan: RunPlan) -> ProgressLine | ProgressLog:
    """Shows a bar on a terminal, and a line every so often elsewhere, of what is done here."""
    # Other processes have tallies of their own: nothing of them is seen here.
    is_visible = options.view_as(DirectOptions).direct_running_mode != "multi_processing"
    console = Console(stderr=True)
    if is_visible and console.is_terminal:
        return ProgressLine(console)
    pace = Pace()
    staging = plan.publication.staging

    def describe() -> str:
        if is_visible:
            return pace.describe(TALLY.counts())
        return f"the processes are at work{describe_finished(staging)}"

    return ProgressLog(plan.launch.config.log_every, describe)


def _run_elsewhere(
    pipeline: beam.Pipeline,
    options: PipelineOptions,
    plan: RunPlan,
    stack: contextlib.ExitStack,
) -> None:
    """Runs the pipeline on other machines, or other processes of this one."""
    if is_on_dataflow(options):
        stack.enter_context(job_messages())
    result = pipeline.run()
    pace = Pace()
    staging = plan.publication.staging
    progress = ProgressLog(
        plan.launch.config.log_every, lambda: describe_job(result, pace, staging)
    )
    try:
        result.wait_until_finish()
    except KeyboardInterrupt as interrupt:
        raise type(interrupt)(_way_on_elsewhere(result, options)) from interrupt
    finally:
        progress.stop()
        take_measures(result)


def runs_here(options: PipelineOptions) -> bool:
    """Whether the runner is the local one."""
    return (options.view_as(StandardOptions).runner or "").lower() in LOCAL_RUNNERS


def read_options(beam_argv: Sequence[str]) -> PipelineOptions:
    """Reads Beam's flags; the local runner uses one thread a core unless they say else.

    MAX_THREADS at most. They share one process, one model and no socket; decoding and the model
    release the interpreter lock.
    """
    cores = min(os.cpu_count() or 1, MAX_THREADS)
    # Of two the last counts. What was given cannot be told from Beam's default once it is read.
    options = KeptViews([f"--direct_num_workers={cores}", *beam_argv])
    return options if runs_here(options) else PipelineOptions(list(beam_argv))


def workers_here(options: PipelineOptions) -> str:
    """Says what the local runner uses, for people, such as "2 threads"."""
    direct = options.view_as(DirectOptions)
    one, several = _WORKERS[direct.direct_running_mode == "multi_processing"]
    return f"{direct.direct_num_workers} {one if direct.direct_num_workers == 1 else several}"


@contextlib.contextmanager
def quiet_beam() -> Iterator[None]:
    """Keeps Beam's log off the terminal: its warnings do not apply, its errors are raised too."""
    levels = {"": logging.ERROR, "apache_beam": logging.CRITICAL}
    levels |= dict.fromkeys(("pipelines", "transforms"), logging.WARNING)
    earlier = {name: logging.getLogger(name).level for name in levels}
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        for name, level in earlier.items():
            logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def own_errors(failure: type[Exception]) -> Iterator[None]:
    """Brings back our own errors from the runners that hand on only their text, in a failure."""
    try:
        yield
    except (UserError, RunError):
        raise
    except failure as error:
        reported = _REPORTED.findall(str(error))
        own: list[type[Exception]] = [RunError, *UserError.__subclasses__()]
        kinds = {kind.__name__: kind for kind in own}
        if not reported or reported[-1][0] not in kinds:
            raise
        name, message = reported[-1]
        raise kinds[name](message) from error


@contextlib.contextmanager
def leaving_on_signals(
    progress: ProgressLine | ProgressLog, plan: RunPlan, last_act: Callable[[int], str]
) -> Iterator[None]:
    """Makes Ctrl-C and SIGTERM end a local run at once: its threads would finish their shards.

    Args:
        progress: Line that is on the terminal, or lines in a log.
        plan: The run.
        last_act: Callback for that moment, given the exit code; returns what to say.
    """

    def leave(signal_number: int, frame: FrameType | None) -> None:
        progress.stop()
        word, code = ENDINGS[signal.Signals(signal_number)]
        text = f"{word}; {last_act(code)}"
        print(printable(text), file=sys.stderr, flush=True)
        if plan.launch.config.json:
            program = plan.launch.program if plan.publication.root is None else "refresh"
            outcome = Outcome(error=text, exit_code=code)
            with contextlib.suppress(OSError):  # Nobody reads it.
                print(format_json(program, outcome), file=sys.__stdout__, flush=True)
        os._exit(code)

    with on_signals(leave):
        yield


def _last_act(plan: RunPlan, exit_code: int) -> str:
    write_metrics(plan.launch.config, exit_code)
    return _way_on(plan)


def _way_on(plan: RunPlan) -> str:
    return (
        f"nothing is published; {plan.publication.staging} holds what is finished: "
        "run again with --resume to go on, or --overwrite to start again"
    )


def _way_on_elsewhere(result: PipelineResult, options: PipelineOptions) -> str:
    """Cancels a job as far as its runner lets us; says what to do. On Dataflow jobs are to stay."""
    if is_on_dataflow(options):
        return "the job works on, and publishes by itself; --resume goes on if it is cancelled"
    with contextlib.suppress(grpc.RpcError, NotImplementedError):
        result.cancel()
    return (
        "the runner was asked to cancel the job; once it has ended (Flink's may work on to its "
        "end, and publish), run again with --resume to keep what is finished"
    )
