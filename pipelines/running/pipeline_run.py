"""Runs a pipeline: on which runner, with what progress, and how it ends."""

import contextlib
import dataclasses
import logging
import os
import re
import signal
import sys
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
from pipelines.running.dataflow import failure_type, is_on_dataflow, job_messages
from pipelines.running.job_watch import describe_finished, describe_job, take_measures
from pipelines.running.kept_views import KeptViews
from transforms.errors import FlagError, RunError, UserError, brief, printable
from transforms.machine.cores import usable_cores
from transforms.machine.signals import ENDINGS, on_signals
from transforms.steps.tally import TALLY

MAX_THREADS = 16
"""Of the local runner. Each holds a few batches; decoding and the model use every core anyway."""

LOCAL_RUNNERS = ("", "direct", "directrunner", "fnapirunner")

_WORKERS = {False: ("thread", "threads"), True: ("process", "processes")}

_REPORTED = re.compile(r"transforms\.errors\.(\w+): (.+)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Watch:
    """What is told of runs while they work, and at a sudden end.

    Attributes:
        stagings: Directories that the runs work in.
        log_every: Seconds between lines of progress in a log; 0: none.
        last_act: Callback for Ctrl-C and SIGTERM, given the exit code; returns what to say.
        json_program: Name of the program whose result is printed as JSON; None if none is.
    """

    stagings: tuple[str, ...]
    log_every: int
    last_act: Callable[[int], str]
    json_program: str | None


def make_pipeline(options: PipelineOptions) -> beam.Pipeline:
    """Makes an empty pipeline.

    Raises:
        FlagError: If Beam's own flags do not do for the runner.
    """
    try:
        return beam.Pipeline(runner=FnApiRunner() if runs_here(options) else None, options=options)
    except ValueError as error:
        raise FlagError(brief(error)) from error


def run_to_end(pipeline: beam.Pipeline, options: PipelineOptions, watch: Watch) -> None:
    """Runs the pipeline, says how far it is, and raises our own errors as such."""
    TALLY.reset()
    with contextlib.ExitStack() as stack:
        stack.enter_context(own_errors(failure_type(options)))
        if not runs_here(options):
            _run_elsewhere(pipeline, options, watch, stack)
            return
        stack.enter_context(quiet_beam())
        progress = _show_progress(options, watch)
        stack.callback(progress.stop)
        leaving = leaving_on_signals(progress, watch.last_act, json_program=watch.json_program)
        stack.enter_context(leaving)
        take_measures(pipeline.run())


def _show_progress(options: PipelineOptions, watch: Watch) -> ProgressLine | ProgressLog:
    """Shows a bar on a terminal, and a line every so often elsewhere, of what is done here."""
    # Other processes have tallies of their own: nothing of them is seen here.
    is_visible = options.view_as(DirectOptions).direct_running_mode != "multi_processing"
    console = Console(stderr=True)
    if is_visible and console.is_terminal:
        return ProgressLine(console)
    pace = Pace()

    def describe() -> str:
        if is_visible:
            return pace.describe(TALLY.counts())
        return f"the processes are at work{describe_finished(watch.stagings)}"

    return ProgressLog(watch.log_every, describe)


def _run_elsewhere(
    pipeline: beam.Pipeline,
    options: PipelineOptions,
    watch: Watch,
    stack: contextlib.ExitStack,
) -> None:
    """Runs the pipeline on other machines, or other processes of this one."""
    if is_on_dataflow(options):
        stack.enter_context(job_messages())
    result = pipeline.run()
    pace = Pace()
    progress = ProgressLog(watch.log_every, lambda: describe_job(result, pace, watch.stagings))
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
    cores = min(usable_cores(), MAX_THREADS)
    # Of two the last counts. What was given cannot be told from Beam's default once it is read.
    options = KeptViews([f"--direct_num_workers={cores}", *beam_argv])
    if not runs_here(options):
        return PipelineOptions(list(beam_argv))
    direct = options.view_as(DirectOptions)
    if direct.direct_num_workers == 0:  # All cores, to Beam (fn_runner.py of 2.77).
        direct.direct_num_workers = usable_cores()
    return options


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
    progress: ProgressLine | ProgressLog,
    last_act: Callable[[int], str],
    *,
    json_program: str | None,
) -> Iterator[None]:
    """Makes Ctrl-C and SIGTERM end a local run at once: its threads would finish their shards.

    Args:
        progress: Line that is on the terminal, or lines in a log.
        last_act: Callback for that moment, given the exit code; returns what to say.
        json_program: Name of the program whose result is printed as JSON; None if none is.
    """

    def leave(signal_number: int, frame: FrameType | None) -> None:
        progress.stop()
        word, code = ENDINGS[signal.Signals(signal_number)]
        text = f"{word}; {last_act(code)}"
        print(printable(text), file=sys.stderr, flush=True)
        if json_program is not None:
            outcome = Outcome(error=text, exit_code=code)
            with contextlib.suppress(OSError):  # Nobody reads it.
                print(format_json(json_program, outcome), file=sys.__stdout__, flush=True)
        os._exit(code)

    with on_signals(leave):
        yield


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
