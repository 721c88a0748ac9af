"""What embed and classify do: one run into one directory, which may complete another."""

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

from pipelines.cli.outcome import Outcome
from pipelines.cli.run_flags import SingleRunConfig
from pipelines.running.destination import RunDirectory
from pipelines.running.first_look import read_run_to_complete
from pipelines.running.launch import MakeOutputs
from pipelines.running.recorded_flags import INPUTS
from pipelines.running.run import run_into
from transforms.errors import FlagError
from transforms.files.uris import absolute
from transforms.runs.directory import absolute_output
from transforms.runs.record import PublishedRun

Config = TypeVar("Config", bound=SingleRunConfig)

_OWN = {
    "output", "retry_failed", "resume", "overwrite", "canaries", "canary_threshold",
    "write_canaries", "max_failed_fraction", "allow_truncated_files", "batch_size",
    "num_model_threads", "deduplicate", "inference_hints",
}  # fmt: skip
"""Flags of a run that completes another which are not that other run's."""


def run_once(
    config: Config,
    beam_argv: Sequence[str],
    *,
    program: str,
    make_outputs: MakeOutputs[Config],
) -> Outcome:
    """Runs embed or classify.

    Args:
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
    destination, config = choose_directory(config)
    return run_into(destination, config, beam_argv, program=program, make_outputs=make_outputs)


def choose_directory(config: Config) -> tuple[RunDirectory, Config]:
    """Returns where a run goes, and its flags, with those of the run that it completes.

    Raises:
        FlagError: If there is no such run, or the flags do not go with it.
    """
    output = absolute_output(config.output)
    if config.retry_failed is None:
        return RunDirectory(output), config
    completes = read_run_to_complete(config.retry_failed)
    return RunDirectory(output, completes), with_flags_of(config, completes)


def with_flags_of(config: Config, earlier: PublishedRun) -> Config:
    """Takes the flags that were left out from the run that is completed.

    With --retry_failed RUN --output OUT, and RUN made by --input photos/ --resize_mode pad:
    input and resize_mode are RUN's again, output is OUT, and batch_size the default, being no
    part of what RUN is.

    With --resize_mode squash beside it, the default, it is squash: it was said.

    Raises:
        FlagError: If other inputs are named than that run had, or it was another program's.
    """
    theirs = earlier.record["config"]
    for name in INPUTS:
        mine = list(getattr(config, name))
        if mine and theirs[name] not in (mine, list(map(absolute, mine))):
            raise FlagError(
                f"--retry_failed {earlier.directory} has its inputs from that run; leave --{name} "
                "out"
            )
    taken: dict[str, Any] = {
        field.name: _as_flag(theirs[field.name])
        for field in dataclasses.fields(config)
        if field.name in theirs
        and field.name not in _OWN
        and (field.name in INPUTS or not config.is_given(field.name))
    }
    return dataclasses.replace(config, **taken)


def _as_flag(value: Any) -> Any:  # noqa: ANN401 - of any flag
    return tuple(value) if isinstance(value, list) else value
