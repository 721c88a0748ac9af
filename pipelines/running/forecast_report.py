"""What --plan says: one short table, aligned as the summary of a run."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from pipelines.cli.forecast_flags import PlanFlags
from pipelines.cli.wording import (
    FATES,
    REASONS_SHOWN,
    align,
    describe_contract,
    describe_engines,
    describe_shares,
    describe_size,
    describe_time,
    list_reasons,
)
from pipelines.running.launch import Launch
from pipelines.running.sample_run import SampleRun
from transforms.errors import printable
from transforms.forecast.costs import Costs
from transforms.forecast.input_survey import Survey
from transforms.inputs.counts import FileCount
from transforms.lifecycle.publication import PreviousCounts
from transforms.records import Change, InputFile, ShardKind, Step

_NAMES = {ShardKind.TFRECORD: "TFRecord", ShardKind.PARQUET: "Parquet", ShardKind.TAR: "tar"}
_MESSAGE_CHARS = 200

_Row = tuple[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is known before a run.

    Attributes:
        launch: The checked flags.
        survey: The inputs, counted.
        counts: Images in each TFRecord, Parquet and tar file.
        images_to_compute: Images that the model would be given, about.
        shards: Output files.
        output: What is to be said of the output.
        changes: What became of the images since the run before, by the listing; None in a run
            that builds on none.
        previous: That run.
        max_deleted_fraction: Largest share of its images that may be gone.
        run: The sample; None if there is nothing to compute.
        costs: What it says of a run.
        workers: Threads that this machine used.
        is_here: Whether the run would be on this machine.
        memory_bytes: Largest resident set of this process.
    """

    launch: Launch
    survey: Survey
    counts: Mapping[InputFile, FileCount]
    images_to_compute: int
    shards: int
    output: str
    changes: Mapping[Change, int] | None
    previous: PreviousCounts | None
    max_deleted_fraction: float
    run: SampleRun | None
    costs: Costs | None
    workers: str
    is_here: bool
    memory_bytes: int

    @property
    def images(self) -> int:
        """All images, about."""
        return self.survey.images + round(sum(count.images for count in self.counts.values()))


def format_forecast(forecast: Forecast, flags: PlanFlags) -> str:
    """Says what was found, what the sample showed, and what the run would take."""
    rows = [
        *_inputs(forecast),
        *_changes(forecast),
        ("output", forecast.output),
        ("model", _model(forecast)),
    ]
    if forecast.run is None or forecast.costs is None:
        return align([*rows, ("sample", "none: there is nothing to compute")])
    rows += _sample(forecast, forecast.run)
    rows += _failures(forecast, forecast.run)
    rows += _bottleneck(forecast, forecast.run)
    rows += _needs(forecast, forecast.run, forecast.costs, flags)
    return align(rows)


def _inputs(forecast: Forecast) -> Iterator[_Row]:
    survey, counts = forecast.survey, forecast.counts
    size_bytes = survey.image_bytes + sum(file.size_bytes for file in survey.files)
    about = _about(counts.values())
    yield "matched", f"{about}{forecast.images:,} images, {describe_size(size_bytes)}"
    if survey.images and survey.files:
        yield "", f"{survey.images:,} image files, {describe_size(survey.image_bytes)}"
    for kind, name in _NAMES.items():
        own = {file: count for file, count in counts.items() if file.kind is kind}
        if own:
            images = round(sum(count.images for count in own.values()))
            size = describe_size(sum(file.size_bytes for file in own))
            about = _about(own.values())
            yield "", f"{about}{images:,} in {len(own):,} {name} files, {size}"
    if survey.unsized:
        yield "", f"{survey.unsized:,} whose sizes are not listed, and not in these bytes"
    if survey.skipped:
        yield "skipped", f"{sum(survey.skipped.values()):,}"
        yield from list_reasons(survey.skipped)


def _about(counts: Iterable[FileCount]) -> str:
    return "" if all(count.is_exact for count in counts) else "about "


def _changes(forecast: Forecast) -> Iterator[_Row]:
    previous = forecast.previous
    if forecast.changes is None or previous is None:
        return
    for change in FATES:
        yield change, f"{forecast.changes.get(Change(change), 0):,}"
    yield "since", previous.directory
    yield "", "by size and time: of what changed, equal content is found out by reading it"
    if previous.recomputed_because is not None:
        yield "", f"all is computed again, because {previous.recomputed_because}"
    deleted = forecast.changes.get(Change.DELETED, 0)
    if deleted > forecast.max_deleted_fraction * previous.images:
        allowed = f"--max_deleted_fraction {forecast.max_deleted_fraction:g}"
        yield "", f"more are gone than {allowed} allows: the run would fail"


def _model(forecast: Forecast) -> str:
    launch = forecast.launch
    contract = describe_contract(
        launch.model.spec, launch.model.image_size, launch.policy.pixel_range
    )
    return f"{launch.model.handle}: {contract}"


def _sample(forecast: Forecast, run: SampleRun) -> Iterator[_Row]:
    rate = f"{run.costs.images_per_second:,.1f} images/s"
    yield "sample", f"{run.costs.images:,} images here, {rate} once it ran"
    if not forecast.is_here:
        yield "", "measured on this machine: the workers of --runner may be others"
    for text in describe_engines(run.record, forecast.workers):
        yield "engine", text
    for warning in run.record["warnings"]:
        yield "warning", warning


def _failures(forecast: Forecast, run: SampleRun) -> Iterator[_Row]:
    failed, images = run.record["counts"]["failed"], run.costs.images
    if not failed:
        yield "failed", f"0 of {images:,}"
        return
    allowed = forecast.launch.config.max_failed_fraction
    verdict = (
        f"more than --max_failed_fraction {allowed:g} allows: the run would fail"
        if failed > allowed * images
        else f"--max_failed_fraction {allowed:g} allows that"
    )
    yield "failed", f"{failed:,} of {images:,} ({failed / images:.1%}); {verdict}"
    for group in run.failures[:REASONS_SHOWN]:
        example = group.examples[0]
        message = printable(f"{example['uri']}: {example['message']}")[:_MESSAGE_CHARS]
        yield "", f"{group.failures:,} {group.reason}, such as {message}"


def _bottleneck(forecast: Forecast, run: SampleRun) -> Iterator[_Row]:
    seconds = run.record["seconds_by_step"]
    yield "time in", describe_shares(seconds)
    step = max(seconds, key=lambda name: seconds[name])
    yield "slowest", f"{step}: {_cure(Step(step), forecast.launch)}"


def _cure(step: Step, launch: Launch) -> str:
    """Says what makes a step faster that is not done yet."""
    config = launch.config
    match step:
        case Step.READ:
            return "storage nearer to the workers, or images packed into tar or TFRecord files"
        case Step.DECODE:
            fast = (
                "--decode fast if these are large JPEG photos, " if config.decode != "fast" else ""
            )
            return f"{fast}smaller images, or more cores"
        case Step.MODEL:
            engine = "--engine openvino, " if config.engine == "tensorflow" else ""
            precision = "--precision auto, " if config.precision == "float32" else ""
            return f"{engine}{precision}a GPU, or more cores"
        case Step.WRITE:
            return "a faster disk, or fewer columns carried"


def _needs(forecast: Forecast, run: SampleRun, costs: Costs, flags: PlanFlags) -> Iterator[_Row]:
    def seconds(workers: int) -> float:
        return costs.seconds(forecast.images_to_compute, forecast.shards, workers)

    once = describe_time(costs.start_seconds)
    yield "time", f"{describe_time(seconds(1))} here, {once} of it to start and to end"
    many = flags.plan_workers
    if many is not None:
        yield "", f"{describe_time(seconds(many))} on {many:,} workers like this machine"
        if many > forecast.shards:
            idle = many - forecast.shards
            yield "", f"{idle:,} of them idle: a file is a piece of work, and there are no more"
    price = flags.price_per_worker_hour
    if price is not None:
        cost = f"{_money(price * seconds(1) / 3600)} here"
        if many is not None:
            cost += f", {_money(price * many * seconds(many) / 3600)} on {many:,} workers"
        yield "money", f"{cost}, at {price:g} a worker and hour"
    yield "memory", f"{describe_size(forecast.memory_bytes)} a worker, as here"
    rows = round(forecast.images * run.costs.rows / run.costs.images)
    size = describe_size(costs.output_bytes(rows, forecast.shards))
    yield "files", f"{forecast.shards:,} (about {size})"


def _money(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.2g}"
