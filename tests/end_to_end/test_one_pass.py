"""Several runs in one pass: each writes what it would write alone."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml

from pipelines import classify, embed, one_pass, refresh
from tests.support.images import encode, photo
from tests.support.models import save_logits, save_mean_color
from tests.support.runs import contents, read_record, write_examples
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


@pytest.fixture(scope="module")
def images() -> dict[str, bytes]:
    """Images of several kinds, some of which fail."""
    files = {f"{n:02d}.jpg": encode(photo(60 + n, 90, n), "JPEG") for n in range(30)}
    files |= {f"p{n}.png": encode(photo(30, 40 + n, n), "PNG") for n in range(5)}
    files["cut.jpg"] = files["03.jpg"][:400]
    files["words.jpg"] = b"no image"
    files["empty.png"] = b""
    files["still.gif"] = encode(photo(20, 20, 1), "GIF")
    return files


def listed(folder: pathlib.Path, images: Mapping[str, bytes]) -> list[str]:
    (folder / "photos").mkdir()
    for name, content in images.items():
        (folder / "photos" / name).write_bytes(content)
    return [str(folder / "photos")]


def in_tfrecord(folder: pathlib.Path, images: Mapping[str, bytes]) -> list[str]:
    write_examples(folder / "x.tfrecord", list(images.values()))
    return [str(folder / "x.tfrecord")]


def in_tar(folder: pathlib.Path, images: Mapping[str, bytes]) -> list[str]:
    write_tar(folder / "x.tar", images)
    return [str(folder / "x.tar")]


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


@pytest.mark.parametrize("put", [listed, in_tfrecord, in_tar])
@pytest.mark.parametrize("deduplicate", [False, True])
def test_each_run_writes_what_it_would_write_alone(
    put: Callable[[pathlib.Path, Mapping[str, bytes]], list[str]],
    deduplicate: bool,
    models: dict[str, str],
    images: dict[str, bytes],
    tmp_path: pathlib.Path,
) -> None:
    images = {**images, "twin.jpg": images["03.jpg"]}
    runs = three_runs(models, input=put(tmp_path, images), deduplicate=deduplicate)
    assert run_pass(tmp_path / "together", runs) == 0
    run_alone(tmp_path / "alone", runs)
    for name in runs:
        together, alone = (tmp_path / where / name for where in ("together", "alone"))
        assert contents(together) == contents(alone)
        counts = read_record(together)["counts"]
        assert (counts["written"], counts["failed"]) == (37, 3)
