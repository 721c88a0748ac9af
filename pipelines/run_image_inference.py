"""RunImageInference: a whole run, with shards, resume and publication, in somebody's pipeline."""

import atexit
import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.pvalue import PBegin, PCollection

from pipelines.classify import class_outputs
from pipelines.cli.classify_flags import ClassifyConfig
from pipelines.cli.embed_flags import EmbedConfig
from pipelines.cli.forecast_flags import PLAN_FLAGS
from pipelines.cli.launcher_flags import LAUNCHER_FLAGS
from pipelines.cli.refresh_flags import RefreshConfig
from pipelines.embed import embedding_outputs
from pipelines.running.dataflow import check_dataflow, is_template
from pipelines.running.destination import Destination, destination_of
from pipelines.running.graph import define_pipeline
from pipelines.running.launch import Launch
from pipelines.running.run import claim_run, launch_run, plan_claimed
from pipelines.running.single_run import choose_directory
from transforms.errors import FlagError, OutputError
from transforms.lifecycle.claim import Claim
from transforms.lifecycle.publication import Publication
from transforms.runs.record import read_published_run, read_record
from transforms.steps.publish import is_done

Config = EmbedConfig | ClassifyConfig | RefreshConfig


class PublishedOutputs(NamedTuple):
    """What comes out once a run is published.

    Attributes:
        files: PCollection[str], URIs of its data files.
        record: PCollection[dict], the content of its _run.json, as one element.
    """

    files: PCollection[str]
    record: PCollection[dict[str, Any]]


@dataclasses.dataclass(eq=False)
class RunImageInference(beam.PTransform[PBegin, PublishedOutputs]):
    """Makes a run, as pipelines.embed, classify and refresh do, in a pipeline of one's own.

    For example::

        files, record = pipeline | RunImageInference(
            EmbedConfig(input=("photos/",), model="model/", output="vectors/", resume=True)
        )

    Where it is applied, the inputs and the model are looked at, and the output is claimed for this
    process: no other run can write there. The pipeline computes the shards, and publishes. A
    pipeline that is never run, fails or dies leaves what a program leaves that dies: finished
    shards, and a lock that no process holds. Applied again with resume, it goes on. The claim ends
    with the process: let it wait for the pipeline.

    Attributes:
        config: Flags of the program.

    Raises:
        UserError: From where it is applied, if a flag, an input, the model or the output cannot
            work.
    """

    config: Config

    def __post_init__(self) -> None:
        super().__init__()

    @beam.typehints.no_annotations
    def expand(self, begin: PBegin) -> PublishedOutputs:
        """Returns what comes out once the run is published."""
        _check_flags(self.config)
        check_dataflow(self.config, begin.pipeline.options)
        destination, launch = _launch(self.config)
        _let_go_of_finished()
        if destination.staging in _HELD:
            raise OutputError(
                f"{destination.flag} is claimed by a RunImageInference of this process that has "
                "not published; wait for its pipeline, or call its let_go() if that has failed"
            )
        with contextlib.ExitStack() as stack:
            claim = stack.enter_context(claim_run(destination, launch))
            if claim.is_published:
                published = begin | "Published" >> beam.Create([None])
            else:
                plan = plan_claimed(launch, claim, destination)
                published = define_pipeline(begin.pipeline, plan)
                claim.hold.is_handed_over = is_template(begin.pipeline.options)
                _HELD[destination.staging] = _Held(claim, plan.publication, stack.pop_all())
        return PublishedOutputs(
            published
            | "DataFiles" >> beam.FlatMap(_data_files, claim.output).with_output_types(str),
            published | "Record" >> beam.Map(_record, claim.output),
        )

    def let_go(self) -> None:
        """Lets go of the output after a pipeline that failed, in a process that goes on.

        What is finished stays, for resume. Not while the pipeline runs: another could write there.
        """
        held = _HELD.pop(destination_of(self.config).staging, None)
        if held is not None:
            held.stack.close()


class _Held(NamedTuple):
    """A claim that outlives its expand: until its run is published, or the process ends.

    It ends without an error, which would clear the staging directory of a job that works on.
    """

    claim: Claim
    publication: Publication
    stack: contextlib.ExitStack


_HELD: dict[str, _Held] = {}
"""Claims of this process, by staging directory."""


def _let_go_of_finished() -> None:
    for staging, held in list(_HELD.items()):
        if held.claim.hold.is_handed_over or is_done(held.publication):
            del _HELD[staging]
            held.stack.close()


@atexit.register
def _let_go_of_all() -> None:
    while _HELD:
        _, held = _HELD.popitem()
        with contextlib.suppress(OSError):  # Somebody has deleted all of it meanwhile.
            held.stack.close()


def _check_flags(config: Config) -> None:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in LAUNCHER_FLAGS | PLAN_FLAGS and value != field.default:
            raise FlagError(f"{field.name} is for a program's launcher; leave it out in a pipeline")


def _launch(config: Config) -> tuple[Destination, Launch]:
    if isinstance(config, RefreshConfig):
        destination: Destination = destination_of(config)
        program = config.program
    else:
        destination, config = choose_directory(config)
        program = "classify" if isinstance(config, ClassifyConfig) else "embed"
    make_outputs: Any = class_outputs if program == "classify" else embedding_outputs
    return destination, launch_run(destination, config, program=program, make_outputs=make_outputs)


def _data_files(_: None, directory: str) -> Iterator[str]:
    return (result.data.path for result in read_published_run(directory).results)


def _record(_: None, directory: str) -> dict[str, Any]:
    return read_record(directory)
