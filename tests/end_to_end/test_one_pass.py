"""Several runs in one pass: each writes what it would write alone."""

import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from pipelines import classify, embed, one_pass, refresh
from tests.support.images import encode, photo
from tests.support.kills import kill_once
from tests.support.models import MODELS, save_logits, save_mean_color
from tests.support.runners import JOB_SERVER_HERE, ROOT, prism_flags
from tests.support.runs import contents, latest, read_record, write_examples
from tests.support.tars import write_tar

Flags = Mapping[str, Any]
_PROGRAMS = {"embed": embed.main, "classify": classify.main, "refresh": refresh.main}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Three models, of which two take images of one size."""
    folder = tmp_path_factory.mktemp("models")
    return {
        "vectors": save_mean_color(folder / "vectors"),
        "labels": save_logits(folder / "labels", labels=("red", "green", "blue")),
        "large": save_mean_color(folder / "large", 40, 56),
    }


def draw_images(seed: int) -> dict[str, bytes]:
    """Draws images of several kinds, some of which fail."""
    files = {f"{n:02d}.jpg": encode(photo(60 + n, 90, seed + n), "JPEG") for n in range(30)}
    files |= {f"p{n}.png": encode(photo(30, 40 + n, seed + n), "PNG") for n in range(5)}
    files["cut.jpg"] = files["03.jpg"][:400]
    files["words.jpg"] = b"no image"
    files["empty.png"] = b""
    files["still.gif"] = encode(photo(20, 20, seed + 1), "GIF")
    return files


@pytest.fixture(scope="module")
def images() -> dict[str, bytes]:
    return draw_images(0)


def write_listed(folder: pathlib.Path, images: Mapping[str, bytes]) -> str:
    folder.mkdir()
    for name, content in images.items():
        (folder / name).write_bytes(content)
    return str(folder)


def three_runs(models: Mapping[str, str], **shared: object) -> dict[str, dict[str, Any]]:
    """Describes runs by name: two programs, two sizes, two ways to resize."""
    shared = {"rows_per_file": 12, "batch_size": 4, "max_failed_fraction": 0.5, **shared}
    return {
        "vectors": {"program": "embed", "model": models["vectors"], **shared},
        "labels": {"program": "classify", "model": models["labels"], "top_k": 2, **shared},
        "large": {
            "program": "embed",
            "model": models["large"],
            "resize_mode": "crop",
            "normalize": "l2",
            **shared,
        },
    }


def run_pass(folder: pathlib.Path, runs: Mapping[str, Flags], *argv: str) -> int:
    """Runs one pass of runs by name, each into a directory of its name."""
    return one_pass.main(["--config", *write_files(folder, runs), *argv])


def write_files(folder: pathlib.Path, runs: Mapping[str, Flags]) -> list[str]:
    folder.mkdir(exist_ok=True)
    paths = []
    for name, flags in runs.items():
        path = folder / f"{name}.yaml"
        place = {} if "output_root" in flags else {"output": str(folder / name)}
        path.write_text(yaml.safe_dump({**place, **flags}))
        paths.append(str(path))
    return paths


def run_alone(folder: pathlib.Path, runs: Mapping[str, Flags]) -> None:
    """Runs the same runs one after the other."""
    folder.mkdir(exist_ok=True)
    for name, flags in runs.items():
        path = folder / f"{name}.yaml"
        kept = {key: value for key, value in flags.items() if key != "program"}
        path.write_text(yaml.safe_dump(kept))
        output = ["--output", str(folder / name)]
        assert _PROGRAMS[flags["program"]](["--config", str(path), *output]) == 0


@pytest.mark.parametrize("deduplicate", [False, True])
def test_each_run_writes_what_it_would_write_alone(
    deduplicate: bool, models: dict[str, str], tmp_path: pathlib.Path
) -> None:
    listed, in_tfrecord, in_tar = (
        {**images, "twin.jpg": images["03.jpg"]} for images in map(draw_images, (0, 100, 200))
    )
    photos = write_listed(tmp_path / "photos", listed)
    write_examples(tmp_path / "x.tfrecord", list(in_tfrecord.values()))
    write_tar(tmp_path / "x.tar", in_tar)
    every = [photos, *(str(tmp_path / name) for name in ("x.tfrecord", "x.tar"))]
    runs = three_runs(models, input=every, deduplicate=deduplicate)
    assert run_pass(tmp_path / "together", runs) == 0
    run_alone(tmp_path / "alone", runs)
    for name in runs:
        together, alone = (tmp_path / where / name for where in ("together", "alone"))
        assert contents(together) == contents(alone)
        counts = read_record(together)["counts"]
        assert (counts["written"], counts["failed"]) == (3 * 37, 3 * 3)


@pytest.fixture
def photos(images: dict[str, bytes], tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(write_listed(tmp_path / "photos", images))


def test_a_run_that_is_refused_stops_no_other_and_is_resumed(
    models: dict[str, str],
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = three_runs(models, input=[str(photos)], resume=True)
    runs["labels"]["max_failed_fraction"] = 0.01
    metrics = tmp_path / "metrics.txt"
    argv = ["--json", "--metrics_file", str(metrics)]
    assert run_pass(tmp_path / "out", runs, *argv) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["error"] == f"1 of 3 runs failed: {tmp_path / 'out' / 'labels.yaml'}"
    assert [run["status"] for run in told["runs"]] == ["published", "refused", "published"]
    assert [run["exit_code"] for run in told["runs"]] == [0, 1, 0]
    assert "3 of 39 images failed" in told["runs"][1]["error"]
    assert 'state="written"} 108' in metrics.read_text()
    read_bytes = sum(path.stat().st_size for path in photos.iterdir())
    assert f"}} {read_bytes}\n" in metrics.read_text()
    assert not (tmp_path / "out" / "labels").exists()

    runs["labels"]["max_failed_fraction"] = 0.5
    assert run_pass(tmp_path / "out", runs, *argv) == 0
    told = json.loads(capsys.readouterr().out)
    statuses = [run["status"] for run in told["runs"]]
    assert statuses == ["already_published", "published", "already_published"]
    run_alone(tmp_path / "alone", {"labels": runs["labels"]})
    assert contents(tmp_path / "out" / "labels") == contents(tmp_path / "alone" / "labels")


def test_a_run_that_is_published_and_cannot_be_tidied_up_fails(
    models: dict[str, str],
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = three_runs(models, input=[str(photos)], resume=True)
    root = tmp_path / "root"
    runs["vectors"]["output_root"] = str(root)
    half_pruned = root / ".2026-01-01T00-00-00Z.00000000.pruned"
    half_pruned.mkdir(parents=True)
    (half_pruned / "_run.json").touch()
    half_pruned.chmod(0o500)
    assert run_pass(tmp_path / "out", runs, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["error"] == f"1 of 3 runs failed: {tmp_path / 'out' / 'vectors.yaml'}"
    assert [run["status"] for run in told["runs"]] == ["published"] * 3
    assert [run["exit_code"] for run in told["runs"]] == [1, 0, 0]
    assert "is published, but what comes after that failed: " in told["runs"][0]["error"]
    assert str(latest(root)) == told["runs"][0]["output"]

    half_pruned.chmod(0o700)
    assert run_pass(tmp_path / "out", runs, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [run["error"] for run in told["runs"]] == [None] * 3
    assert not half_pruned.exists()


def test_the_canaries_of_a_run_are_its_own(
    models: dict[str, str], photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "known").mkdir()
    (tmp_path / "known" / "one.png").write_bytes(encode(photo(30, 50, 3), "PNG"))
    runs = three_runs(models, input=[str(photos)], overwrite=True)
    own = {"canaries": str(tmp_path / "known"), "write_canaries": True}
    runs["vectors"] |= own
    assert run_pass(tmp_path / "out", runs) == 0

    runs["vectors"] |= {"write_canaries": False, "input_range": "-1,1"}
    assert run_pass(tmp_path / "out", runs) == 1
    assert read_record(tmp_path / "out" / "vectors")["preprocessing"]["input_range"] == "0,1"


def test_what_is_wrong_is_said_once_although_metrics_have_no_place_either(
    photos: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = {"a": {"program": "embed", "input": [str(photos)], "model": str(tmp_path / "none")}}
    (path,) = write_files(tmp_path / "out", runs)
    metrics = str(tmp_path / "out" / "a" / "metrics.txt")
    assert one_pass.main(["--config", path, "--json", "--metrics_file", metrics]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["exit_code"] == 2
    assert len(said.err.splitlines()) == 1


def test_a_pass_that_is_killed_is_resumed(models: dict[str, str], tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    large = [encode(photo(500, 640, seed), "PNG") for seed in range(3)]
    for n in range(120):
        (folder / f"{n}.png").write_bytes(large[n % 3] if n % 5 else b"no image")
    runs = three_runs(models, input=[str(folder)], resume=True)
    del runs["large"]
    out = tmp_path / "out"
    paths = write_files(out, runs)

    def is_far() -> bool:
        done = [len(list((out / f".{name}.staging").glob("*-of-*.json"))) for name in runs]
        return min(done) >= 1

    def delete() -> None:
        for name in runs:
            shutil.rmtree(out / name)

    kill_once(is_far, delete, "one_pass", "--config", *paths)
    assert one_pass.main(["--config", *paths]) == 0
    run_alone(tmp_path / "alone", runs)
    for name in runs:
        assert contents(out / name) == contents(tmp_path / "alone" / name)


def test_refreshes_of_unlike_elders_share_a_pass(
    models: dict[str, str], photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    def runs(where: str) -> dict[str, dict[str, Any]]:
        shared = {"input": [str(photos)], "rows_per_file": 12, "batch_size": 4}
        shared |= {"max_failed_fraction": 0.5}
        root = str(tmp_path / where)
        return {
            "old": {"output_root": f"{root}/old", "model": models["vectors"], **shared},
            "new": {
                "output_root": f"{root}/new",
                "program": "classify",
                "model": models["labels"],
                **shared,
            },
        }

    def refresh_alone(name: str) -> None:
        (path,) = write_files(tmp_path / "files", {name: runs("alone")[name]})
        assert refresh.main(["--config", path]) == 0

    def same(name: str) -> bool:
        together, alone = (latest(tmp_path / where / name) for where in ("together", "alone"))
        fields = ("changes", "inferences_saved", "counts") if name == "old" else ("counts",)
        records = [read_record(run) for run in (together, alone)]
        assert [records[0][field] for field in fields] == [records[1][field] for field in fields]
        return contents(together) == contents(alone)

    # One has a run already as the two meet.
    assert run_pass(tmp_path / "files", {"old": runs("together")["old"]}) == 0
    refresh_alone("old")
    for n in range(4):
        (photos / f"more{n}.jpg").write_bytes(encode(photo(50, 50, 100 + n), "JPEG"))
    (photos / "00.jpg").unlink()
    (photos / "01.jpg").write_bytes(encode(photo(50, 50, 200), "JPEG"))
    assert run_pass(tmp_path / "files", runs("together")) == 0
    for name in ("old", "new"):
        refresh_alone(name)
        assert same(name)

    (photos / "02.jpg").write_bytes(encode(photo(50, 50, 201), "JPEG"))
    assert run_pass(tmp_path / "files", runs("together")) == 0
    for name in ("old", "new"):
        refresh_alone(name)
        assert same(name)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"batch_size": 8}, "batch_size is 4 in {a} and 8 in {b}; what one pass reads"),
        ({"model": "nowhere"}, "{b}: "),
        ({"program": "refresh"}, "{b}: program: got 'refresh', wanted one of embed | classify"),
        ({"json": True}, "{b}: json belongs on the command line, for all runs"),
        ({"plan": True}, "{b}: plan is for a run alone"),
        ({"top_k": 0}, "{b}: "),
        ({"output": "/nowhere/a/b"}, "{b} writes to /nowhere/a/b, inside of /nowhere/a, "),
    ],
)
def test_what_is_wrong_with_a_run_stops_all_before_any_work(
    changed: dict[str, Any],
    said: str,
    models: dict[str, str],
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = three_runs(models, input=[str(photos)])
    runs["vectors"] |= {"output": "/nowhere/a"} if "output" in changed else {}
    runs["labels"] |= changed
    assert run_pass(tmp_path / "out", runs) == 2
    names = {"a": tmp_path / "out" / "vectors.yaml", "b": tmp_path / "out" / "labels.yaml"}
    assert said.format(**names) in capsys.readouterr().err
    assert not list((tmp_path / "out").glob(".*"))
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".yaml"}


def test_two_runs_may_not_write_to_one_place(
    models: dict[str, str],
    photos: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = three_runs(models, input=[str(photos)], output=str(tmp_path / "same"))
    assert run_pass(tmp_path / "out", runs) == 2
    assert f"both write to {tmp_path / 'same'}" in capsys.readouterr().err


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
def test_one_model_runs_once_for_several_outputs(
    engine: str, photos: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    model = MODELS["features_and_logits"](str(tmp_path / "model"))
    shared = {"model": model, "input": [str(photos)], "engine": engine, "max_failed_fraction": 0.5}
    vectors = {"program": "embed", "output_key": "feature_vector", **shared}
    runs = {
        "vectors": vectors,
        "unit": {**vectors, "normalize": "l2", "embedding_dtype": "float16"},
        "labels": {"program": "classify", "output_key": "logits", "top_k": 2, **shared},
    }
    metrics = tmp_path / "metrics.txt"
    assert run_pass(tmp_path / "out", runs, "--metrics_file", str(metrics)) == 0
    (calls,) = (
        line.split()[-1]
        for line in metrics.read_text().splitlines()
        if line.startswith("image_inference_batch_images_sum")
    )
    assert float(calls) == 36
    run_alone(tmp_path / "alone", runs)
    for name in runs:
        assert contents(tmp_path / "out" / name) == contents(tmp_path / "alone" / name)


@pytest.fixture(scope="module")
def local(
    models: dict[str, str], images: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """A folder with photos, and what this process's runner makes of them."""
    folder = tmp_path_factory.mktemp("local")
    write_listed(folder / "photos", images)
    assert run_pass(folder, three_runs(models, input=[str(folder / "photos")])) == 0
    return folder


@pytest.mark.parametrize("runner", ["processes", "job server", "prism"])
def test_other_runners_make_the_same_of_a_pass(
    runner: str, models: dict[str, str], local: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    flags = {
        "processes": lambda: ("--direct_running_mode=multi_processing", "--direct_num_workers=2"),
        "job server": lambda: JOB_SERVER_HERE,
        "prism": prism_flags,
    }[runner]()
    runs = three_runs(models, input=[str(local / "photos")])
    runs["labels"]["max_failed_fraction"] = 0.01
    paths = write_files(tmp_path / "other", runs)
    (tmp_path / "flags").write_text("\n".join(flags))  # As scripts/flink_up writes them.
    command = [sys.executable, "-m", "pipelines.one_pass", "--json", "--config", *paths]
    command.append(f"@{tmp_path / 'flags'}")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr[-5000:]
    told = json.loads(done.stdout)
    assert [run["status"] for run in told["runs"]] == ["published", "refused", "published"]
    for name in ("vectors", "large"):
        assert contents(tmp_path / "other" / name) == contents(local / name)
