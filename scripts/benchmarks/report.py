"""All raw figures as JSON, with the machine and the versions they come from."""

import importlib.metadata
import json
import os
import pathlib
import platform
from collections.abc import Mapping, Sequence

from scripts.benchmarks.machine import instruction_sets, processor_name, today
from scripts.benchmarks.speed import Results
from scripts.benchmarks.targets import Target

PACKAGES = (
    "tensorflow", "apache-beam", "openvino", "nncf", "ray", "daft", "pyspark", "numpy", "pyarrow",
)  # fmt: skip


def find_versions() -> dict[str, str]:
    """Returns the versions of the packages that are installed."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def write_report(
    path: pathlib.Path,
    arguments: Mapping[str, object],
    results: Sequence[Results],
    targets: Sequence[Target],
) -> None:
    """Writes the report; one that was there is replaced."""
    report = {
        "arguments": {name: value for name, value in arguments.items() if value is not None},
        "date": today(),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "instruction_sets": instruction_sets(),
        "versions": find_versions(),
        "results": [result._asdict() for result in results],
        "targets": [
            {
                **target._asdict(),
                "whole_is_reached": target.is_reached(target.whole),
                "steady_is_reached": target.is_reached(target.steady),
            }
            for target in targets
        ],
    }
    path.write_text(json.dumps(report, indent=1, default=str) + "\n")
