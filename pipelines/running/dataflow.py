"""What is particular to Dataflow: where its files are, who waits for it, and what it says."""

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence

from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
    TestOptions,
    WorkerOptions,
)
from apache_beam.transforms.resources import parse_resource_hints

from pipelines.cli.run_flags import RunConfig
from transforms.errors import FlagError
from transforms.files.file_uris import without_file_scheme
from transforms.files.uris import is_local

URI_FLAGS = ("input", "manifest", "output", "output_root", "retry_failed", "canaries")
"""Flags that name what workers read or write."""

_RUNNERS = ("dataflow", "dataflowrunner")

_LOG = "apache_beam.runners.dataflow"
_NEWS = ("To access the Dataflow monitoring console", "A template was just created")
"""Beginnings of what is worth reading among what Beam says of its calls."""


def is_on_dataflow(options: PipelineOptions) -> bool:
    """Whether the run goes to Dataflow."""
    return (options.view_as(StandardOptions).runner or "").lower() in _RUNNERS


def is_template(options: PipelineOptions) -> bool:
    """Whether a job is only written, as in the launcher of a Flex Template, and runs later."""
    template = options.view_as(GoogleCloudOptions).template_location
    return is_on_dataflow(options) and template is not None


def is_dry_run(options: PipelineOptions) -> bool:
    """Whether a job is only built."""
    return is_on_dataflow(options) and bool(options.view_as(TestOptions).dry_run)


def check_dataflow(config: RunConfig, options: PipelineOptions) -> None:
    """Checks that Dataflow's workers see what the flags name; passes for any other runner.

    Raises:
        FlagError: If something is on this machine. A model may be, if a container has it too.
    """
    if not is_on_dataflow(options):
        return
    has_container = options.view_as(WorkerOptions).sdk_container_image is not None
    names = URI_FLAGS if has_container else (*URI_FLAGS, "model")
    for name in names:
        value = getattr(config, name, None) or ()
        for uri in (value,) if isinstance(value, str) else value:
            if is_local(without_file_scheme(uri)):
                raise FlagError(
                    f"--{name} {uri} is on this machine, where Dataflow's workers do not see it; "
                    "copy it to a bucket and give its gs:// name"
                )


def read_hints(hints: Sequence[str]) -> dict[str, str]:
    """Reads resource hints, each NAME=VALUE.

    Raises:
        FlagError: If Beam knows no such hint, or cannot read its value.
    """
    read = {}
    for hint in hints:
        name, _, value = hint.partition("=")
        try:
            parse_resource_hints({name: value})
        except ValueError as error:
            raise FlagError(
                f"--inference_hints {hint}: {str(error).rstrip('.')}; wanted NAME=VALUE, as "
                "min_ram=16GB"
            ) from error
        read[name] = value
    return read


def failure_type(options: PipelineOptions) -> type[Exception]:
    """Returns what the runner raises for a job that failed."""
    if not is_on_dataflow(options):
        return RuntimeError
    from apache_beam.runners.dataflow.dataflow_runner import DataflowRuntimeException

    return DataflowRuntimeException


@contextlib.contextmanager
def job_messages() -> Iterator[None]:
    """Shows on stderr where a job is to be seen, and what Dataflow says of it."""
    logger = logging.getLogger(_LOG)
    level, handler = logger.level, logging.StreamHandler(sys.stderr)
    handler.addFilter(_is_message)
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _is_message(record: logging.LogRecord) -> bool:
    """Whether a line is Dataflow's, or worth reading; not uploads, nor the whole job."""
    return (
        record.levelno > logging.INFO
        or record.name.endswith(".dataflow_runner")
        or str(record.msg).startswith(_NEWS)
    )
