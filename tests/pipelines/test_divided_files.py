"""A large TFRecord and a large tar, a shard a span: run, refreshed as they change, completed."""

import json
import pathlib

import pyarrow as pa
import pytest

from pipelines import embed, verify
from tests.support.runs import (
    contents,
    latest,
    read,
    read_failures,
    read_record,
    run_embed,
    run_refresh,
    solid,
)
from tests.support.tars import write_tar
from transforms.files.tf_examples import encode_examples
from transforms.files.tf_record import write_record

PADDING = bytes(400_000)
"""Behind each image, so that 170 of them are a large file."""

SPAN = 40


def image(number: int) -> bytes:
    return solid(number % 256, 255 - number % 256, number // 2) + PADDING


def write(path: pathlib.Path, numbers: list[int]) -> None:
    """Writes a TFRecord of nameless images; number 7 is none."""
    images = [b"no image" if number == 7 else image(number) for number in numbers]
    with path.open("wb") as handle:
        for example in encode_examples(pa.RecordBatch.from_pydict({"image/encoded": images})):
            write_record(handle, example)


def fates(root: pathlib.Path) -> dict[str, int]:
    """Returns what became of the images, as far as anything did."""
    return {fate: count for fate, count in read_record(latest(root))["changes"].items() if count}


def test_a_file_is_refreshed_span_by_span(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, root = tmp_path / "a.tfrecord", tmp_path / "root"
    argv = ["--input", str(path), "--rows_per_file", str(SPAN)]

    write(path, list(range(150)))  # Not large yet: one shard.
    assert run_refresh(mean_color, root, *argv) == 0
    record = read_record(latest(root))
    assert (record["run_format_version"], len(record["files"])) == (3, 1)
    assert "span" not in record["files"][0]["input"]

    write(path, list(range(190)))
    assert run_refresh(mean_color, root, *argv) == 0
    assert fates(root) == {"unchanged": 149, "retried": 1, "new": 40, "reused": 149}
    record = read_record(latest(root))
    assert record["run_format_version"] == 4
    spans = [entry["input"]["span"] for entry in record["files"]]
    assert [span["first_image"] for span in spans] == [0, 40, 80, 120, 160]
    assert [entry["rows"] for entry in record["files"]] == [39, 40, 40, 40, 30]
    ids = read(latest(root))["image_id"].to_pylist()
    assert sorted(ids) == sorted(f"{path}#{n}" for n in range(190) if n != 7)
    assert verify.main([str(latest(root))]) == 0
    grown = latest(root)
    # The same as of a run that builds on none.
    assert run_embed(mean_color, tmp_path / "fresh", *argv) == 0
    assert contents(tmp_path / "fresh") == contents(grown)

    # Another --rows_per_file divides no file anew that has not changed.
    assert run_refresh(mean_color, root, *argv[:2], "--rows_per_file", "90") == 0
    assert fates(root) == {"unchanged": 190, "reused": 189}
    assert contents(latest(root)) == contents(grown)

    write(path, list(reversed(range(10, 190))))
    assert run_refresh(mean_color, root, *argv) == 0
    assert fates(root) == {"changed": 179, "retried": 1, "deleted": 10, "reused": 180}
    assert verify.main([str(latest(root))]) == 0

    path.write_bytes(path.read_bytes()[:-450_000])
    capsys.readouterr()
    assert run_refresh(mean_color, root, *argv) == 1
    assert f"{path} was not read to its end: " in capsys.readouterr().err
    assert run_refresh(mean_color, root, *argv, "--resume", "--allow_truncated_files") == 0
    assert fates(root) == {"unchanged": 179, "changed": 1, "reused": 179}
    assert verify.main([str(latest(root))]) == 0


def test_what_failed_in_a_span_is_tried_again(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "a.tar", tmp_path / "out"
    members = {f"{n:03}.png": image(n) for n in range(170)}
    large = solid(1, 2, 3) + PADDING + PADDING
    write_tar(path, {**members, "050.png": large, "169.txt": b"of the last sample"})
    argv = ["--input", str(path), "--rows_per_file", str(SPAN), "--max_image_bytes", "500000"]
    assert run_embed(mean_color, out, *argv) == 0
    assert [failure["uri"] for failure in read_failures(out)] == [f"{path}#50"]
    again = ["--retry_failed", str(out), "--max_image_bytes", "1000000"]
    assert embed.main([*again, "--output", str(tmp_path / "again")]) == 0
    assert sorted(read(tmp_path / "again")["image_id"].to_pylist()) == [
        f"{n:03}" for n in range(170)
    ]
    record = read_record(tmp_path / "again")
    assert record["inferences_saved"] == 169
    assert [entry["rows"] for entry in record["files"]] == [40, 40, 40, 40, 10]
    assert verify.main([str(tmp_path / "again")]) == 0
    # Spans that do not join, or hold other images than planned, are found.
    record["files"][1]["input"]["span"].update(first_image=41, images=39)
    del record["files"][4]["input"]["span"]
    (tmp_path / "again" / "_run.json").write_text(json.dumps(record))
    capsys.readouterr()
    assert verify.main([str(tmp_path / "again")]) == 1
    found = capsys.readouterr().out
    assert f"files[1].input.span of {path}, first_image, got 41, wanted 40" in found
    assert f"files[1].input.span of {path}, images, got 40, wanted 39" in found
    assert f"spans of {path}, got end at 160, wanted one to its end" in found
