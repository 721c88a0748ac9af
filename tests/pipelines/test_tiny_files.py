"""Many tiny TFRecord, Parquet and tar files: run in groups, refreshed as they change, completed."""

import collections
import itertools
import json
import pathlib
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.parquet as pq
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
    swap_content,
)
from tests.support.tars import write_tar
from transforms.files.tf_examples import encode_examples
from transforms.files.tf_record import write_record
from transforms.runs import grouping
from transforms.runs.sharding import shard_index

LEAST_FILES, FEW_GROUPS = 24, 4
"""Fewer than a run's, which are for thousands of files."""

COUNT = LEAST_FILES + 2
IMAGES = 3
ENDINGS = ("parquet", "tar", "tfrecord")


@pytest.fixture(autouse=True)
def group_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes files count as many that are few."""
    monkeypatch.setattr(grouping, "LEAST_FILES", LEAST_FILES)
    monkeypatch.setattr(grouping, "FEW_GROUPS", FEW_GROUPS)


def image(number: int) -> bytes:
    return solid(number % 256, 255 - number % 256, number // 7 % 256)


def write(path: pathlib.Path, numbers: Iterable[int]) -> None:
    """Writes images, nameless but for those of tars, by the kind that the name says."""
    images = [image(number) for number in numbers]
    if path.suffix == ".tar":
        write_tar(path, {f"{path.stem}-{n}.png": content for n, content in enumerate(images)})
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({"image": images}), path)
    else:
        with path.open("wb") as handle:
            for example in encode_examples(pa.RecordBatch.from_pydict({"image/encoded": images})):
                write_record(handle, example)


def write_many(folder: pathlib.Path, *endings: str, count: int = COUNT) -> None:
    folder.mkdir()
    for ending in endings:
        for n in range(count):
            write(folder / f"{n:04}.{ending}", range(n * IMAGES, (n + 1) * IMAGES))


def fates(root: pathlib.Path) -> dict[str, int]:
    """Returns what became of the images, as far as anything did."""
    return {fate: count for fate, count in read_record(latest(root))["changes"].items() if count}


def groups_of(run: pathlib.Path) -> list[list[str]]:
    """Returns the files of each shard."""
    inputs = [entry["input"] for entry in read_record(run)["files"]]
    groups = [given if isinstance(given, list) else [given] for given in inputs]
    return [[file["uri"] for file in group] for group in groups]


def largest_group(paths: Iterable[pathlib.Path]) -> list[pathlib.Path]:
    """Returns the files of the largest group: which ones lie together depends on their paths."""
    groups = collections.defaultdict(list)
    for path in sorted(paths):
        groups[shard_index(str(path), FEW_GROUPS)].append(path)
    return max(groups.values(), key=len)


def test_groups_are_refreshed_file_by_file(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, root = tmp_path / "in", tmp_path / "root"
    write_many(folder, *ENDINGS)
    total = len(ENDINGS) * COUNT * IMAGES
    argv = ["--input", str(folder)]
    assert run_refresh(mean_color, root, *argv) == 0
    first = latest(root)
    record = read_record(first)
    assert (record["run_format_version"], record["counts"]["written"]) == (5, total)
    groups = groups_of(first)
    assert len(groups) <= len(ENDINGS) * FEW_GROUPS
    assert sorted(itertools.chain(*groups)) == sorted(map(str, folder.iterdir()))
    several = [entry["input"] for entry in record["files"] if isinstance(entry["input"], list)]
    assert {file["images"] for group in several for file in group} == {IMAGES}
    ids = {
        path.stem + f"-{n}" if path.suffix == ".tar" else f"{path}#{n}"
        for path in folder.iterdir()
        for n in range(IMAGES)
    }
    assert set(read(first)["image_id"].to_pylist()) == ids
    assert verify.main([str(first)]) == 0
    assert run_embed(mean_color, tmp_path / "again", *argv) == 0
    assert contents(tmp_path / "again") == contents(first)

    # Of each kind a file grows, one shrinks, one comes, one goes; others are not opened.
    originals: dict[pathlib.Path, bytes] = {}
    for ending in ENDINGS:
        grown, shrunk, gone = (folder / f"{n:04}.{ending}" for n in (5, 6, 7))
        changed = {str(path) for path in (grown, shrunk, gone)}
        several = [group for group in groups if str(grown) in group and len(group) > 1]
        originals |= {
            pathlib.Path(uri): pathlib.Path(uri).read_bytes()
            for group in several
            for uri in group
            if uri not in changed
        }
        # Of the new images no other has the content: in one group it would save the inference.
        write(grown, [15, 16, 17, 1000])
        write(shrunk, [18, 19])
        gone.unlink()
        write(folder / f"new.{ending}", [1001, 1002])
    assert originals, "the test needs a changed file that is not alone"
    for path, content in originals.items():
        swap_content(path, bytes(len(content)))
    assert run_refresh(mean_color, root, *argv) == 0
    for path, content in originals.items():
        swap_content(path, content)
    kinds = len(ENDINGS)
    assert fates(root) == {
        "unchanged": total - 4 * kinds,
        "new": 3 * kinds,
        "deleted": 4 * kinds,
        "reused": total - 4 * kinds,
    }
    assert verify.main([str(latest(root))]) == 0
    assert run_embed(mean_color, tmp_path / "fresh", *argv) == 0
    assert contents(tmp_path / "fresh") == contents(latest(root))

    # Other ids need a look into every file, and no model.
    keyed = [*argv, "--image_id_from", "uri"]
    assert run_refresh(mean_color, root, *keyed) == 0
    assert read_record(latest(root))["inferences_saved"] == total - kinds
    assert run_embed(mean_color, tmp_path / "keyed", *keyed) == 0
    assert contents(tmp_path / "keyed") == contents(latest(root))

    # A file's images that _run.json does not tell right are found.
    record = read_record(latest(root))
    (place, *_) = [n for n, group in enumerate(groups_of(latest(root))) if len(group) > 1]
    record["files"][place]["input"][0]["images"] += 1
    (latest(root) / "_run.json").write_text(json.dumps(record))
    capsys.readouterr()
    assert verify.main([str(latest(root))]) == 1
    assert f"files[{place}].input, images, got " in capsys.readouterr().out


def test_files_that_were_a_shard_each_are_put_together_unopened(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    folder, root = tmp_path / "in", tmp_path / "root"
    write_many(folder, "tfrecord", count=LEAST_FILES - 1)
    argv = ["--input", str(folder)]
    assert run_refresh(mean_color, root, *argv) == 0
    assert len(read_record(latest(root))["files"]) == LEAST_FILES - 1
    assert read_record(latest(root))["run_format_version"] == 3
    unopened = folder / "0000.tfrecord"
    original = unopened.read_bytes()
    swap_content(unopened, bytes(len(original)))
    write(folder / "new.tfrecord", [1001, 1002])
    assert run_refresh(mean_color, root, *argv) == 0
    swap_content(unopened, original)
    kept = (LEAST_FILES - 1) * IMAGES
    assert fates(root) == {"unchanged": kept, "new": 2, "reused": kept}
    assert len(read_record(latest(root))["files"]) <= FEW_GROUPS
    assert run_embed(mean_color, tmp_path / "fresh", *argv) == 0
    assert contents(tmp_path / "fresh") == contents(latest(root))
    # And apart again.
    for path in (unopened, folder / "new.tfrecord"):
        path.unlink()
    assert run_refresh(mean_color, root, *argv) == 0
    assert fates(root) == {"unchanged": kept - 3, "deleted": 5, "reused": kept - 3}
    assert run_embed(mean_color, tmp_path / "apart", *argv) == 0
    assert contents(tmp_path / "apart") == contents(latest(root))


def test_a_file_that_cannot_be_read_costs_itself_alone(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, root = tmp_path / "in", tmp_path / "root"
    write_many(folder, *ENDINGS)
    total = len(ENDINGS) * COUNT * IMAGES
    argv = ["--input", str(folder)]
    wholes: dict[pathlib.Path, bytes] = {}
    # A tar has 512 bytes of header and of content for each image, and zeros at its end.
    kept_bytes = {".parquet": -20, ".tar": 2600, ".tfrecord": -20}
    absent = [folder / f"0004.{ending}" for ending in ENDINGS]
    for ending in ENDINGS:
        cut = folder / f"0003.{ending}"
        wholes[cut] = cut.read_bytes()
        cut.write_bytes(wholes[cut][: kept_bytes[cut.suffix]])
    for path in absent:
        path.unlink()
        path.symlink_to(tmp_path / "nowhere")
    assert run_refresh(mean_color, root, *argv) == 1
    err = capsys.readouterr().err
    assert all(f"{path} was not read to its end: " in err for path in [*wholes, *absent])
    assert run_refresh(mean_color, root, *argv, "--resume", "--allow_truncated_files") == 0
    first = latest(root)
    failures = sorted((failure["uri"], failure["error_type"]) for failure in read_failures(first))
    parquet, tar, tfrecord = wholes
    assert failures == [
        (str(parquet), "TruncatedFile"),
        (f"{tar}#2", "TruncatedFile"),
        (f"{tfrecord}#2", "TruncatedFile"),
        *((str(path), "NotFound") for path in absent),
    ]
    # Of the tar and the TFRecord two images each came before the end.
    lost = 3 + 1 + 1 + 3 * IMAGES
    assert read_record(first)["counts"]["written"] == total - lost
    capsys.readouterr()
    assert verify.main([str(first)]) == 0
    assert "files not read to their ends 6" in capsys.readouterr().out

    # Once they are whole, only they are read.
    for path, whole in wholes.items():
        path.write_bytes(whole)
    for path in absent:
        path.unlink()
        write(path, range(4 * IMAGES, 5 * IMAGES))
    assert run_refresh(mean_color, root, *argv) == 0
    assert read_record(latest(root))["inferences_saved"] == total - lost
    assert run_embed(mean_color, tmp_path / "fresh", *argv) == 0
    assert contents(tmp_path / "fresh") == contents(latest(root))

    # What the run before had behind the image at which a file ends is kept: here all of a Parquet.
    for path, whole in wholes.items():
        path.write_bytes(whole[: kept_bytes[path.suffix]])
    assert run_refresh(mean_color, root, *argv, "--allow_truncated_files") == 0
    assert read_record(latest(root))["counts"]["written"] == total - 2
    assert {failure["error_type"] for failure in read_failures(latest(root))} == {"TruncatedFile"}
    assert "deleted" not in fates(root)
    assert verify.main([str(latest(root))]) == 0


def test_what_failed_in_a_group_is_tried_again_and_no_other_file_is_opened(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    folder, out, again = tmp_path / "in", tmp_path / "out", tmp_path / "again"
    write_many(folder, "tar")
    failing, *others = largest_group(folder.iterdir())
    good, bad = (f"{failing.stem}-{n}" for n in range(2))
    write_tar(failing, {f"{good}.png": image(1), f"{bad}.png": image(2) + bytes(5000)})
    argv = ["--input", str(folder), "--max_image_bytes", "4000"]
    assert run_embed(mean_color, out, *argv) == 0
    assert [failure["uri"] for failure in read_failures(out)] == [f"{failing}#1"]
    assert [str(path) for path in (failing, *others)] in groups_of(out)
    for path in others:
        path.write_bytes(bytes(9))
    retry = ["--retry_failed", str(out), "--max_image_bytes", "9000", "--output", str(again)]
    assert embed.main(retry) == 0
    assert read_failures(again) == []
    assert read_record(again)["inferences_saved"] == COUNT * IMAGES - 2
    assert read(again)["image_id"].to_pylist() == sorted([*read(out)["image_id"].to_pylist(), bad])
    assert verify.main([str(again)]) == 0


def test_a_plan_counts_groups(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, root = tmp_path / "in", tmp_path / "root"
    write_many(folder, "parquet")
    argv = ["--input", str(folder)]
    assert run_embed(mean_color, tmp_path / "out", *argv, "--plan") == 0
    told = capsys.readouterr().out
    assert run_refresh(mean_color, root, *argv) == 0
    count = len(read_record(latest(root))["files"])
    assert f"\nfiles     {count} (about " in told
    write(folder / "0000.parquet", range(500, 502))
    (folder / "0001.parquet").unlink()
    capsys.readouterr()
    assert run_refresh(mean_color, root, *argv, "--plan") == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()
                 if len(line.split()) == 2)  # fmt: skip
    unchanged = (COUNT - 2) * IMAGES
    assert (lines["unchanged"], lines["changed"], lines["new"]) == (str(unchanged), "2", "0")
