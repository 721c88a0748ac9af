"""The same command on Beam's portable runners: the same bytes as on the local one."""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipelines import classify
from tests.support.metrics import read_metrics
from tests.support.runners import (
    JOB_SERVER_HERE,
    ROOT,
    Cluster,
    prism_flags,
    running_cluster,
    worker_pool,
    workers,
)
from tests.support.runs import contents, read_record, run_embed, solid, write_examples, write_photos
from transforms.lifecycle.staging import count_commits

EXAMPLES = 30
PHOTOS = 120
BROKEN = 3


class Work(NamedTuple):
    """Inputs, and what the local runner makes of them."""

    argv: tuple[str, ...]
    model: str
    expected: dict[str, bytes]
    rows: list[dict[str, Any]]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, mean_color: str) -> Work:
    """Photos, images in a TFRecord, broken ones in both."""
    directory = tmp_path_factory.mktemp("work")
    write_photos(directory / "in", PHOTOS)
    for number in range(BROKEN):
        (directory / "in" / f"broken-{number}.png").write_bytes(b"no image")
    images = [b"no image", *(solid(number, 0, 0) for number in range(1, EXAMPLES))]
    write_examples(directory / "in" / "images.tfrecord", images, names=False)
    argv = ("--input", str(directory / "in"), "--rows_per_file", "20", "--batch_size", "8")
    assert run_embed(mean_color, directory / "local", *argv) == 0
    rows = pa.concat_tables(map(pq.read_table, (directory / "local").glob("*.parquet")))
    return Work(argv, mean_color, contents(directory / "local"), rows.to_pylist())


def command(program: str, model: str, output: pathlib.Path, *argv: str) -> list[str]:
    """Returns the command line of a program, as a user writes it."""
    flags = ["--model", model, "--output", str(output), *argv]
    return [sys.executable, "-m", f"pipelines.{program}", *flags]


def run_program(program: str, model: str, output: pathlib.Path, *argv: str) -> str:
    """Runs a program to its end, as a user does; returns what it says on stderr."""
    return run(command(program, model, output, *argv))


def run(command: list[str]) -> str:
    """Runs a command line to its end, without an error; returns what it says on stderr."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-5000:]
    return done.stderr


def check(output: pathlib.Path, work: Work) -> None:
    """Checks a run against the local one."""
    record = read_record(output)
    assert record["counts"]["written"] == PHOTOS + EXAMPLES - 1
    assert record["counts"]["failed"] == BROKEN + 1
    assert contents(output) == work.expected


def test_job_server_in_this_process(work: Work, tmp_path: pathlib.Path) -> None:
    run_program("embed", work.model, tmp_path / "out", *work.argv, *JOB_SERVER_HERE)
    check(tmp_path / "out", work)


def test_external_workers(work: Work, tmp_path: pathlib.Path) -> None:
    with worker_pool() as port:
        flags = ("--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=EXTERNAL")
        address = f"--environment_config=127.0.0.1:{port}"
        run_program("embed", work.model, tmp_path / "out", *work.argv, *flags, address)
    check(tmp_path / "out", work)


def test_prism(work: Work, tmp_path: pathlib.Path) -> None:
    run_program("embed", work.model, tmp_path / "out", *work.argv, *prism_flags())
    check(tmp_path / "out", work)


FLAGS = {"flink": ("--parallelism=2",), "spark": ("--spark_master=local[2,4]",)}
# Spark tries a task again at once, and would meet a dead worker that is kept.
SURVIVING = {"flink": (), "spark": ("--environment_cache_millis=0",)}


@pytest.fixture(scope="module", params=["flink", "spark"])
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Runs an engine."""
    with running_cluster(request.param, tmp_path_factory.mktemp(request.param)) as running:
        # As a user names the file of flags.
        flags = (f"@{running.directory / 'flags'}", *FLAGS[request.param])
        yield running._replace(flags=flags)


def test_cluster_embeds(work: Work, cluster: Cluster, tmp_path: pathlib.Path) -> None:
    metrics = tmp_path / "run.prom"
    watched = ("--metrics_file", str(metrics), "--log_every", "1")
    log = run_program("embed", work.model, tmp_path / "out", *work.argv, *cluster.flags, *watched)
    check(tmp_path / "out", work)
    values = read_metrics(metrics)
    assert values["run_success", ()] == 1
    assert values["images", (("state", "written"),)] == PHOTOS + EXAMPLES - 1
    reason = (("error_type", "UnsupportedFormat"), ("step", "decode"))
    assert values["failures", reason] == values["images", (("state", "failed"),)] == BROKEN + 1
    assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ the job is running, ", log, re.M)


TRANSFORMS = """
import sys
import apache_beam as beam
from apache_beam.io.fileio import MatchFiles
from apache_beam.options.pipeline_options import PipelineOptions
from transforms import EmbedImages

photos, model, output, *flags = sys.argv[1:]
with beam.Pipeline(options=PipelineOptions(flags)) as pipeline:
    found = pipeline | MatchFiles(f"{photos}/*.png")
    uris = found | beam.Map(lambda file: file.path).with_output_types(str) | beam.Reshuffle()
    rows, failures = uris | EmbedImages(model, batch_size=8)
    _ = rows | beam.io.WriteToParquet(f"{output}/rows", file_name_suffix=".parquet")
    uris = failures | "Uri" >> beam.Map(lambda failure: failure.uri)
    _ = uris | beam.io.WriteToText(f"{output}/failures")
"""


def check_transforms(work: Work, output: pathlib.Path, *flags: str) -> None:
    """Runs a pipeline that has the transforms in it, and checks its rows against the program's."""
    argv = [work.argv[1], work.model, str(output), *flags]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", TRANSFORMS, *argv], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr[-5000:]
    rows = pa.concat_tables(map(pq.read_table, output.glob("rows*")))
    assert rows.num_rows == PHOTOS
    names = ["uri", "embedding", "width", "height", "content_sha256"]
    theirs = [row for row in work.rows if row["uri"].endswith(".png")]
    assert rows.sort_by("uri").to_pylist() == [
        {name: row[name] for name in names} for row in sorted(theirs, key=lambda row: row["uri"])
    ]
    failed = "".join(path.read_text() for path in output.glob("failures*"))
    assert len(failed.split()) == BROKEN


def test_transforms_with_workers_of_their_own(work: Work, tmp_path: pathlib.Path) -> None:
    check_transforms(work, tmp_path / "out", *JOB_SERVER_HERE)


def test_prism_runs_the_transforms(work: Work, tmp_path: pathlib.Path) -> None:
    check_transforms(work, tmp_path / "out", *prism_flags())


def test_cluster_runs_the_transforms(work: Work, cluster: Cluster, tmp_path: pathlib.Path) -> None:
    at, *flags = cluster.flags
    words = shlex.split(pathlib.Path(at.removeprefix("@")).read_text(), comments=True)
    check_transforms(work, tmp_path / "out", *words, *flags)


CLASSIFY = ("--output_format", "tfrecord", "--top_k", "2")


@pytest.fixture(scope="module")
def classified(
    work: Work, logits: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """What the local runner writes of the classes."""
    local = tmp_path_factory.mktemp("classified") / "local"
    argv = ["--model", logits, "--output", str(local), *work.argv, *CLASSIFY]
    assert classify.main(argv) == 0
    return contents(local)


def test_cluster_classifies_into_tfrecords(
    work: Work,
    cluster: Cluster,
    logits: str,
    classified: dict[str, bytes],
    tmp_path: pathlib.Path,
) -> None:
    run_program("classify", logits, tmp_path / "out", *work.argv, *CLASSIFY, *cluster.flags)
    assert contents(tmp_path / "out") == classified
    assert any(name.endswith(".tfrecord") for name in classified)


def test_cluster_makes_one_pass_of_several_runs(
    work: Work, cluster: Cluster, logits: str, classified: dict[str, bytes], tmp_path: pathlib.Path
) -> None:
    shared = {"input": [work.argv[1]], "rows_per_file": 20, "batch_size": 8}
    embedding = {"program": "embed", "model": work.model, **shared}
    classifying = {"program": "classify", "model": logits, **shared}
    runs: dict[str, dict[str, Any]] = {
        "vectors": embedding,
        "again": embedding,  # The model runs once for both.
        "labels": {**classifying, "top_k": 2, "output_format": "tfrecord"},
    }
    paths = []
    for name, flags in runs.items():
        paths.append(str(tmp_path / f"{name}.yaml"))
        output = str(tmp_path / name)
        pathlib.Path(paths[-1]).write_text(yaml.safe_dump({**flags, "output": output}))
    run([sys.executable, "-m", "pipelines.one_pass", "--config", *paths, *cluster.flags])
    for name in ("vectors", "again"):
        check(tmp_path / name, work)
    assert contents(tmp_path / "labels") == classified


def test_cluster_goes_on_when_a_worker_is_killed(
    request: pytest.FixtureRequest, work: Work, cluster: Cluster, tmp_path: pathlib.Path
) -> None:
    surviving = SURVIVING[request.node.callspec.params["cluster"]]
    done = run_killing_workers(work, cluster, tmp_path / "out", *surviving)
    assert done.returncode == 0, done.stdout[-5000:]
    check(tmp_path / "out", work)


@pytest.mark.parametrize("cluster", ["spark"], indirect=True)
def test_spark_run_whose_kept_worker_is_killed_is_resumed(
    work: Work, cluster: Cluster, tmp_path: pathlib.Path
) -> None:
    output = tmp_path / "out"
    done = run_killing_workers(work, cluster, output)
    assert done.returncode == 1, done.stdout[-5000:]
    assert not output.exists()
    run_program("embed", work.model, output, *work.argv, *cluster.flags, "--resume")
    check(output, work)


def run_killing_workers(
    work: Work, cluster: Cluster, output: pathlib.Path, *argv: str
) -> subprocess.CompletedProcess[str]:
    """Embeds; kills the workers as soon as a shard is committed."""
    embed = command("embed", work.model, output, *work.argv, *cluster.flags, *argv)
    killed = 0
    with (output.parent / "log").open("w+") as log:
        running = subprocess.Popen(embed, cwd=ROOT, stdout=log, stderr=log)
        while running.poll() is None:
            if not killed and count_commits(str(output.parent / f".{output.name}.staging")):
                for worker in workers(cluster):
                    os.kill(worker, signal.SIGKILL)
                    killed += 1
            time.sleep(0.002)
        log.seek(0)
        done = subprocess.CompletedProcess(embed, running.returncode, log.read())
    assert killed
    return done
