"""What a run counts as it works: live in this process, and as Beam's metrics on every runner.

Each name is that of a metric, in NAMESPACE:

    images_planned, images_written, images_failed    counters
    files_planned                                    counter of TFRecord, Parquet, tar and zip files
    failed/decode/CorruptImage, ...                  counters, one a reason of _failures.jsonl
    image_bytes_read, shards_retried                 counters
    batch_images                                     distribution, a value a call of the model
    read_milliseconds, decode_..., model_..., write_...   distributions, a value a batch

A runner that tries a bundle again counts it again. No part of any result: _run.json has its own
counts.
"""

import collections
import dataclasses
import threading
from collections.abc import Mapping

from apache_beam.metrics.metric import Metrics

from transforms.batches import Batch
from transforms.failure import Step

NAMESPACE = "image_inference"

PLANNED = "images_planned"
WRITTEN = "images_written"
FAILED = "images_failed"
FILES = "files_planned"
BYTES_READ = "image_bytes_read"
SHARDS_RETRIED = "shards_retried"
BATCH_IMAGES = "batch_images"

REASON_PREFIX = "failed/"
"""Beginning of a counter's name whose rest is the reason of a failure."""

MILLISECONDS = {step: f"{step}_milliseconds" for step in Step}
"""Distributions by step; Beam's hold whole numbers."""


@dataclasses.dataclass(frozen=True, slots=True)
class Counts:
    """How far a run is at one moment.

    Attributes:
        total: Images planned so far; files that hold images add theirs as they are read.
        written: Rows handed to the sinks.
        failed: Images that failed.
        files: TFRecord, Parquet, tar and zip files; with any, total is not yet all there is.
    """

    total: int = 0
    written: int = 0
    failed: int = 0
    files: int = 0

    @property
    def done(self) -> int:
        """Images that have become a row or a failure."""
        return self.written + self.failed


@dataclasses.dataclass(frozen=True, slots=True)
class Distribution:
    """How many values there were, and their sum."""

    count: int = 0
    sum: int = 0


@dataclasses.dataclass(frozen=True)
class Measures:
    """All that has been counted at one moment, by the names of the metrics."""

    counters: Mapping[str, int] = dataclasses.field(default_factory=dict)
    distributions: Mapping[str, Distribution] = dataclasses.field(default_factory=dict)


class Tally:
    """Adds up from the runner's threads, and hands on to Beam what is counted inside of a step."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # A signal may ask while its own thread adds.
        self._counters: dict[str, int] = {}
        self._distributions: dict[str, Distribution] = {}

    def add(self, *, total: int = 0, written: int = 0, failed: int = 0) -> None:
        """Adds images that were planned, written or failed since the last call."""
        for name, number in ((PLANNED, total), (WRITTEN, written), (FAILED, failed)):
            self.count(name, number)

    def add_batch(self, batch: Batch) -> None:
        """Adds what became of a batch's images."""
        failed = len(batch.failures)
        self.add(written=batch.accounted - failed, failed=failed)
        self.add_failures(collections.Counter(failure.reason for failure in batch.failures))

    def add_failures(self, reasons: Mapping[str, int]) -> None:
        """Adds images that failed, by "step/error_type"."""
        for reason, number in reasons.items():
            self.count(f"{REASON_PREFIX}{reason}", number)

    def add_seconds(self, seconds: Mapping[Step, float]) -> None:
        """Adds the wall time that each step took for a batch."""
        for step, value in seconds.items():
            self.observe(MILLISECONDS[step], round(1000 * value))

    def count(self, name: str, number: int) -> None:
        """Adds a number to a counter."""
        if not number:
            return
        with self._lock:
            self._counters[name] = self._counters.get(name, 0) + number
        Metrics.counter(NAMESPACE, name).inc(number)

    def observe(self, name: str, value: int) -> None:
        """Adds a value to a distribution."""
        with self._lock:
            known = self._distributions.get(name, Distribution())
            self._distributions[name] = Distribution(known.count + 1, known.sum + value)
        Metrics.distribution(NAMESPACE, name).update(value)

    def counts(self) -> Counts:
        """Returns how far the run is."""
        counters = self._counters
        return Counts(*(counters.get(name, 0) for name in (PLANNED, WRITTEN, FAILED, FILES)))

    def measures(self) -> Measures:
        """Returns all that has been added up since the last reset."""
        with self._lock:
            return Measures(dict(self._counters), dict(self._distributions))

    def replace(self, measures: Measures) -> None:
        """Takes over what a runner knows of the work of all its processes."""
        with self._lock:
            self._counters = dict(measures.counters)
            self._distributions = dict(measures.distributions)

    def reset(self) -> None:
        """Starts again from zero, before a run."""
        self.replace(Measures())


TALLY = Tally()
"""The process's one tally: DoFns are pickled, so they cannot carry it."""
