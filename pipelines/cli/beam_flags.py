"""The flags that are not ours: Beam's, and those of the job server that a run goes to."""

import argparse
import dataclasses
import difflib
import logging
from collections.abc import Sequence
from typing import Any, NoReturn

from pipelines.cli.spelling import LIKENESS
from transforms.errors import FlagError

_ANSWER_SECONDS = 10
"""How long a job server may take to say what flags it knows."""


def check_beam_flags(config_class: type[Any], beam_argv: Sequence[str]) -> None:
    """Checks that everything that is not ours is Beam's; Beam itself only warns.

    Raises:
        FlagError: If an argument is nobody's (suggests what was meant), a runner's name is none, or
            no job server answers.
    """
    # Takes 2 s; --help does not wait for it.
    from apache_beam.options.pipeline_options import (
        PipelineOptions,
        PortableOptions,
        StandardOptions,
    )
    from apache_beam.runners.portability.portable_runner import PortableRunner
    from apache_beam.runners.runner import create_runner

    known = [f"--{field.name}" for field in dataclasses.fields(config_class)]
    unknown: list[str] = []

    # Beam logs at once what it does not know; here that becomes one line, or is a job server's.
    logging.getLogger(PipelineOptions.__module__).setLevel(logging.ERROR)
    options = PipelineOptions(list(beam_argv))
    try:
        runner = create_runner(options.view_as(StandardOptions).runner or "DirectRunner")
    except ValueError as error:
        raise FlagError(f"--runner: {error}") from error
    endpoint = options.view_as(PortableOptions).job_endpoint
    is_portable = isinstance(runner, PortableRunner)
    has_server = is_portable and endpoint not in (None, "embed")
    switches = _ask_job_server(endpoint) if has_server else {}

    def collect(parser: argparse.ArgumentParser) -> None:
        parser.error = _refuse  # type: ignore[method-assign]
        theirs = {option for action in parser._actions for option in action.option_strings}
        for name in switches.keys() - theirs:
            parser.add_argument(name, action="store_true" if switches[name] else "append")
        unknown.extend(parser.parse_known_args(list(beam_argv))[1])
        known.extend(option for action in parser._actions for option in action.option_strings)

    options.get_all_options(add_extra_args_fn=collect)
    # A job server that Beam starts itself is not there to be asked.
    if not unknown or (is_portable and endpoint is None):
        return
    name = unknown[0].partition("=")[0]
    close = difflib.get_close_matches(name, known, 1, LIKENESS)
    hint = f"did you mean {close[0]}?" if close else "see --help"
    raise FlagError(f"unknown flag or argument {name}; {hint}")


def _refuse(message: str) -> NoReturn:
    """Says in one line what Beam's parser finds wrong; it would print all of its usage, too."""
    raise FlagError(message)


def _ask_job_server(endpoint: str) -> dict[str, bool]:
    """Returns the flags of the runner behind a job server, and whether they are switches."""
    import grpc
    from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

    with grpc.insecure_channel(endpoint) as channel:
        request = beam_job_api_pb2.DescribePipelineOptionsRequest()
        stub = beam_job_api_pb2_grpc.JobServiceStub(channel)
        try:
            answer = stub.DescribePipelineOptions(
                request, timeout=_ANSWER_SECONDS, wait_for_ready=True
            )
        except grpc.RpcError as error:
            raise FlagError(
                f"--job_endpoint {endpoint}: no job server answers there; start it (on this "
                "machine: scripts/flink_up or scripts/spark_up)"
            ) from error

    boolean = beam_job_api_pb2.PipelineOptionType.BOOLEAN
    return {f"--{option.name}": option.type == boolean for option in answer.options}
