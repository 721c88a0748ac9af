"""The file of --metrics_file: what a run counted, in OpenMetrics' text format.

# HELP image_inference_images Images by what became of them.
# TYPE image_inference_images counter
image_inference_images_total{output="/data/vectors",state="written"} 49997
...
# EOF

Source: OpenMetrics 1.0 (prometheus.io/docs/specs/om/open_metrics_spec). Of its types only those
that node exporter's textfile collector reads, which parses the older Prometheus format, and no
timestamps, which it refuses.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pipelines.cli.forecast_flags import PlanFlags
from pipelines.cli.refresh_flags import output_of
from pipelines.cli.run_flags import RunConfig
from pipelines.cli.wording import warn
from pipelines.running.metrics_place import place_among
from transforms.errors import FlagError
from transforms.files.atomic_files import make_directory, write_whole
from transforms.machine.usage import seconds_since_start
from transforms.steps.tally import (
    BATCH_IMAGES,
    BYTES_READ,
    FAILED,
    MILLISECONDS,
    PLANNED,
    REASON_PREFIX,
    SHARDS_RETRIED,
    TALLY,
    WRITTEN,
    Distribution,
    Measures,
)

_PREFIX = "image_inference"

_Labels = Mapping[str, str]
_Sample = tuple[str, _Labels, float]
"""The end of a sample's name, labels, value."""


class _Family(NamedTuple):
    """What is said under one name.

    Attributes:
        name: Name without the prefix; of a family with a unit, it ends in that.
        kind: "counter", "gauge" or "summary".
        unit: Unit, or "".
        help_text: Sentence.
        samples: Values, with labels.
    """

    name: str
    kind: str
    unit: str
    help_text: str
    samples: list[_Sample]


def write_metrics(config: RunConfig, exit_code: int) -> None:
    """Writes the file that the flags name, if they name one; warns if it cannot be written.

    Args:
        config: The flags.
        exit_code: Exit code of the run.
    """
    if not (isinstance(config, PlanFlags) and config.plan):
        write_metrics_among(config.metrics_file, [output_of(config)], exit_code)


def write_metrics_among(metrics_file: str | None, outputs: Sequence[str], exit_code: int) -> None:
    """Writes a file that is of several runs, if it has a name; warns if it cannot be written.

    Args:
        metrics_file: Name that the user gave it; None if there shall be none.
        outputs: Directories of the runs.
        exit_code: Exit code of the program.
    """
    try:
        path = place_among(metrics_file, outputs)
    except FlagError:  # The first look has said so.
        return
    if path is None:
        return
    text = format_metrics(
        TALLY.measures(),
        output=" ".join(outputs),
        exit_code=exit_code,
        ended=time.time(),
        seconds=seconds_since_start(),
    )
    try:
        make_directory(os.path.dirname(path))
        write_whole(path, text.encode())
    except OSError as error:
        warn(f"--metrics_file {path} cannot be written: {error}")


def format_metrics(
    measures: Measures, *, output: str, exit_code: int, ended: float, seconds: float
) -> str:
    """Returns the content of the file.

    Args:
        measures: What the run counted.
        output: Directory of the run, or of the runs of a refresh; a label of every sample.
        exit_code: Exit code of the run; 0 is a published one.
        ended: Time of its end, in seconds since 1970.
        seconds: Wall time that it took.
    """
    lines = []
    for family in _families(measures, exit_code, ended, seconds):
        name = f"{_PREFIX}_{family.name}"
        lines.append(f"# HELP {name} {family.help_text}")
        lines.append(f"# TYPE {name} {family.kind}")
        if family.unit:
            lines.append(f"# UNIT {name} {family.unit}")
        for ending, labels, value in family.samples:
            listed = ",".join(
                f'{k}="{_escape(v)}"' for k, v in {"output": output, **labels}.items()
            )
            lines.append(f"{name}{ending}{{{listed}}} {value}")
    return "\n".join([*lines, "# EOF", ""])


def _families(
    measures: Measures, exit_code: int, ended: float, seconds: float
) -> Iterator[_Family]:
    counters, distributions = measures.counters, measures.distributions

    def total(name: str, **labels: str) -> _Sample:
        return "_total", labels, counters.get(name, 0)

    def summary(name: str, scale: float, **labels: str) -> list[_Sample]:
        found = distributions.get(name, Distribution())
        return [("_count", labels, found.count), ("_sum", labels, round(found.sum * scale, 3))]

    def gauge(name: str, unit: str, help_text: str, value: float) -> _Family:
        return _Family(name, "gauge", unit, help_text, [("", {}, value)])

    yield gauge("run_success", "", "Whether the last run was published.", int(exit_code == 0))
    yield gauge("run_exit_code", "", "Exit code of the last run.", exit_code)
    yield gauge("run_end_time_seconds", "seconds", "Time of its end, since 1970.", round(ended, 3))
    yield gauge("run_duration_seconds", "seconds", "Wall time that it took.", round(seconds, 3))
    yield gauge("images_planned", "", "Images found so far.", counters.get(PLANNED, 0))
    states = [total(WRITTEN, state="written"), total(FAILED, state="failed")]
    yield _Family("images", "counter", "", "Images by what became of them.", states)
    reasons = [name for name in sorted(counters) if name.startswith(REASON_PREFIX)]
    failures = [
        total(name, step=step, error_type=error_type)
        for name in reasons
        for step, _, error_type in [name.removeprefix(REASON_PREFIX).partition("/")]
    ]
    yield _Family("failures", "counter", "", "Images that failed, by reason.", failures)
    read = [total(BYTES_READ)]
    yield _Family("read_bytes", "counter", "bytes", "Bytes of encoded images read.", read)
    retried = [total(SHARDS_RETRIED)]
    yield _Family("retried_shards", "counter", "", "Shards begun more than once.", retried)
    batches = summary(BATCH_IMAGES, 1)
    yield _Family("batch_images", "summary", "", "Images a call of the model.", batches)
    steps = [
        sample
        for step, name in MILLISECONDS.items()
        for sample in summary(name, 0.001, step=step.value)
    ]
    yield _Family(
        "step_seconds", "summary", "seconds", "Time that a batch took in each step.", steps
    )


def _escape(value: Any) -> str:  # noqa: ANN401 - of a label
    """Escapes a label's value, as OpenMetrics says; what is not UTF-8 in a path is replaced."""
    text = str(value).encode(errors="replace").decode()
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
