"""Runs a planned pipeline: runner, progress, summary, exit code."""

import contextlib
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from rich.console import Console

from pipelines.cli.progress import ProgressLine
from pipelines.cli.wording import format_summary, warn
from pipelines.running.dataflow import (
    failure_type,
    is_dry_run,
    is_on_dataflow,
    is_template,
    job_messages,
)
from pipelines.running.graph import define_pipeline
from pipelines.running.run_plan import RunPlan
from transforms.errors import FlagError, ModelError, RunError, UserError, brief, printable
from transforms.lifecycle.lock import Hold
from transforms.lifecycle.staging import clear_staging, count_commits
from transforms.runs.record import read_record
from transforms.steps.tally import TALLY

EXIT_DONE = 0
EXIT_INTERRUPTED = 130

MAX_THREADS = 16
"""Of the local runner. Each holds a few batches; decoding and the model use every core anyway."""

LOCAL_RUNNERS = ("", "direct", "directrunner", "fnapirunner")

_REPORTED = re.compile(r"transforms\.errors\.(\w+): (.+)")


def execute(plan: RunPlan, beam_argv: Sequence[str], hold: Hold) -> int:
    """Runs the pipeline to its end and prints the summary.

    A Dataflow template is only written; the job that is made of it publishes by itself.

    Args:
        plan: The run.
        beam_argv: Beam's flags.
        hold: The lock of its output.

    Returns:
        EXIT_DONE: published, or all was done that was asked for.

    Raises:
        UserError: If an input turns out not to work.
        RunError: If the run did its work and may not be published.
    """
    started = time.monotonic()
    options = PipelineOptions(list(beam_argv))
    workers = use_every_core(options) if runs_here(options) else ""
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
        return EXIT_DONE
    if is_dry_run(options):
        if not plan.is_resumed:
            clear_staging(plan.publication.staging)
        print("dry run: the job was built and not submitted; nothing is published")
        return EXIT_DONE
    record = read_record(output)
    seconds = time.monotonic() - started
    print(format_summary(record, output=output, seconds=seconds, workers=workers))
    for warning in record["warnings"]:
        warn(warning)
    return EXIT_DONE


def _make_pipeline(options: PipelineOptions) -> beam.Pipeline:
    try:
        return beam.Pipeline(runner=FnApiRunner() if runs_here(options) else None, options=options)
    except ValueError as error:  # Beam's own flags do not do for the runner.
        raise FlagError(brief(error)) from error


def _run_to_end(pipeline: beam.Pipeline, options: PipelineOptions, plan: RunPlan) -> None:
    """Runs the pipeline, with progress on the terminal, and raises our own errors as such."""
    is_local = runs_here(options)
    # Other processes have tallies of their own: nothing of them is seen here.
    mode = options.view_as(DirectOptions).direct_running_mode
    is_visible = is_local and mode != "multi_processing"
    TALLY.reset()
    progress = ProgressLine(Console(stderr=True, force_terminal=None if is_visible else False))
    try:
        with contextlib.ExitStack() as stack:
            if is_local:
                stack.enter_context(quiet_beam())
                stack.enter_context(leaving_on_interrupt(progress, lambda: _way_on(plan)))
            if is_on_dataflow(options):
                stack.enter_context(job_messages())
            stack.enter_context(own_errors(failure_type(options)))
            pipeline.run().wait_until_finish()
    finally:
        progress.stop()


def runs_here(options: PipelineOptions) -> bool:
    """Whether the runner is the local one."""
    return (options.view_as(StandardOptions).runner or "").lower() in LOCAL_RUNNERS


def use_every_core(options: PipelineOptions) -> str:
    """Makes the local runner use one thread a core, up to MAX_THREADS, unless the user said else.

    The threads share one process, one model and no socket; decoding and the model release the
    interpreter lock.

    Returns:
        What it uses, for people.
    """
    direct = options.view_as(DirectOptions)
    if "direct_num_workers" not in options.get_all_options(drop_default=True):
        direct.direct_num_workers = min(os.cpu_count() or 1, MAX_THREADS)
    kind = "processes" if direct.direct_running_mode == "multi_processing" else "threads"
    return f"{direct.direct_num_workers} {kind}"


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
def leaving_on_interrupt(progress: ProgressLine, last_act: Callable[[], str]) -> Iterator[None]:
    """Makes Ctrl-C end a local run at once: its threads would otherwise finish their shards.

    Args:
        progress: The line that is on the terminal.
        last_act: Callback for that moment; returns what to say.
    """

    def leave(signal_number: int, frame: FrameType | None) -> None:
        progress.stop()
        print(printable(f"interrupted; {last_act()}"), file=sys.stderr, flush=True)
        os._exit(EXIT_INTERRUPTED)

    if threading.current_thread() is not threading.main_thread():  # Python's rule for signals.
        yield
        return
    earlier = signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, earlier)


def _way_on(plan: RunPlan) -> str:
    return (
        f"nothing is published; {plan.publication.staging} holds what is finished: "
        "run again with --resume to go on, or --overwrite to start again"
    )
