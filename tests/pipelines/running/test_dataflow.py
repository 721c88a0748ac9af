"""A job for Dataflow, built whole and not submitted: its graph, hints, files, and who waits."""

import base64
import bz2
import json
import pathlib
import pickletools
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.portability.common_urns import resource_hints
from apache_beam.runners.dataflow.dataflow_runner import DataflowRuntimeException
from apache_beam.runners.portability.fn_api_runner import translations

from pipelines import embed
from pipelines.running.dataflow import failure_type, read_hints
from pipelines.running.pipeline_run import own_errors
from tests.support.cloud import Cloud, Emulator, use_emulator
from tests.support.dataflow import GPU, PHOTOS, ROOT, Job, flags, put_inputs, run_job, write_job
from transforms.errors import FlagError, RunError

HINTS = ("--inference_hints", f"accelerator={GPU}", "min_ram=16GB")
CHAIN = (
    "ReadImages/ReadShard",
    "PreprocessImages/PreprocessBatch",
    "RunInference/BatchElements/ParDo(_GlobalWindowsBatchingDoFn)",
    "RunInference/BeamML_RunInference",
    "Tabulate/ToEmbeddingRows",
    "WriteShards/WriteShard",
)
MAX_CLOSURE_BYTES = 10_000
"""The largest is what _run.json says; a model would be megabytes."""


def stages(job: Job) -> list[tuple[dict[str, bytes], list[str]]]:
    """Fuses a pipeline as Beam's own runners do; returns each stage's hints and steps."""
    _, fused = translations.create_and_optimize_stages(
        job.pipeline,
        [
            translations.annotate_downstream_side_inputs,
            translations.fix_side_input_pcoll_coders,
            translations.expand_sdf,
            translations.expand_gbk,
            translations.sink_flattens,
            translations.greedily_fuse,
        ],
        known_runner_urns=frozenset({"beam:transform:impulse:v1"}),
    )
    environments = job.pipeline.components.environments
    return [
        (
            dict(environments[stage.environment].resource_hints) if stage.environment else {},
            [
                step.unique_name
                for step in stage.transforms
                if step.spec.urn == "beam:transform:pardo:v1"
            ],
        )
        for stage in fused
    ]


def texts_in(pickled: bytes) -> set[str]:
    """Returns every text of a closure of Beam's, the modules of its classes among them."""
    operations = pickletools.genops(bz2.decompress(base64.b64decode(pickled)))
    return {argument for _, argument, _ in operations if isinstance(argument, str)}


@pytest.fixture(scope="module")
def bucket(storage_emulator: Emulator, mean_color: str) -> Iterator[Cloud]:
    with use_emulator(storage_emulator) as cloud:
        put_inputs(cloud, mean_color)
        yield cloud


@pytest.fixture(scope="module")
def job(bucket: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Job:
    # A copy: setuptools also packs what it finds named in the leftovers of an earlier build.
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in ("pipelines", "transforms"):
        shutil.copytree(ROOT / name, source / name)
    return write_job(bucket, "hinted", f"--setup_file={source / 'setup.py'}", *HINTS)


@pytest.fixture(scope="module")
def plain_job(bucket: Cloud) -> Job:
    return write_job(bucket, "plain")


def test_reading_to_writing_is_one_stage_and_its_hints_cover_it_alone(job: Job) -> None:
    hinted = [(hints, steps) for hints, steps in stages(job) if hints]
    assert hinted == [
        (
            {
                resource_hints.ACCELERATOR.urn: GPU.encode(),
                resource_hints.MIN_RAM_BYTES.urn: b"16000000000",
            },
            [f"ComputeShards/{name}" for name in CHAIN],
        )
    ]


def test_without_hints_nothing_is_cut_off_from_the_shuffle_before_it(plain_job: Job) -> None:
    chain = [f"ComputeShards/{name}" for name in CHAIN]
    (found,) = [steps for hints, steps in stages(plain_job) if chain[0] in steps and not hints]
    assert found[-len(chain) :] == chain
    assert "SpreadShards/RemoveRandomKeys" in found
    assert len(plain_job.pipeline.components.environments) == 1


def test_steps_keep_their_names(job: Job, plain_job: Job) -> None:
    assert job.names == plain_job.names
    outermost = {name.partition("/")[0] for name in job.names}
    assert {name for name in outermost if not name.startswith("ref_")} == {
        "MatchInputs", "DivideFiles", "PlanShards", "KeepFinished", "SpreadShards", "ComputeShards",
        "Results", "CheckUniqueIds", "Publish",
    }  # fmt: skip
    ours = {name for name in job.names if "lambda" in name and "core.py" not in name}
    assert not ours, "a name with a line number changes with the code"


def test_no_closure_holds_a_model_or_much_else(job: Job) -> None:
    closures = {}
    for step in job.pipeline.components.transforms.values():
        assert len(step.spec.payload) < MAX_CLOSURE_BYTES, step.unique_name
        if step.spec.urn == "beam:transform:pardo:v1":
            function = beam_runner_api_pb2.ParDoPayload.FromString(step.spec.payload).do_fn
            if function.urn == python_urns.PICKLED_DOFN_INFO:
                closures[step.unique_name] = texts_in(function.payload)
    assert (
        "transforms.steps.saved_model_handler"
        in closures["ComputeShards/RunInference/BeamML_RunInference"]
    )
    for name, texts in closures.items():
        loaded = {
            "transforms.models.image_model",
            "transforms.models.loaded_model",
            "transforms.models.tensorflow_engine",
        }
        assert not loaded & texts, name
        assert not any(text.startswith(("tensorflow.", "keras.")) for text in texts), name


def test_the_staged_package_has_every_module(job: Job) -> None:
    modules = {
        str(path.relative_to(ROOT))
        for package in ("pipelines", "transforms")
        for path in (ROOT / package).rglob("*.py")
    }
    assert len(modules) > 80
    assert modules <= {name.partition("/")[2] for name in job.packages}
    (pool,) = job.job["environment"]["workerPools"]
    assert "workflow.tar.gz" in [package["name"] for package in pool["packages"]]


def test_the_job_says_what_the_workers_are(job: Job) -> None:
    environment = job.job["environment"]
    (pool,) = environment["workerPools"]
    assert job.job["type"] == "JOB_TYPE_BATCH"
    assert "no_use_multiple_sdk_containers" in environment["experiments"]
    assert "use_multiple_sdk_containers" not in environment["experiments"]
    assert (pool["machineType"], pool["numThreadsPerWorker"]) == ("n2-standard-4", 4)
    images = {image["containerImage"] for image in pool["sdkHarnessContainerImages"]}
    assert len(images) == 1
    assert len(pool["sdkHarnessContainerImages"]) == 2, "one environment with hints, one without"


def test_a_written_job_publishes_without_its_launcher(
    bucket: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    job = write_job(bucket, "out", *HINTS)
    said = capsys.readouterr()
    assert f"publishes {bucket.uri}/out by itself" in said.out
    assert f"A template was just created at location {bucket.uri}/out.json" in said.err
    assert "GCS upload" not in said.err
    assert bucket.names("out/") == ["out/_staging/lock.json", "out/_staging/plan.json"]
    for way_on in ([], ["--resume"], ["--overwrite"], ["--resume", "--overwrite"]):
        assert embed.main(flags(bucket, "out", "--runner=FnApiRunner", *way_on)) == 2
        error = capsys.readouterr().err
        assert "left its work to a Dataflow job" in error
        assert f"{bucket.uri}/out/_staging/lock.json" in error
    run_job(job)
    assert "out/_SUCCESS" in bucket.names("out/")
    assert json.loads(bucket.get("out/_run.json"))["counts"]["written"] == PHOTOS
    assert not bucket.names("out/_staging/"), "the job ends the lock that it was left"
    capsys.readouterr()
    assert embed.main(flags(bucket, "out", "--runner=FnApiRunner", "--resume", *HINTS)) == 0
    assert "there is nothing to resume" in capsys.readouterr().out


def test_a_job_that_never_ran_is_resumed_once_its_lock_is_deleted(bucket: Cloud) -> None:
    write_job(bucket, "never")
    bucket.delete("never/_staging/lock.json")
    assert embed.main(flags(bucket, "never", "--runner=FnApiRunner", "--resume")) == 0
    assert json.loads(bucket.get("never/_run.json"))["counts"]["written"] == PHOTOS
    assert not bucket.names("never/_staging/")


def test_a_job_leaves_a_lock_that_another_run_has_taken(
    bucket: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    job = write_job(bucket, "taken")
    lock = {**json.loads(bucket.get("taken/_staging/lock.json")), "is_handed_over": False}
    bucket.put("taken/_staging/lock.json", json.dumps(lock).encode())
    run_job(job)
    assert bucket.names("taken/_staging/") == ["taken/_staging/lock.json"]


def test_a_dry_run_leaves_nothing(bucket: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert embed.main(flags(bucket, "dry", "--dry_run=True")) == 0
    assert "not submitted" in capsys.readouterr().out
    assert not bucket.names("dry/")


@pytest.mark.parametrize("name", ["input", "manifest", "output", "canaries", "model"])
def test_what_is_on_this_machine_is_refused(
    name: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"input": "gs://b/in", "model": "gs://b/model", "output": "gs://b/out"}
    given[name] = f"file://{tmp_path}" if name == "input" else str(tmp_path)
    argv = [f"--{flag}={value}" for flag, value in given.items()]
    assert embed.main([*argv, "--runner=DataflowRunner"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"embed: --{name} {tmp_path} is on this machine")
    assert len(error.splitlines()) == 1


def test_a_container_may_hold_the_model(
    bucket: Cloud, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    image = "--sdk_container_image=registry.example.org/image:1"
    argv = flags(bucket, "contained", "--dry_run=True", image, f"--model={mean_color}")
    assert embed.main(argv) == 0


def test_what_beam_misses_is_one_line(bucket: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    assert embed.main(flags(bucket, "bad", "--project=p")) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("embed: ")
    assert "project" in error
    assert not bucket.names("bad/")


def test_what_ended_a_job_is_our_own_error_again() -> None:
    options = PipelineOptions(["--runner=DataflowRunner"])
    reported = "Dataflow pipeline failed. State: FAILED, Error:\nTraceback …\n"
    failed = DataflowRuntimeException(f"{reported}transforms.errors.RunError: 9 failed\n", None)
    with pytest.raises(RunError, match=r"^9 failed$"), own_errors(failure_type(options)):
        raise failed
    other = DataflowRuntimeException(f"{reported}MemoryError\n", None)
    with pytest.raises(DataflowRuntimeException), own_errors(failure_type(options)):
        raise other


def test_hints_are_read_and_refused_by_their_names() -> None:
    assert read_hints([f"accelerator={GPU}", "min_ram=16GB"]) == {
        "accelerator": GPU,
        "min_ram": "16GB",
    }
    for wrong in ("min_ram", "min_ram=", "min_ram=16", "memory=16GB"):
        with pytest.raises(FlagError, match=f"--inference_hints {wrong}: .*wanted NAME=VALUE"):
            read_hints([wrong])


def run_script(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / "scripts" / "run_dataflow", *argv],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
    )


PLACE = {"PROJECT": "my-project", "REGION": "europe-west1", "BUCKET": "gs://my-bucket"}


@pytest.mark.parametrize("missing", PLACE)
def test_the_script_names_what_is_missing(missing: str) -> None:
    place = {name: value for name, value in PLACE.items() if name != missing}
    done = run_script("embed", "--help", **place)
    assert done.returncode == 2
    assert missing in done.stderr
    assert not done.stdout


def test_the_script_refuses_another_program_and_bucket() -> None:
    assert run_script("verify", **PLACE).returncode == 2
    assert run_script(**PLACE).returncode == 2
    done = run_script("embed", **{**PLACE, "BUCKET": "my-bucket"})
    assert done.returncode == 2
    assert "gs://" in done.stderr


def test_the_script_shows_and_runs_the_command() -> None:
    done = run_script("embed", "--model", "a model", "--help", **PLACE)
    assert done.returncode == 0, done.stderr
    assert "usage: python -m pipelines.embed" in done.stdout
    shown = done.stderr
    for part in (
        "-m pipelines.embed",
        "--runner=DataflowRunner",
        "--project=my-project",
        "--region=europe-west1",
        "--temp_location=gs://my-bucket/tmp",
        "--setup_file=./setup.py",
        "--no_save_main_session",
        "--experiments=no_use_multiple_sdk_containers",
        "--machine_type=n2-standard-4",
        "--number_of_worker_harness_threads=4",
        "--model 'a model'",
    ):
        assert part in shown
    shown = run_script("embed", "--help", IMAGE="registry.example.org/i:1", **PLACE).stderr
    assert "--sdk_container_image=registry.example.org/i:1" in shown
    assert "--setup_file" not in shown


@pytest.mark.parametrize(
    ("worker", "threads"),
    [
        ({"MACHINE": "c3-highcpu-8"}, 8),
        ({"MACHINE": "c3-standard-8-lssd"}, 8),
        ({"MACHINE": "z3-highmem-14-standardlssd"}, 14),
        ({"MACHINE": "custom-6-16384"}, 4),
        ({"MACHINE": "c3-highcpu-8", "THREADS": "12"}, 12),
    ],
)
def test_the_script_takes_a_thread_a_vcpu(worker: dict[str, str], threads: int) -> None:
    shown = run_script("embed", "--help", **worker, **PLACE).stderr
    assert (
        f"--machine_type={worker['MACHINE']} --number_of_worker_harness_threads={threads} " in shown
    )
