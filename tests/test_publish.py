"""Publishing: all or nothing, reconciled, repeatable; and who may write where."""

import collections
import dataclasses
import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.batches import failure, output_rows
from transforms import run_directory
from transforms.errors import OutputError, RunError
from transforms.publish import RunManifest, one_attempt_each, publish_run
from transforms.records import ShardKey, ShardResult, Step
from transforms.run_directory import prepare_output
from transforms.write import ShardFile


def manifest(output: pathlib.Path, max_failed_fraction: float = 0.5) -> RunManifest:
    return RunManifest(
        output=str(output),
        stem="embeddings",
        output_format="parquet",
        max_failed_fraction=max_failed_fraction,
        description={"program": "embed"},
    )


def stage(output: pathlib.Path, index: int, count: int, ids: str, bad: str = "") -> ShardResult:
    batch = output_rows(
        *ids, failures=tuple(failure(name) for name in bad), shard=ShardKey(index, count)
    )
    batch = dataclasses.replace(batch, warnings=("odd",))
    (output / "_staging").mkdir(parents=True, exist_ok=True)
    file = ShardFile(str(output / "_staging"), "embeddings", "parquet", False, batch)
    file.write(batch)
    return file.close()


def names(output: pathlib.Path) -> list[str]:
    return sorted(str(p.relative_to(output)) for p in output.rglob("*") if p.is_file())


def read(output: pathlib.Path) -> pa.Table:
    return pq.read_table([str(path) for path in sorted(output.glob("*.parquet"))])


PUBLISHED = [
    "_SUCCESS",
    "embeddings-00000-of-00002.parquet",
    "embeddings-00001-of-00002.parquet",
    "failures.jsonl",
    "run.json",
]


def test_a_run_is_published_whole_and_reconciles(tmp_path: pathlib.Path) -> None:
    results = [stage(tmp_path, 1, 2, "cd"), stage(tmp_path, 0, 2, "ab", bad="xy")]
    publish_run(results, [".txt", ".txt", "hidden"], manifest(tmp_path))
    assert names(tmp_path) == PUBLISHED
    assert read(tmp_path).sort_by("image_id").column("image_id").to_pylist() == [*"abcd"]
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["counts"] == {"matched": 9, "written": 4, "failed": 2, "skipped": 3}
    assert record["failures_by_reason"] == {"decode/CorruptImage": 2}
    assert record["skipped_by_reason"] == {".txt": 2, "hidden": 1}
    assert record["warnings"] == ["odd"]
    assert record["program"] == "embed"
    assert [entry["rows"] for entry in record["files"]] == [2, 2]
    assert [entry["failed"] for entry in record["files"]] == [2, 0]
    assert record["files"][0]["sha256"] == results[1].sha256
    failures = (tmp_path / "failures.jsonl").read_text().splitlines()
    assert [json.loads(line)["image_id"] for line in failures] == ["x", "y"]


def test_too_many_failures_publish_nothing_and_keep_the_earlier_run(tmp_path: pathlib.Path) -> None:
    publish_run([stage(tmp_path, 0, 1, "ab")], [], manifest(tmp_path))
    before = names(tmp_path)
    results = [stage(tmp_path, 0, 1, "a", bad="x")]
    with pytest.raises(RunError, match=r"1 of 2 images failed \(50.0%: decode/CorruptImage 1\)"):
        publish_run(results, [], manifest(tmp_path, max_failed_fraction=0.4))
    assert [name for name in names(tmp_path) if not name.startswith("_staging")] == before
    assert pq.read_table(tmp_path / before[1]).num_rows == 2
    assert (tmp_path / "_staging" / "failures.jsonl").read_text().count("\n") == 1


def test_the_allowed_share_of_failures_is_published(tmp_path: pathlib.Path) -> None:
    publish_run([stage(tmp_path, 0, 1, "a", bad="x")], [], manifest(tmp_path, 0.5))
    assert (tmp_path / "_SUCCESS").exists()


def test_an_earlier_run_is_replaced_with_all_its_files(tmp_path: pathlib.Path) -> None:
    publish_run([stage(tmp_path, i, 3, ids) for i, ids in enumerate("abc")], [], manifest(tmp_path))
    publish_run([stage(tmp_path, i, 2, ids) for i, ids in enumerate("de")], [], manifest(tmp_path))
    assert names(tmp_path) == PUBLISHED
    assert sorted(read(tmp_path).column("image_id").to_pylist()) == ["d", "e"]


def test_publishing_again_after_a_crash_half_way_completes(tmp_path: pathlib.Path) -> None:
    results = [stage(tmp_path, 0, 2, "ab", bad="x"), stage(tmp_path, 1, 2, "cd")]
    # As after a crash between two moves.
    pathlib.Path(results[0].path).rename(tmp_path / "embeddings-00000-of-00002.parquet")
    publish_run(results, [], manifest(tmp_path))
    assert names(tmp_path) == PUBLISHED
    assert read(tmp_path).num_rows == 4


def test_publishing_again_after_success_changes_nothing(tmp_path: pathlib.Path) -> None:
    results = [stage(tmp_path, 0, 2, "ab", bad="x"), stage(tmp_path, 1, 2, "cd")]
    publish_run(results, [], manifest(tmp_path))
    publish_run(results, [], manifest(tmp_path))
    assert names(tmp_path) == PUBLISHED
    assert (tmp_path / "failures.jsonl").read_text().count("\n") == 1


def test_a_run_that_cannot_be_described_leaves_the_earlier_one(tmp_path: pathlib.Path) -> None:
    publish_run([stage(tmp_path, 0, 1, "ab")], [], manifest(tmp_path))
    broken = dataclasses.replace(manifest(tmp_path), description={"config": {1, 2}})
    with pytest.raises(TypeError, match="not JSON serializable"):
        publish_run([stage(tmp_path, 0, 1, "c")], [], broken)
    assert (tmp_path / "_SUCCESS").exists()
    assert read(tmp_path).num_rows == 2


def test_a_data_file_that_is_nowhere_fails_the_run(tmp_path: pathlib.Path) -> None:
    result = stage(tmp_path, 0, 1, "ab")
    pathlib.Path(result.path).unlink()
    with pytest.raises(RuntimeError, match=r"embeddings-00000-of-00001\.parquet is not there"):
        publish_run([result], [], manifest(tmp_path))
    assert not (tmp_path / "_SUCCESS").exists()


def test_of_two_attempts_at_a_shard_one_is_taken(tmp_path: pathlib.Path) -> None:
    attempts = [stage(tmp_path, 0, 1, "ab"), stage(tmp_path, 0, 1, "ab")]
    publish_run(attempts, [], manifest(tmp_path))
    assert json.loads((tmp_path / "run.json").read_text())["counts"]["written"] == 2
    assert names(tmp_path)[1:2] == ["embeddings-00000-of-00001.parquet"]


def test_a_shard_without_result_is_found(tmp_path: pathlib.Path) -> None:
    with pytest.raises(RuntimeError, match="1 of 3 shards have no result, first 1"):
        one_attempt_each([stage(tmp_path, 2, 3, "a"), stage(tmp_path, 0, 3, "b")])


def test_a_new_or_empty_directory_may_be_written(tmp_path: pathlib.Path) -> None:
    prepare_output(str(tmp_path), overwrite=False)
    prepare_output(str(tmp_path / "new"), overwrite=False)


def test_a_published_run_is_not_replaced_unless_told(tmp_path: pathlib.Path) -> None:
    publish_run([stage(tmp_path, 0, 1, "ab")], [], manifest(tmp_path))
    with pytest.raises(OutputError, match=r"holds a published run \(1 data files\).*--overwrite"):
        prepare_output(str(tmp_path), overwrite=False)
    prepare_output(str(tmp_path), overwrite=True)
    assert (tmp_path / "_SUCCESS").exists(), "it stays until the new run is complete"


def test_what_a_dead_run_left_is_named_and_cleared(tmp_path: pathlib.Path) -> None:
    stage(tmp_path, 0, 1, "ab")
    with pytest.raises(OutputError, match=r"holds an unfinished run \(_staging/embeddings-"):
        prepare_output(str(tmp_path), overwrite=False)
    prepare_output(str(tmp_path), overwrite=True)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["notes.txt", "sub/embeddings-00000-of-00001.parquet", "a.parquet"]
)
def test_a_directory_with_files_of_others_is_never_written(
    tmp_path: pathlib.Path, name: str
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match=f"files that no run wrote .*{name}"):
        prepare_output(str(tmp_path), overwrite=True)
    assert (tmp_path / name).read_text() == "mine"


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="is a file"):
        prepare_output(str(tmp_path / "out"), overwrite=True)


def test_seconds_are_added_up_by_step(tmp_path: pathlib.Path) -> None:
    results = [
        dataclasses.replace(stage(tmp_path, i, 2, "ab"[i]), seconds={Step.MODEL: 1.5})
        for i in range(2)
    ]
    publish_run(results, [], manifest(tmp_path))
    record = json.loads((tmp_path / run_directory.RUN_FILE).read_text())
    expected = collections.Counter({"model": 3.0, "read": 0, "decode": 0, "write": 0})
    assert record["seconds_by_step"] == expected
