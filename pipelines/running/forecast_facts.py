"""What --plan says, as facts with names that stay."""

from typing import Any

from pipelines.cli.forecast_flags import PlanFlags
from pipelines.running.forecast_report import Forecast
from pipelines.running.run_facts import PLANNED


def forecast_facts(forecast: Forecast, flags: PlanFlags) -> dict[str, Any]:
    """Returns the facts of a forecast; what a sample would tell is null where there is none."""
    workload, run = forecast.workload, forecast.run
    survey = workload.survey
    facts: dict[str, Any] = {
        "status": PLANNED,
        "output": forecast.output,
        "model": forecast.launch.model.handle,
        "images": workload.images,
        "rows": workload.all_rows,
        "images_to_compute": workload.rows_to_compute,
        "images_are_counted": all(count.is_exact for count in workload.counts.values()),
        "rows_are_counted": all(count.is_exact for count in workload.rows.values()),
        "input_bytes": survey.image_bytes + sum(file.size_bytes for file in survey.files),
        "skipped_by_reason": {one.reason: one.total for one in survey.skipped},
        "skipped_examples": {one.reason: one.example for one in survey.skipped},
        "changes": None,
        "previous": None,
        "files": forecast.shards,
        "sample": None,
        "seconds": None,
        "memory_bytes": forecast.memory_bytes,
    }
    if forecast.previous is not None:
        facts["changes"] = {change.value: count for change, count in workload.changes.items()}
        facts["previous"] = forecast.previous.directory
    if run is None:
        return facts
    costs = run.costs.of_a_run(forecast.start_seconds)

    def seconds(workers: int) -> float:
        return costs.seconds(workload.rows_to_compute, forecast.shards, workers)

    record = run.record
    facts["sample"] = {
        "images": run.costs.images,
        "failed": record["counts"]["failed"],
        "failures_by_reason": record["failures_by_reason"],
        "images_per_second": run.costs.images_per_second,
        "seconds_by_step": record["seconds_by_step"],
        "engines": record["engines"],
        "warnings": record["warnings"],
    }
    facts["seconds"] = seconds(1)
    rows = round(workload.all_rows * run.costs.rows / run.costs.images)
    facts["output_bytes"] = costs.output_bytes(rows, forecast.shards)
    workers, price = flags.plan_workers, flags.price_per_worker_hour
    if workers is not None:
        facts["seconds_on_workers"] = seconds(workers)
    if price is not None:
        facts["price"] = price * seconds(1) / 3600
        if workers is not None:
            facts["price_on_workers"] = price * workers * seconds(workers) / 3600
    return facts
