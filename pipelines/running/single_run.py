"""One run into one directory: what embed and classify do once their flags are read."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pipelines.cli.run_flags import SingleRunConfig
from pipelines.running.execute import EXIT_DONE, execute
from pipelines.running.forecast import forecast_run
from pipelines.running.launch import MakeOutputs, keep_apart, prepare_launch
from pipelines.running.noted_flags import with_model_notes
from pipelines.running.run_plan import plan_run
from transforms.errors import FlagError, InputError
from transforms.lifecycle.claim import claim_output, unclaimed
from transforms.lifecycle.outlook import look_at_output
from transforms.lifecycle.staging import staging_path
from transforms.models.handle import resolve_model
from transforms.runs.directory import absolute_output
from transforms.runs.record import PublishedRun, read_published_run

Config = TypeVar("Config", bound=SingleRunConfig)

_INPUTS = ("input", "manifest")
_OWN = {
    "output", "retry_failed", "resume", "overwrite", "canaries", "canary_threshold",
    "write_canaries", "max_failed_fraction", "batch_size", "num_model_threads", "deduplicate",
    "inference_hints",
}  # fmt: skip
"""Flags of a run that completes another which are not that other run's."""


def run_once(
    config: Config,
    beam_argv: Sequence[str],
    *,
    program: str,
    outputs_of: Callable[[Config], MakeOutputs],
) -> int:
    """Runs embed or classify.

    Args:
        config: The flags.
        beam_argv: Beam's flags.
        program: "embed" or "classify".
        outputs_of: Given the flags, says what becomes of the model's outputs.

    Returns:
        The exit code.

    Raises:
        UserError: If a flag, an input, the model or the output cannot work.
        RunError: If the run did its work and may not be published.
    """
    earlier = None
    if config.retry_failed is not None:
        earlier = _read_run_to_complete(config.retry_failed)
        config = with_flags_of(config, earlier)
    model_dir = resolve_model(config.model)
    config = with_model_notes(config, model_dir)
    launch = prepare_launch(config, model_dir, program=program, make_outputs=outputs_of(config))
    output = absolute_output(config.output)
    flag = f"--output {output}"
    keep_apart(flag, output, launch.sources)
    staging = staging_path(output)
    if config.plan:
        found = look_at_output(
            output,
            staging,
            launch.plan_record,
            flag=flag,
            resume=config.resume,
            overwrite=config.overwrite,
        )
        plan = plan_run(launch, unclaimed(output), staging)
        return forecast_run(launch, plan, config, beam_argv, output=found)
    with claim_output(
        lambda: output,
        staging,
        launch.plan_record,
        flag=flag,
        resume=config.resume,
        overwrite=config.overwrite,
    ) as claim:
        if claim.is_published:
            print(f"{output} has been published by this command; there is nothing to resume")
            return EXIT_DONE
        plan = plan_run(launch, claim, staging, previous=earlier, completes=earlier is not None)
        return execute(plan, beam_argv, claim.hold)


def with_flags_of(config: Config, earlier: PublishedRun) -> Config:
    """Takes the flags that were left at their defaults from the run that is completed.

    Raises:
        FlagError: If other inputs are named than that run had, or it was another program's.
    """
    theirs = earlier.record["config"]
    for name in _INPUTS:
        mine = list(getattr(config, name))
        if mine and mine != theirs[name]:
            raise FlagError(
                f"--retry_failed {earlier.directory} has its inputs from that run; leave --{name} "
                "out"
            )
    taken: dict[str, Any] = {
        field.name: _as_flag(theirs[field.name])
        for field in dataclasses.fields(config)
        if field.name in theirs
        and field.name not in _OWN
        and getattr(config, field.name) == field.default
    }
    return dataclasses.replace(config, **taken)


def _as_flag(value: Any) -> Any:  # noqa: ANN401 - of any flag
    return tuple(value) if isinstance(value, list) else value


def _read_run_to_complete(handle: str) -> PublishedRun:
    try:
        return read_published_run(absolute_output(handle))
    except InputError as error:
        raise FlagError(f"--retry_failed {handle}: {error}") from error
