"""The pipelines of docs/api.md and docs/beam_yaml.md, run as they stand."""

import os
import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.models import save_logits, save_mean_color
from tests.support.runners import LOOPBACK, prism_flags, running_cluster

REPOSITORY = pathlib.Path(__file__).parents[2]


def blocks(page: str, language: str) -> list[str]:
    text = (REPOSITORY / "docs" / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


@pytest.fixture(scope="module", params=["direct", "flink", "prism"])
def flags(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, ...]]:
    """Flags of a runner whose workers see what the pages' programs name by relative paths."""
    if request.param == "flink":
        with running_cluster("flink", tmp_path_factory.mktemp("flink")) as cluster:
            yield (*(flag for flag in cluster.flags if "--environment" not in flag), LOOPBACK)
    else:
        yield prism_flags() if request.param == "prism" else ()


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path
    photos = folder / "photos"
    photos.mkdir()
    for name, colour in (("a", (255, 0, 0)), ("b", (0, 0, 255))):
        PIL.Image.fromarray(np.full((30, 40, 3), colour, np.uint8)).save(photos / f"{name}.png")
    (photos / "broken.png").write_bytes(b"no image")
    (folder / "labels.txt").write_text("red\ngreen\nblue\n")
    save_mean_color(folder / "my_model")
    save_logits(folder / "my_classifier")
    return folder


def run(folder: pathlib.Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(folder: pathlib.Path, name: str) -> pa.Table:
    return pa.concat_tables(map(pq.read_table, folder.glob(f"{name}-*")))


def test_embed_uris(folder: pathlib.Path, flags: tuple[str, ...]) -> None:
    run(folder, "-c", blocks("api.md", "python")[0], *flags)
    found = rows(folder, "vectors").sort_by("uri")
    assert found["uri"].to_pylist() == ["photos/a.png", "photos/b.png"]
    assert found["embedding"].to_pylist() == [[1, 0, 0], [0, 0, 1]]


def test_classify_typed_rows(folder: pathlib.Path, flags: tuple[str, ...]) -> None:
    printed = run(folder, "-c", blocks("api.md", "python")[1], *flags)
    assert sorted(printed.split("\n")) == ["", "(0, 'red')", "(1, 'blue')"]


def test_run_inference(folder: pathlib.Path, flags: tuple[str, ...]) -> None:
    printed = run(folder, "-c", blocks("api.md", "python")[2], *flags).splitlines()
    assert "a [1.0, 0.0, 0.0]" in printed
    assert any(re.match(r"x .*decode/UnsupportedFormat", line) for line in printed)


def test_ml_transform(folder: pathlib.Path, flags: tuple[str, ...]) -> None:
    printed = run(folder, "-c", blocks("api.md", "python")[3], *flags).splitlines()
    assert "{'sku': 1, 'photo': [1.0, 0.0, 0.0]}" in printed
    assert any(re.match(r"2 .*decode/UnsupportedFormat", line) for line in printed)


def test_a_whole_run(folder: pathlib.Path, flags: tuple[str, ...]) -> None:
    printed = run(folder, "-c", blocks("api.md", "python")[4], *flags).splitlines()
    assert "2 rows" in printed
    (file,) = (folder / "run").glob("*.parquet")
    assert f"wrote {file}" in printed
    assert pq.read_table(file)["embedding"].to_pylist() == [[1, 0, 0], [0, 0, 1]]


def test_beam_yaml(folder: pathlib.Path, flags: tuple[str, ...]) -> None:
    (folder / "embed.yaml").write_text(blocks("beam_yaml.md", "yaml")[0])
    _, *command = shlex.split(blocks("beam_yaml.md", "sh")[0])
    run(folder, *command, *flags)
    (vector,) = rows(folder, "vectors").to_pylist()
    assert (vector["path"], vector["camera"]) == ("photos/a.png", "left")
    assert vector["embedding"] == [1, 0, 0]
    (failure,) = rows(folder, "failures").to_pylist()
    assert (failure["path"], failure["error_type"]) == ("photos/broken.png", "UnsupportedFormat")
