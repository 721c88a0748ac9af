"""What --plan says: one short table, aligned as the summary of a run.

matched   2,000 images, 182.0 MB
output    --output vectors/ is free
model     my_model/: the object itself, float32 [batch, 224, 224, 3] from 0 to 1 in, ...
sample    512 images here, 130.1 images/s once it ran
engine    tensorflow float32 on CPU, 32 images a call, 2 threads
failed    0 of 512
time in   read 1%, decode 32%, model 66%, write 1%
slowest   model: --engine openvino, --precision auto, a GPU, or more cores
time      0:00:22 here, 0:00:07 of it to start and to end
memory    1.8 GB a worker, as here
files     16 (about 5.3 MB)
"""

import dataclasses
from collections.abc import Iterable, Iterator

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
from transforms.failure import CUT_SHORT, Step
from transforms.forecast.workload import Workload
from transforms.inputs.counts import FileCount
from transforms.inputs.kinds import FILE_KINDS
from transforms.lifecycle.publication import PreviousCounts
from transforms.lifecycle.recall import describe_empty, describe_unseen
from transforms.records import Change

_MESSAGE_CHARS = 200

_Row = tuple[str, str]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is known before a run.

    Attributes:
        launch: Flags, model and policy, checked.
        workload: Inputs, and what of them is to be computed.
        shards: Number of output files.
        output: Words on what is there and whether a run may write.
        previous: Run that it would refresh, if there is one.
        run: Run of the sample; None if there is nothing to compute.
        start_seconds: Time that a run spends before it builds its pipeline, and on listing.
        workers: Threads that this machine used, in words.
        is_here: Whether the run would be on this machine.
        memory_bytes: Largest resident set of this process.
    """

    launch: Launch
    workload: Workload
    shards: int
    output: str
    previous: PreviousCounts | None
    run: SampleRun | None
    start_seconds: float
    workers: str
    is_here: bool
    memory_bytes: int

    @property
    def has_boxes(self) -> bool:
        """Whether a row is a box of an image."""
        return self.launch.columns.boxes is not None


def format_forecast(forecast: Forecast, flags: PlanFlags) -> str:
    """Says what was found, what the sample showed, and what the run would take."""
    rows = [
        *_inputs(forecast),
        *_changes(forecast),
        ("output", forecast.output),
        ("model", _model(forecast)),
    ]
    if forecast.run is None:
        return align([*rows, ("sample", "none: there is nothing to compute")])
    rows += _sample(forecast, forecast.run)
    rows += _failures(forecast, forecast.run)
    rows += _bottleneck(forecast, forecast.run)
    rows += _needs(forecast, forecast.run, flags)
    return align(rows)


def _inputs(forecast: Forecast) -> Iterator[_Row]:
    workload = forecast.workload
    survey, rows = workload.survey, workload.rows
    size_bytes = survey.image_bytes + sum(file.size_bytes for file in survey.files)
    matched = f"{_about(workload.counts.values())}{workload.images:,} images"
    if forecast.has_boxes:
        matched = f"{_about(rows.values())}{workload.all_rows:,} boxes of {matched}"
    yield "matched", f"{matched}, {describe_size(size_bytes)}"
    if survey.rows and survey.files:
        listed = "boxes in manifests" if forecast.has_boxes else "image files"
        yield "", f"{survey.rows:,} {listed}, {describe_size(survey.image_bytes)}"
    for kind, files_of in FILE_KINDS.items():
        own = {file: count for file, count in rows.items() if file.kind is kind}
        if own:
            total = round(sum(count.images for count in own.values()))
            size = describe_size(sum(file.size_bytes for file in own))
            about = _about(own.values())
            yield "", f"{about}{total:,} in {len(own):,} {files_of.word} files, {size}"
    if survey.unsized:
        yield "", f"{survey.unsized:,} whose sizes are not listed, and not in these bytes"
    builds_on_run = forecast.previous is not None
    unseen = describe_unseen(survey.unseen, builds_on_run=builds_on_run, shown=REASONS_SHOWN)
    empty = describe_empty(survey.empty, builds_on_run=builds_on_run, shown=REASONS_SHOWN)
    for name, texts in (("unlisted", unseen), ("empty", empty)):
        for place, text in enumerate(texts):
            yield "" if place else name, text
    if survey.skipped:
        yield "skipped", f"{sum(one.total for one in survey.skipped):,}"
        yield from list_reasons(
            {one.reason: one.total for one in survey.skipped},
            {one.reason: one.example for one in survey.skipped},
        )


def _about(counts: Iterable[FileCount]) -> str:
    return "" if all(count.is_exact for count in counts) else "about "


def _changes(forecast: Forecast) -> Iterator[_Row]:
    previous, changes = forecast.previous, forecast.workload.changes
    if previous is None:
        return
    for change in FATES:
        yield change, f"{changes.get(Change(change), 0):,}"
    yield "since", previous.directory
    yield "", "by size and time: of what changed, equal content is found out by reading it"
    if previous.recomputed_because is not None:
        yield "", f"all is computed again, because {previous.recomputed_because}"
    allowed_fraction = previous.max_deleted_fraction
    if changes.get(Change.DELETED, 0) > allowed_fraction * previous.images:
        allowed = f"--max_deleted_fraction {allowed_fraction:g}"
        yield "", f"more are gone than {allowed} allows: the run would fail"


def _model(forecast: Forecast) -> str:
    launch = forecast.launch
    contract = describe_contract(
        launch.model.spec, launch.model.image_size, launch.policy.pixel_range
    )
    return f"{launch.model.handle}: {contract}"


def _sample(forecast: Forecast, run: SampleRun) -> Iterator[_Row]:
    rows = "boxes" if forecast.has_boxes else "images"
    rate = f"{run.costs.images_per_second:,.1f} {rows}/s"
    yield "sample", f"{run.costs.images:,} {rows} here, {rate} once it ran"
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
    config = forecast.launch.config
    allowed = config.max_failed_fraction
    verdict = (
        f"more than --max_failed_fraction {allowed:g} allows: the run would fail"
        if failed > allowed * images
        else f"--max_failed_fraction {allowed:g} allows that"
    )
    yield "failed", f"{failed:,} of {images:,} ({failed / images:.1%}); {verdict}"
    is_cut = not CUT_SHORT.isdisjoint(run.record["failures_by_reason"])
    if is_cut and not config.allow_truncated_files and allowed < 1:
        yield "", "a file ends early: the run would fail without --allow_truncated_files"
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
            engine = "--engine openvino, " if launch.engine.engine == "tensorflow" else ""
            precision = "--precision auto, " if config.precision == "float32" else ""
            return f"{engine}{precision}a GPU, or more cores"
        case Step.WRITE:
            return "a faster disk, or fewer columns carried"


def _needs(forecast: Forecast, run: SampleRun, flags: PlanFlags) -> Iterator[_Row]:
    costs, workload = run.costs.of_a_run(forecast.start_seconds), forecast.workload

    def seconds(workers: int) -> float:
        return costs.seconds(workload.rows_to_compute, forecast.shards, workers)

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
    rows = round(workload.all_rows * run.costs.rows / run.costs.images)
    size = describe_size(costs.output_bytes(rows, forecast.shards))
    yield "files", f"{forecast.shards:,} (about {size})"


def _money(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.2g}"
