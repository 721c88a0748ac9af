"""A job for Dataflow, written to a bucket and not submitted; and what runs it in this process."""

import io
import json
import pathlib
import tarfile
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

from pipelines import embed
from tests.support.cloud import Cloud
from tests.support.runs import solid

ROOT = pathlib.Path(__file__).resolve().parents[2]
PHOTOS = 40
GPU = "type:nvidia-l4;count:1;install-nvidia-driver"


class Job(NamedTuple):
    """What a launch leaves in a bucket: the job, its pipeline, the files of staged packages."""

    job: dict[str, Any]
    pipeline: beam_runner_api_pb2.Pipeline
    packages: list[str]

    @property
    def names(self) -> set[str]:
        return {step.unique_name for step in self.pipeline.components.transforms.values()}


def put_inputs(cloud: Cloud, model: str) -> None:
    """Puts photos and a model where workers in the cloud would find them."""
    for number in range(PHOTOS):
        cloud.put(f"photos/{number:03d}.png", solid(number, 0, 0))
    for path in pathlib.Path(model).rglob("*"):
        if path.is_file():
            cloud.put(f"model/{path.relative_to(model)}", path.read_bytes())


def flags(cloud: Cloud, output: str, *argv: str) -> list[str]:
    """Returns the flags of a run on Dataflow, as scripts/run_dataflow gives them."""
    return [
        *(f"--input={cloud.uri}/photos", f"--model={cloud.uri}/model"),
        *(f"--output={cloud.uri}/{output}", "--rows_per_file=20"),
        *("--runner=DataflowRunner", "--project=my-project", "--region=europe-west1"),
        *(f"--temp_location={cloud.uri}/{output}-tmp", "--no_save_main_session"),
        "--machine_type=n2-standard-4",
        *("--experiments=no_use_multiple_sdk_containers", "--number_of_worker_harness_threads=4"),
        *argv,
    ]


def write_job(
    cloud: Cloud, output: str, *argv: str, launch: Callable[[Sequence[str]], int] = embed.main
) -> Job:
    """Launches as a Flex Template's launcher does: the job is written and not submitted."""
    template = f"--template_location={cloud.uri}/{output}.json"
    assert launch(flags(cloud, output, template, *argv)) == 0
    staged = {name.rpartition("/")[2]: name for name in cloud.names(f"{output}-tmp/")}
    pipeline = beam_runner_api_pb2.Pipeline()
    pipeline.ParseFromString(cloud.get(staged["pipeline.pb"]))
    packages: list[str] = []
    if "workflow.tar.gz" in staged:
        with tarfile.open(fileobj=io.BytesIO(cloud.get(staged["workflow.tar.gz"]))) as archive:
            packages = archive.getnames()
    return Job(json.loads(cloud.get(f"{output}.json")), pipeline, packages)


def run_job(job: Job) -> None:
    """Runs a written job as Dataflow would, but in this process: from its pipeline alone."""
    pipeline = beam_runner_api_pb2.Pipeline()
    pipeline.CopyFrom(job.pipeline)
    for environment in pipeline.components.environments.values():
        environment.urn = "beam:env:embedded_python:v1"
        environment.ClearField("payload")
        environment.ClearField("dependencies")
    FnApiRunner().run_via_runner_api(pipeline, PipelineOptions(["--direct_num_workers=2"]))
