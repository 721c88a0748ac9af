"""--boxes beside what else a run may do: one pass, profiles, measured images, rows of images."""

import json
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import refresh
from tests.end_to_end.test_one_pass import run_alone, run_pass, write_files
from tests.support.images import encode, exif, photo
from tests.support.models import save_logits, save_mean_color
from tests.support.profiles import display_p3, p3_in_srgb
from tests.support.runs import (
    contents,
    latest,
    read,
    read_record,
    run_embed,
    vectors_of,
)

Boxes = dict[str, list[tuple[int, int, int, int]]]

BOXES: Boxes = {
    "a.jpg": [(0, 0, 80, 60), (20, 10, 30, 40), (50, 5, 20, 20)],
    "b.png": [(10, 10, 10, 10), (3, 3, 40, 40)],
    "c.png": [],
    "d.jpg": [(60, 40, 100, 100), (5, 5, 0, 9), (80, 0, 10, 10), (1, 2, 30, 40)],
    "e.gif": [(5, 5, 30, 30), (0, 0, 70, 50)],
    "f.jpg": [(5, 5, 30, 30), (62, 5, 10, 10)],
    "bad.jpg": [(0, 0, 9, 9), (1, 1, 9, 9)],
}
"""x, y, width and height of boxes in images of 60 x 80 pixels. Two of d.jpg are not right, bad.jpg
is no image, and f.jpg is shown with 80 x 60: there its second box is outside.
"""


def image(name: str) -> bytes:
    if name == "bad.jpg":
        return b"no image"
    format = {"jpg": "JPEG", "png": "PNG", "gif": "GIF"}[name[2:]]
    turned = {"exif": exif(6)} if name == "f.jpg" else {}
    return encode(photo(60, 80, seed=ord(name[0])), format, **turned)


def listed(folder: pathlib.Path, boxes: Boxes) -> dict[str, Any]:
    """Writes images and a list of them; returns the flags for it."""
    folder.mkdir(exist_ok=True)
    for name in boxes:
        (folder / name).write_bytes(image(name))
    lines = [json.dumps({"uri": name, "bbox": own}) for name, own in boxes.items()]
    (folder / "list.jsonl").write_text("\n".join(lines))
    return {"manifest": [str(folder / "list.jsonl")], "boxes": "xywh=bbox"}


def in_parquet(folder: pathlib.Path, boxes: Boxes) -> dict[str, Any]:
    """Writes a file of images; returns the flags for it."""
    folder.mkdir(exist_ok=True)
    numbers = [[list(map(float, box)) for box in own] for own in boxes.values()]
    columns = {"image": list(map(image, boxes)), "image_id": list(boxes), "bbox": numbers}
    pq.write_table(pa.table(columns), folder / "x.parquet")
    return {"input": [str(folder / "x.parquet")], "boxes": "xywh=bbox"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "vectors": save_mean_color(folder / "vectors"),
        "labels": save_logits(folder / "labels", labels=("red", "green", "blue")),
    }


def runs_of(models: dict[str, str], **shared: object) -> dict[str, dict[str, Any]]:
    """Describes runs by name: two models, three margins, two ways to turn images."""
    shared = {"batch_size": 4, "max_failed_fraction": 0.9, **shared}
    vectors = {"program": "embed", "model": models["vectors"], **shared}
    return {
        "vectors": vectors,
        "wide": {**vectors, "box_margin": 0.5, "normalize": "l2"},
        "as_stored": {**vectors, "exif": "ignore", "box_margin": 0.1, "resize_mode": "pad"},
        "labels": {
            "program": "classify",
            "model": models["labels"],
            "top_k": 2,
            "image_statistics": True,
            **shared,
        },
    }


@pytest.mark.parametrize("put", [listed, in_parquet])
@pytest.mark.parametrize("deduplicate", [False, True])
def test_runs_of_boxes_in_one_pass_write_what_they_write_alone(
    put: Any,  # noqa: ANN401
    deduplicate: bool,
    models: dict[str, str],
    tmp_path: pathlib.Path,
) -> None:
    inputs = put(tmp_path / "images", BOXES)
    runs = runs_of(models, deduplicate=deduplicate, **inputs)
    assert run_pass(tmp_path / "together", runs) == 0
    run_alone(tmp_path / "alone", runs)
    for name in runs:
        together, alone = (tmp_path / where / name for where in ("together", "alone"))
        assert contents(together) == contents(alone)
        records = [read_record(run) for run in (together, alone)]
        for field in ("counts", "skipped_by_reason", "skipped_examples"):
            assert records[0][field] == records[1][field]
        written = 11 if name == "as_stored" else 10
        failed = 15 - written
        counts = {"matched": 16, "written": written, "failed": failed, "skipped": 1}
        assert records[0]["counts"] == counts
    near, wide = (vectors_of(read(tmp_path / "together" / name)) for name in ("vectors", "wide"))
    assert not np.array_equal(near, wide)


@pytest.mark.parametrize("put", [listed, in_parquet])
def test_refreshes_of_boxes_with_unlike_elders_share_a_pass(
    put: Any,  # noqa: ANN401
    models: dict[str, str],
    tmp_path: pathlib.Path,
) -> None:
    """What one run knows of an image's boxes the other does not; both need what is new."""
    first: Boxes = {name: own for name, own in BOXES.items() if name != "bad.jpg"}
    second = first | {"a.jpg": [(20, 10, 30, 40), (1, 1, 20, 20)], "b.png": [(3, 3, 40, 40)]}
    third = second | {"a.jpg": [(1, 1, 20, 20), (2, 2, 30, 30)], "d.jpg": [(1, 2, 30, 40)]}

    def runs(where: str, inputs: dict[str, Any]) -> dict[str, dict[str, Any]]:
        shared = {**inputs, "batch_size": 4, "max_failed_fraction": 0.5}
        root = {"output_root": str(tmp_path / where)}
        return {
            "old": {**shared, "model": models["vectors"], "output_root": f"{tmp_path}/{where}/old"},
            "new": {
                **shared,
                **root,
                "output_root": f"{tmp_path}/{where}/new",
                "model": models["vectors"],
                "box_margin": 0.25,
            },
        }

    def refresh_alone(name: str, inputs: dict[str, Any]) -> None:
        (path,) = write_files(tmp_path / "files", {name: runs("alone", inputs)[name]})
        assert refresh.main(["--config", path]) == 0

    inputs = put(tmp_path / "images", first)
    assert run_pass(tmp_path / "files", {"old": runs("together", inputs)["old"]}) == 0
    refresh_alone("old", inputs)
    for boxes in (second, third):
        inputs = put(tmp_path / "images", boxes)
        assert run_pass(tmp_path / "files", runs("together", inputs)) == 0
        for name in ("old", "new"):
            refresh_alone(name, inputs)
            together, alone = (latest(tmp_path / where / name) for where in ("together", "alone"))
            assert contents(together) == contents(alone)
            records = [read_record(run) for run in (together, alone)]
            assert records[0]["counts"] == records[1]["counts"]
            assert records[0].get("changes") == records[1].get("changes")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("put", [listed, in_parquet])
def test_crops_of_photos_with_a_profile_are_turned_into_srgb(
    put: Any,  # noqa: ANN401
    format: str,
    models: dict[str, str],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = photo(60, 80, seed=5)
    quality = {"quality": 100, "subsampling": 0} if format == "JPEG" else {}
    file = encode(scene, format, icc_profile=display_p3(), **quality)
    monkeypatch.setattr("tests.end_to_end.test_crops_together.image", lambda _: file)
    boxes: Boxes = {"a.jpg": [(0, 0, 80, 60), (20, 10, 30, 40), (50, 5, 20, 20)]}
    inputs = put(tmp_path / "images", boxes)
    runs = {"vectors": runs_of(models, **inputs, color_profile="srgb")["vectors"]}
    run_alone(tmp_path, runs)
    expected = p3_in_srgb(scene)
    for vector, (x, y, width, height) in zip(
        vectors_of(read(tmp_path / "vectors")), boxes["a.jpg"], strict=True
    ):
        crop = expected[y : y + height, x : x + width]
        assert abs(vector * 255 - crop.mean((0, 1))).max() < 3
    assert abs(expected.mean((0, 1)) - scene.mean((0, 1))).max() > 3


def test_statistics_are_of_the_crop_and_formats_of_the_file(
    mean_color: str, tmp_path: pathlib.Path
) -> None:
    boxes = {name: own for name, own in BOXES.items() if name in ("a.jpg", "b.png")}
    inputs = listed(tmp_path / "images", boxes)
    argv = ["--manifest", *inputs["manifest"], "--boxes", inputs["boxes"], "--image_statistics"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 0
    rows = read(tmp_path / "out")
    brightness = np.array(rows["brightness"].to_pylist())
    mean = vectors_of(rows) @ np.array([0.299, 0.587, 0.114])
    assert abs(brightness - mean).max() < 1e-5
    assert len(set(rows["sharpness"].to_pylist())) == rows.num_rows
    assert rows["format"].to_pylist() == ["JPEG"] * 3 + ["PNG"] * 2


def test_boxes_and_rows_of_an_image_are_not_numbered_both(
    mean_color: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = listed(tmp_path / "images", BOXES)
    argv = ["--manifest", *inputs["manifest"], "--boxes", inputs["boxes"]]
    argv += ["--image_id_from", "relative_path#row"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    said = capsys.readouterr().err
    assert "--boxes" in said
    assert said.strip().endswith("use --image_id_from relative_path")
