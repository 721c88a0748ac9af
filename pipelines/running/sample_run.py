"""Runs a few images through the pipeline as the run would, on this machine and into nothing."""

import contextlib
import dataclasses
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from rich.console import Console

from pipelines.cli.progress import ProgressLine
from pipelines.running.graph import define_pipeline
from pipelines.running.pipeline_run import leaving_on_signals, quiet_beam
from pipelines.running.run_plan import RunPlan
from transforms.forecast.costs import SampleCosts, steady_rate
from transforms.forecast.sample import Sample
from transforms.lifecycle.basis import Fresh
from transforms.runs.directory import FAILURES_FILE
from transforms.runs.failures import FailureGroup, group_failures
from transforms.runs.record import read_record
from transforms.steps.tally import TALLY

_LOOK_SECONDS = 0.01


class SampleRun(NamedTuple):
    """What a sample showed.

    Attributes:
        record: Content of its _run.json.
        failures: Failures by reason, the most frequent first.
        costs: Seconds and bytes that it took.
    """

    record: Mapping[str, Any]
    failures: list[FailureGroup]
    costs: SampleCosts


def run_sample(plan: RunPlan, sample: Sample, threads: int) -> SampleRun:
    """Runs a sample by the local runner; leaves nothing behind.

    Args:
        plan: The run.
        sample: Images and files to run of it.
        threads: Shards worked on at once.

    Raises:
        UserError: As the run would.
        RunError: If the files hold no image.
    """
    with _temporary_directory() as directory:
        started = time.monotonic()
        pace = _run_into(directory, plan, sample, threads)
        seconds = time.monotonic() - started
        output = os.path.join(directory, "run")
        record = read_record(output)
        failures = group_failures(os.path.join(output, FAILURES_FILE))
    rows, failed = record["counts"]["written"], record["counts"]["failed"]
    *of_rows, empty = (entry["size_bytes"] for entry in record["files"])
    # Without a pace there was one batch, or none: no time that a larger run repeats is known.
    rate = pace if pace is not None else (rows + failed) / _seconds_a_thread(record, threads)
    costs = SampleCosts(
        images=rows + failed,
        rows=rows,
        seconds=seconds,
        images_per_second=rate,
        file_bytes=tuple(of_rows),
        empty_file_bytes=empty,
    )
    return SampleRun(record, failures, costs)


def _seconds_a_thread(record: Mapping[str, Any], threads: int) -> float:
    return max(sum(record["seconds_by_step"].values()) / threads, 0.001)


def _run_into(directory: str, plan: RunPlan, sample: Sample, threads: int) -> float | None:
    """Runs the sample; returns its pace in images/s, if it had one."""
    options = PipelineOptions([])
    options.view_as(DirectOptions).direct_num_workers = threads
    TALLY.reset()
    TALLY.add(total=sum(len(shard.refs) for shard in sample.shards))
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=options)
    define_pipeline(pipeline, _of_sample(plan, sample, directory))
    progress = ProgressLine(Console(stderr=True))

    def last_act(_: int) -> str:
        for own in (directory, pipeline.local_tempdir):
            _remove(own)
        return "nothing was written"

    json_program = plan.program if plan.launch.config.json else None
    leaving = leaving_on_signals(progress, last_act, json_program=json_program)
    try:
        with quiet_beam(), leaving, _Pace() as pace:
            pipeline.run().wait_until_finish()
    finally:
        progress.stop()
    return steady_rate(pace.marks, in_flight=threads * plan.launch.batch_size)


def _of_sample(plan: RunPlan, sample: Sample, directory: str) -> RunPlan:
    """Returns a plan that computes the sample, publishes it in the directory, and refuses nothing.

    Nothing is taken from an earlier run, no canary is asked, and no image is spared for another.
    """
    publication = dataclasses.replace(
        plan.publication,
        output=os.path.join(directory, "run"),
        staging=os.path.join(directory, "staging"),
        max_failed_fraction=1.0,
        previous=None,
        canary_gate=None,
        root=None,
    )
    os.mkdir(publication.staging)
    launch = plan.launch
    return RunPlan(
        launch=dataclasses.replace(
            launch,
            config=dataclasses.replace(launch.config, deduplicate=False),
            canaries=None,
            hints={},
        ),
        basis=Fresh(),
        publication=publication,
        is_resumed=False,
        sample=sample,
    )


class _Pace:
    """Watches how fast images come out."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Pace":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        seen = 0
        while not self._stop.wait(_LOOK_SECONDS):
            counts = TALLY.counts()
            done = counts.written + counts.failed
            if done > seen:
                seen = done
                self.marks.append((time.monotonic(), done))


@contextlib.contextmanager
def _temporary_directory() -> Iterator[str]:
    directory = tempfile.mkdtemp(prefix="image-inference-plan-")
    try:
        yield directory
    finally:
        _remove(directory)


def _remove(directory: str) -> None:
    # A thread that still works may make another file meanwhile, but no directory that is gone.
    for _ in range(10):
        shutil.rmtree(directory, ignore_errors=True)
        if not os.path.exists(directory):
            return
