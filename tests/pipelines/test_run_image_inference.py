"""RunImageInference, as somebody has a whole run in a pipeline of their own."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines import ClassifyConfig, EmbedConfig, RefreshConfig, RunImageInference
from pipelines.cli.run_flags import RunConfig
from tests.support.kills import TRIES
from tests.support.runners import JOB_SERVER_HERE, ROOT, prism_flags
from tests.support.runs import contents, latest, read, read_record, run_embed, write_photos
from transforms.errors import FlagError, OutputError
from transforms.lifecycle.staging import count_commits

PHOTOS = 40
ROWS_PER_FILE = 8


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    photos = tmp_path_factory.mktemp("in") / "photos"
    write_photos(photos, PHOTOS)
    (photos / "broken.png").write_bytes(b"no image")
    return photos


@pytest.fixture
def config(photos: pathlib.Path, mean_color: str, tmp_path: pathlib.Path) -> EmbedConfig:
    return EmbedConfig(
        input=(str(photos),),
        model=mean_color,
        output=str(tmp_path / "out"),
        rows_per_file=ROWS_PER_FILE,
        batch_size=4,
    )


@pytest.fixture(scope="module")
def expected(
    photos: pathlib.Path, mean_color: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """What the program writes."""
    output = tmp_path_factory.mktemp("expected") / "out"
    argv = ("--input", str(photos), "--rows_per_file", str(ROWS_PER_FILE), "--batch_size", "4")
    assert run_embed(mean_color, output, *argv) == 0
    return contents(output)


def run(config: Any, said: pathlib.Path, *flags: str) -> None:  # noqa: ANN401 - of each program
    """Runs a pipeline, which goes on with what the run gives it."""
    with beam.Pipeline(options=PipelineOptions(list(flags))) as pipeline:
        files, record = pipeline | RunImageInference(config)
        _ = files | "Files" >> beam.io.WriteToText(f"{said}/files")
        counts = record | beam.Map(lambda record: json.dumps(record["counts"]))
        _ = counts | "Counts" >> beam.io.WriteToText(f"{said}/counts")


def said_in(said: pathlib.Path, name: str) -> list[str]:
    return sorted(line for path in said.glob(f"{name}-*") for line in path.read_text().split("\n"))


def staging(output: str) -> pathlib.Path:
    directory, name = os.path.split(output)
    return pathlib.Path(directory, f".{name}.staging")


@pytest.mark.parametrize("runner", ["direct", "job server", "prism"])
def test_the_run_is_that_of_the_program(
    config: EmbedConfig, expected: dict[str, bytes], tmp_path: pathlib.Path, runner: str
) -> None:
    flags = {"direct": (), "job server": JOB_SERVER_HERE}.get(runner)
    run(config, tmp_path / "said", *(prism_flags() if flags is None else flags))
    output = pathlib.Path(config.output)
    assert contents(output) == expected
    files = [line for line in said_in(tmp_path / "said", "files") if line]
    assert files == sorted(map(str, output.glob("*.parquet")))
    (counts,) = filter(None, said_in(tmp_path / "said", "counts"))
    assert json.loads(counts) == read_record(output)["counts"]
    assert json.loads(counts)["written"] == PHOTOS


def test_a_published_run_lets_go_of_its_output(config: EmbedConfig, tmp_path: pathlib.Path) -> None:
    run(config, tmp_path / "first")
    first = read_record(pathlib.Path(config.output))["run_id"]
    with pytest.raises(OutputError, match="--overwrite"):
        run(config, tmp_path / "second")
    run(dataclasses.replace(config, overwrite=True), tmp_path / "third")
    third = read_record(pathlib.Path(config.output))["run_id"]
    assert third != first
    # With resume there is nothing to do: what is published comes out.
    run(dataclasses.replace(config, resume=True), tmp_path / "fourth")
    assert read_record(pathlib.Path(config.output))["run_id"] == third
    assert said_in(tmp_path / "fourth", "files") == said_in(tmp_path / "third", "files")


def test_two_pipelines_never_share_an_output(config: EmbedConfig) -> None:
    first = RunImageInference(config)
    _ = beam.Pipeline() | first
    with pytest.raises(OutputError, match="claimed by a RunImageInference of this process"):
        _ = beam.Pipeline() | RunImageInference(config)
    program = [sys.executable, "-m", "pipelines.embed", "--input", *config.input, "--model"]
    argv = [*program, config.model, "--output", config.output]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "is writing here" in done.stderr
    first.let_go()


def test_a_failed_pipeline_is_gone_on_with(
    config: EmbedConfig, expected: dict[str, bytes], tmp_path: pathlib.Path
) -> None:
    strict = dataclasses.replace(config, max_failed_fraction=0.0)
    inference = RunImageInference(strict)
    with pytest.raises(Exception, match="more than --max_failed_fraction"):  # noqa: SIM117
        with beam.Pipeline() as pipeline:
            _ = pipeline | inference
    inference.let_go()
    assert count_commits(str(staging(config.output))) == len(
        [name for name in expected if name.endswith(".parquet")]
    )
    run(dataclasses.replace(config, resume=True), tmp_path / "said")
    assert contents(pathlib.Path(config.output)) == expected


PIPELINE = """
import sys
import apache_beam as beam
from pipelines import EmbedConfig, RunImageInference

if __name__ == "__main__":
    photos, model, output = sys.argv[1:]
    config = EmbedConfig(
        input=(photos,), model=model, output=output, rows_per_file=8, batch_size=4
    )
    pipeline = beam.Pipeline()
    _ = pipeline | RunImageInference(config)
    pipeline.run().wait_until_finish()
"""


def start(config: EmbedConfig) -> "subprocess.Popen[bytes]":
    argv = [sys.executable, "-c", PIPELINE, *config.input, config.model, config.output]
    return subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_a_process_that_runs_its_pipeline_leaves_nothing_behind(config: EmbedConfig) -> None:
    assert start(config).wait() == 0
    assert pathlib.Path(config.output, "_SUCCESS").exists()
    assert not staging(config.output).exists()


def start_and_kill(config: EmbedConfig) -> None:
    """Kills a process that runs its pipeline, once a shard is done."""
    for _ in range(TRIES):
        process = start(config)
        while not count_commits(str(staging(config.output))) and process.poll() is None:
            time.sleep(0.002)
        process.kill()
        if process.wait():
            assert process.returncode == -signal.SIGKILL
            return
        shutil.rmtree(config.output)
    raise AssertionError(f"the run ended by itself {TRIES} times")


@pytest.mark.parametrize("what", ["nothing", "run"])
def test_a_pipeline_that_never_ran_or_was_killed_is_resumed(
    config: EmbedConfig, expected: dict[str, bytes], tmp_path: pathlib.Path, what: str
) -> None:
    if what == "nothing":
        inference = RunImageInference(config)
        _ = beam.Pipeline() | inference
        inference.let_go()
    else:
        start_and_kill(config)
    with pytest.raises(OutputError, match=r"an unfinished run of .*--resume"):
        run(config, tmp_path / "refused")
    run(dataclasses.replace(config, resume=True), tmp_path / "said")
    assert contents(pathlib.Path(config.output)) == expected


def test_classes(photos: pathlib.Path, logits: str, tmp_path: pathlib.Path) -> None:
    output = tmp_path / "classes"
    config = ClassifyConfig(input=(str(photos),), model=logits, output=str(output), top_k=2)
    run(config, tmp_path / "said")
    assert {len(row) for row in read(output)["class_index"].to_pylist()} == {2}


def test_refreshes(photos: pathlib.Path, mean_color: str, tmp_path: pathlib.Path) -> None:
    root = tmp_path / "root"
    config = RefreshConfig(input=(str(photos),), model=mean_color, output_root=str(root))
    run(config, tmp_path / "first")
    run(config, tmp_path / "second")
    assert read_record(latest(root))["changes"]["unchanged"] == PHOTOS + 1
    assert len(list(root.glob("*/_SUCCESS"))) == 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"plan": True}, "plan is for a program's launcher"),
        ({"metrics_file": "m.prom"}, "metrics_file is for a program's launcher"),
    ],
)
def test_flags_that_do_nothing_here_are_refused(
    config: EmbedConfig, changed: dict[str, Any], message: str
) -> None:
    wrong: RunConfig = dataclasses.replace(config, **changed)
    with pytest.raises(FlagError, match=message):
        _ = beam.Pipeline() | RunImageInference(wrong)  # type: ignore[arg-type]


def test_what_dataflow_does_not_see_is_refused(config: EmbedConfig) -> None:
    # Dataflow's own runner would ask Google for credentials.
    options = PipelineOptions(["--runner=DataflowRunner"])
    pipeline = beam.Pipeline(runner="DirectRunner", options=options)
    with pytest.raises(FlagError, match="where Dataflow's workers do not see it"):
        _ = pipeline | RunImageInference(config)


def test_importing_the_package_imports_nothing_large() -> None:
    code = (
        "import sys, pipelines; assert 'RunImageInference' in pipelines.__all__;"
        "print({'tensorflow', 'apache_beam'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
