"""Lists that name an image several times: a row each, and one inference an image."""

import pathlib

import pytest

from pipelines import verify
from tests.support.runs import (
    contents,
    latest,
    read,
    read_failures,
    read_record,
    run_embed,
    run_refresh,
    solid,
    vectors_of,
    write_photos,
)

CAPTIONS = ["b.png,b first", "a.png,a first", "b.png,b second", "bad.png,bad", "a.png,a second"]
CAPTIONS += ["b.png,b third", "bad.png,bad again", "gone.png,gone", "gone.png,gone, too"]
ROWS = ["--image_id_from", "relative_path#row", "--carry_columns", "caption"]
ROWS += ["--max_failed_fraction", "0.5"]


def write_list(folder: pathlib.Path, lines: list[str]) -> str:
    folder.mkdir(exist_ok=True)
    for name, colour in (("a.png", (90, 0, 0)), ("b.png", (0, 60, 0))):
        (folder / name).write_bytes(solid(*colour))
    (folder / "bad.png").write_bytes(b"no image")
    rows = [f'{uri},"{caption}"' for uri, _, caption in (line.partition(",") for line in lines)]
    (folder / "captions.csv").write_text("\n".join(["uri,caption", *rows]))
    return str(folder / "captions.csv")


def test_rows_of_one_image_are_rows_of_their_own_and_one_inference(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    argv = ["--manifest", write_list(tmp_path / "photos", CAPTIONS), *ROWS]
    assert run_embed(mean_color, out, *argv, "--plan") == 0
    assert "9" in capsys.readouterr().out
    assert run_embed(mean_color, out, *argv) == 0
    made = read(out)
    assert dict(
        zip(*(made[name].to_pylist() for name in ("image_id", "caption")), strict=True)
    ) == {
        "a.png#0": "a first",
        "a.png#1": "a second",
        "b.png#0": "b first",
        "b.png#1": "b second",
        "b.png#2": "b third",
    }
    assert made["uri"].to_pylist() == [f"{tmp_path}/photos/{name}.png" for name in "aabbb"]
    expected = [[90, 0, 0]] * 2 + [[0, 60, 0]] * 3
    assert abs(vectors_of(made)[:, :3] * 255 - expected).max() < 1e-3
    failures = {failure["image_id"]: failure["error_type"] for failure in read_failures(out)}
    assert failures == {
        "bad.png#0": "UnsupportedFormat",
        "bad.png#1": "UnsupportedFormat",
        "gone.png#0": "NotFound",
        "gone.png#1": "NotFound",
    }
    assert read_record(out)["changes"]["duplicate"] == 4
    assert verify.main([str(out)]) == 0
    again = tmp_path / "again"
    assert run_embed(mean_color, again, *argv, "--direct_num_workers", "1") == 0
    assert contents(again) == contents(out)


def test_a_refresh_keeps_rows_whatever_comes_and_goes_elsewhere_in_the_list(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    root = tmp_path / "root"
    argv = ["--manifest", write_list(tmp_path / "photos", CAPTIONS[:3]), *ROWS]
    assert run_refresh(mean_color, root, *argv) == 0
    write_list(tmp_path / "photos", ["gone.png,new", *CAPTIONS[:3], "b.png,b third"])
    assert run_refresh(mean_color, root, *argv) == 0
    rows = read(latest(root))
    assert rows["image_id"].to_pylist() == ["a.png#0", "b.png#0", "b.png#1", "b.png#2"]
    record = read_record(latest(root))
    assert {name: n for name, n in record["changes"].items() if n} == {
        "new": 2,
        "unchanged": 3,
        "reused": 4,
    }
    write_list(tmp_path / "photos", CAPTIONS[1:3])
    assert run_refresh(mean_color, root, *argv, "--max_deleted_fraction", "1") == 0
    assert read_record(latest(root))["changes"]["deleted"] == 3
    made = read(latest(root))
    assert made["image_id"].to_pylist() == ["a.png#0", "b.png#0"]
    assert made["caption"].to_pylist() == ["a first", "b second"]


@pytest.mark.parametrize("more", [(), ("--deduplicate",)])
def test_rows_of_one_image_meet_in_one_of_many_shards(
    tmp_path: pathlib.Path, mean_color: str, more: tuple[str, ...]
) -> None:
    write_photos(tmp_path / "photos", 70)
    names = [f"photo-{n % 70:03d}.png" for n in range(200)] + ["gone.png"] * 3
    (tmp_path / "photos" / "list.txt").write_text("\n".join(names))
    argv = ["--manifest", str(tmp_path / "photos" / "list.txt"), "--image_id_from", "filename#row"]
    assert run_embed(mean_color, tmp_path / "out", *argv, *more) == 0
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 8
    expected = sorted(f"photo-{n % 70:03d}.png#{n // 70}" for n in range(200))
    assert read(tmp_path / "out")["image_id"].to_pylist() == expected
    failed = [failure["image_id"] for failure in read_failures(tmp_path / "out")]
    assert failed == ["gone.png#0", "gone.png#1", "gone.png#2"]
    assert read_record(tmp_path / "out")["changes"]["duplicate"] == 130


def test_a_list_that_names_an_image_twice_is_refused_and_told_of_rows(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--manifest", write_list(tmp_path / "photos", CAPTIONS[:3])]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    message = capsys.readouterr().err
    assert "b.png is listed twice; remove one, or" in message
    assert "--image_id_from, such as uri#row for rows of one image" in message


def test_rows_are_of_manifests_alone(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_list(tmp_path / "photos", CAPTIONS)
    argv = ["--input", str(tmp_path / "photos"), "--image_id_from", "uri#row"]
    assert run_embed(mean_color, tmp_path / "out", *argv) == 2
    assert "tells the rows of a --manifest apart" in capsys.readouterr().err
