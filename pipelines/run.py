"""Runs a planned pipeline: runner, progress, summary, exit code."""

import contextlib
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import FrameType

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from rich.console import Console

from pipelines.graph import RunPlan, define_pipeline
from pipelines.progress import ProgressLine
from pipelines.summary import format_summary
from transforms.errors import RunError, UserError
from transforms.run_record import read_record
from transforms.tally import TALLY

EXIT_PUBLISHED = 0
EXIT_INTERRUPTED = 130

MAX_THREADS = 16
"""Of the local runner. Each holds a few batches; decoding and the model use every core anyway."""

LOCAL_RUNNERS = ("", "direct", "directrunner", "fnapirunner")

_REPORTED = re.compile(r"transforms\.errors\.(\w+): (.+)")


def execute(plan: RunPlan, beam_argv: Sequence[str]) -> int:
    """Runs the pipeline to its end and prints the summary.

    Args:
        plan: The run.
        beam_argv: Beam's flags.

    Returns:
        EXIT_PUBLISHED.

    Raises:
        UserError: If an input turns out not to work.
        RunError: If the run did its work and may not be published.
    """
    started = time.monotonic()
    options = PipelineOptions(list(beam_argv))
    is_local = (options.view_as(StandardOptions).runner or "").lower() in LOCAL_RUNNERS
    workers = use_every_core(options) if is_local else ""
    TALLY.reset()
    pipeline = beam.Pipeline(runner=FnApiRunner() if is_local else None, options=options)
    define_pipeline(pipeline, plan)
    # Other processes have tallies of their own.
    mode = options.view_as(DirectOptions).direct_running_mode
    is_visible = is_local and mode != "multi_processing"
    progress = ProgressLine(Console(stderr=True, force_terminal=None if is_visible else False))
    try:
        with contextlib.ExitStack() as stack:
            if is_local:
                stack.enter_context(_quiet_beam())
                stack.enter_context(_leaving_on_interrupt(plan, progress))
            stack.enter_context(_own_errors())
            pipeline.run().wait_until_finish()
    finally:
        progress.stop()
    output = plan.manifest.output
    record = read_record(output)
    seconds = time.monotonic() - started
    print(format_summary(record, output=output, seconds=seconds, workers=workers))
    for warning in record["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    return EXIT_PUBLISHED


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
def _quiet_beam() -> Iterator[None]:
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
def _own_errors() -> Iterator[None]:
    """Brings back our own errors from the runners that hand on only their text."""
    try:
        yield
    except (UserError, RunError):
        raise
    except RuntimeError as error:
        reported = _REPORTED.findall(str(error))
        own: list[type[Exception]] = [RunError, *UserError.__subclasses__()]
        kinds = {kind.__name__: kind for kind in own}
        if not reported or reported[-1][0] not in kinds:
            raise
        name, message = reported[-1]
        raise kinds[name](message) from error


@contextlib.contextmanager
def _leaving_on_interrupt(plan: RunPlan, progress: ProgressLine) -> Iterator[None]:
    """Makes Ctrl-C end a local run at once: its threads would otherwise finish their shards."""

    def leave(signal_number: int, frame: FrameType | None) -> None:
        progress.stop()
        print(
            f"interrupted; nothing is published; {plan.manifest.staging} holds what is finished: "
            "run again with --resume to go on, or --overwrite to start again",
            file=sys.stderr,
            flush=True,
        )
        os._exit(EXIT_INTERRUPTED)

    if threading.current_thread() is not threading.main_thread():  # Python's rule for signals.
        yield
        return
    earlier = signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, earlier)
