"""From flags to a run: what embed, classify and refresh have in common."""

import dataclasses
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

from pipelines.cli.outcome import Outcome
from pipelines.cli.refresh_flags import RefreshConfig
from pipelines.cli.run_flags import RunConfig, SingleRunConfig
from pipelines.running.destination import Destination, keep_apart
from pipelines.running.execute import execute
from pipelines.running.forecast import forecast_run
from pipelines.running.launch import Launch, MakeOutputs, prepare_launch
from pipelines.running.noted_flags import with_model_notes
from pipelines.running.quantization import share
from pipelines.running.run_facts import ALREADY_PUBLISHED
from pipelines.running.run_plan import RunPlan, plan_run
from transforms.errors import printable
from transforms.files.file_systems import FileSystems
from transforms.lifecycle.claim import Claim, claim_output, unclaimed
from transforms.lifecycle.outlook import look_at_output
from transforms.models.handle import resolve_model
from transforms.runs.directory import INT8_FILE

Config = TypeVar("Config", bound=SingleRunConfig | RefreshConfig)


def run_into(
    destination: Destination,
    config: Config,
    beam_argv: Sequence[str],
    *,
    program: str,
    make_outputs: MakeOutputs[Config],
) -> Outcome:
    """Launches a run, claims its output, plans and executes it; with --plan, only foretells it.

    Args:
        destination: Place that the run goes to.
        config: The flags.
        beam_argv: Beam's flags.
        program: "embed" or "classify".
        make_outputs: Callback, which says what becomes of the model's outputs.

    Returns:
        The outcome.

    Raises:
        UserError: If a flag, an input, the model or the output cannot work.
        RunError: If the run did its work and may not be published.
    """
    launch = launch_run(destination, config, program=program, make_outputs=make_outputs)
    if config.plan:
        found = look_at_output(
            destination.output,
            destination.staging,
            launch.plan_record,
            flag=destination.flag,
            resume=config.resume,
            overwrite=config.overwrite,
        )
        plan = plan_run(launch, unclaimed(destination.directory), destination)
        return forecast_run(plan, config, beam_argv, output=found)
    with claim_run(destination, launch) as claim:
        if claim.is_published:
            done = f"{claim.output} has been published by this command"
            print(printable(f"{done}; there is nothing to resume"))
            return Outcome(facts={"status": ALREADY_PUBLISHED, "output": claim.output})
        plan = plan_claimed(launch, claim, destination)
        return execute(plan, beam_argv, claim.hold)


def launch_run(
    destination: Destination, config: Config, *, program: str, make_outputs: MakeOutputs[Config]
) -> Launch:
    """Checks all that can be checked before the output is claimed; see run_into."""
    model_dir = resolve_model(config.model)
    is_range_given = config.input_range is not None
    config = with_model_notes(config, model_dir)
    earlier = destination.earlier
    launch = prepare_launch(
        config,
        model_dir,
        program=program,
        make_outputs=make_outputs,
        is_range_given=is_range_given,
        earlier=None if earlier is None else earlier.record,
        kept_int8=_where_int8_may_be(destination, config),
    )
    keep_apart(destination, launch.sources)
    return launch


def plan_claimed(launch: Launch, claim: Claim, destination: Destination) -> RunPlan:
    """Plans the run of a claimed output, with all in its place that workers read; see plan_run."""
    engine = share(launch.engine, destination.staging)
    return plan_run(dataclasses.replace(launch, engine=engine), claim, destination)


def _where_int8_may_be(destination: Destination, config: RunConfig) -> list[str]:
    """Returns where an earlier start of the run, and the run that it builds on, have theirs."""
    directories = [destination.staging] if config.resume else []
    if config.resume and not config.overwrite and destination.output is not None:
        directories.append(destination.output)  # It may be published already.
    if destination.earlier is not None:
        directories.append(destination.earlier.directory)
    return [FileSystems.join(directory, INT8_FILE) for directory in directories]


def claim_run(destination: Destination, launch: Launch) -> AbstractContextManager[Claim]:
    """Holds the output of a run; see claim_output."""
    return claim_output(
        destination.choose_output,
        destination.staging,
        launch.plan_record,
        flag=destination.flag,
        resume=launch.config.resume,
        overwrite=launch.config.overwrite,
    )
