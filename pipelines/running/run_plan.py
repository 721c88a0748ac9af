"""A run plan: a launch that has a place to write, and knows what it builds on."""

import dataclasses

from pipelines.running.destination import Destination
from pipelines.running.launch import Launch
from transforms.forecast.sample import Sample
from transforms.lifecycle.basis import Basis, Completion
from transforms.lifecycle.canaries import CanaryGate
from transforms.lifecycle.claim import Claim
from transforms.lifecycle.publication import Publication
from transforms.runs.directory import absolute_output
from transforms.steps.plan_shards import ShardSizes


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunPlan:
    """Everything a run is made of. It stays at launch; the steps take from it what workers need.

    Attributes:
        launch: Launch, checked before there was a place to write.
        basis: Earlier run that it builds on, if there is one, and how.
        publication: Place of the run, what its _run.json will say, and when it may be published.
        is_resumed: Whether commit records of an earlier start count.
        sample: Images to compute in place of the inputs; None in a run.
    """

    launch: Launch
    basis: Basis
    publication: Publication
    is_resumed: bool
    sample: Sample | None = None

    @property
    def program(self) -> str:
        """Name of the program that was called: "embed", "classify" or "refresh"."""
        return self.launch.program if self.publication.root is None else "refresh"

    @property
    def sizes(self) -> ShardSizes:
        """How many shards of listed images there shall be."""
        return ShardSizes(self.launch.config.rows_per_file, self.basis.least_image_shards)

    @property
    def places_by_content(self) -> bool:
        """Whether listed images are hashed first, and put into shards by it.

        Not under a root: there an image stays in its shard, to be found by the next refresh. Nor
        where rows of one image are told apart: these must meet, though one cannot be read now.
        """
        stays = self.publication.root is not None or self.launch.columns.tells_rows_apart
        return self.launch.config.deduplicate and not stays

    @property
    def has_files(self) -> bool:
        """Whether some shards are TFRecord, Parquet, tar or zip files: ids are known once read."""
        return self.basis.has_files(self.launch.sources)

    @property
    def may_repeat_ids(self) -> bool:
        """Whether two shards may hold one image_id; else the plan puts equal ids into one shard."""
        return self.has_files or self.places_by_content


def plan_run(launch: Launch, claim: Claim, destination: Destination) -> RunPlan:
    """Plans the run that a launch and a claimed output make.

    Args:
        launch: The checked flags.
        claim: Claim of the output, which says what the run may do there.
        destination: Place that the run goes to; asked what it builds on, now that nobody else can
            write there.

    Raises:
        UserError: If the run to build on or the canaries cannot be used.
    """
    config = launch.config
    basis = destination.basis(launch.recipe)
    if isinstance(basis, Completion):
        basis.check_columns(launch.column_recipe)
    return RunPlan(
        launch=launch,
        basis=basis,
        publication=Publication(
            run_id=claim.run_id,
            started_at=claim.started_at,
            output=claim.output,
            staging=destination.staging,
            stem=launch.stem,
            output_format=config.output_format,
            max_failed_fraction=config.max_failed_fraction,
            allow_truncated_files=config.allow_truncated_files,
            previous=basis.counts,
            canary_gate=_canary_gate(launch),
            root=destination.root,
            quantized=launch.engine.quantized,
            description=launch.description,
        ),
        is_resumed=claim.is_resumed,
    )


def _canary_gate(launch: Launch) -> CanaryGate | None:
    config = launch.config
    if config.canaries is None or launch.canaries is None:
        return None
    directory = absolute_output(config.canaries)
    gate = CanaryGate(directory, config.canary_threshold, launch.stem, config.write_canaries)
    gate.check_expected(launch.canaries)
    return gate
