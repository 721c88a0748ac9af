"""What the summary of a run says, as facts with names that stay."""

from collections.abc import Mapping
from typing import Any

from transforms.runs.directory import FAILURES_FILE

PUBLISHED = "published"
ALREADY_PUBLISHED = "already_published"
JOB_WRITTEN = "job_written"
DRY_RUN = "dry_run"
PLANNED = "planned"
REFUSED = "refused"


def run_facts(record: Mapping[str, Any], *, output: str, seconds: float) -> dict[str, Any]:
    """Returns the facts of a published run.

    Args:
        record: The content of _run.json.
        output: The run directory.
        seconds: Wall time of the run, model loading included.
    """
    counts = record["counts"]
    images = counts["written"] + counts["failed"]
    of_changes = ("changes", "inferences_saved", "previous")
    return {
        "status": PUBLISHED,
        "output": output,
        "run_id": record["run_id"],
        "counts": counts,
        "failures_by_reason": record["failures_by_reason"],
        "skipped_by_reason": record["skipped_by_reason"],
        "skipped_examples": record.get("skipped_examples", {}),
        **{name: record[name] for name in of_changes if name in record},
        "seconds": round(seconds, 3),
        "images_per_second": round(images / seconds, 3) if seconds > 0 else None,
        "seconds_by_step": record["seconds_by_step"],
        "engines": record["engines"],
        "files": len(record["files"]),
        "bytes": sum(entry["size_bytes"] for entry in record["files"]),
        "failures_file": f"{output.rstrip('/')}/{FAILURES_FILE}" if counts["failed"] else None,
        "warnings": record["warnings"],
    }
