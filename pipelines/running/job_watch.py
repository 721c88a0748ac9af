"""What a runner says of its job while it works, and when it has ended."""

import contextlib
from collections.abc import Sequence
from typing import Any

import grpc
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.runners.runner import PipelineResult

from pipelines.cli.progress_log import Pace
from transforms.files.uris import is_local
from transforms.lifecycle.staging import count_commits
from transforms.steps.tally import NAMESPACE, TALLY, Distribution, Measures


def take_measures(result: PipelineResult) -> bool:
    """Puts the metrics of a job into the tally, if its runner has any; says whether it has."""
    if hasattr(result, "_metrics"):
        result._metrics = None  # Beam's portable runners would say again what they said first.
    try:
        found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))
    except Exception:  # Whatever a runner raises of metrics: they are no reason to fail a run.
        return False
    measures = Measures(
        counters=_by_name(found["counters"], int, lambda one, other: one + other),
        distributions=_by_name(
            found["distributions"],
            lambda data: Distribution(data.count, data.sum),
            lambda one, other: Distribution(one.count + other.count, one.sum + other.sum),
        ),
    )
    if not measures.counters:
        return False
    TALLY.replace(measures)
    return True


def _by_name(results: list[Any], read: Any, add: Any) -> dict[str, Any]:  # noqa: ANN401
    """Adds up what steps counted under one name."""
    values: dict[str, Any] = {}
    for found in results:
        if found.result is not None:
            name, value = found.key.metric.name, read(found.result)
            values[name] = add(values[name], value) if name in values else value
    return values


def describe_job(result: PipelineResult, pace: Pace, stagings: Sequence[str]) -> str:
    """Says how far a job on other machines is: its images, or else its state and shards.

    Args:
        result: The job.
        pace: Pace of the lines so far.
        stagings: Directories that its runs work in.
    """
    if take_measures(result):
        return pace.describe(TALLY.counts())
    try:
        state = str(result.state).lower()
    except (grpc.RpcError, ValueError):  # The job server has gone, or the job has just ended.
        state = "out of reach"
    return f"the job is {state}{describe_finished(stagings)}"


def describe_finished(stagings: Sequence[str]) -> str:
    """Says how many shards are done, where that costs no listing of an object store."""
    if all(map(is_local, stagings)):
        with contextlib.suppress(OSError):
            return f", {sum(map(count_commits, stagings)):,} shards finished"
    return ""
