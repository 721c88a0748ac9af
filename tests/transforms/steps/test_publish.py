"""Publishing: all or nothing, reconciled, repeatable."""

import collections
import dataclasses
import json
import pathlib
import uuid
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.batches import failure, output_rows, staging_target
from transforms.errors import RunError
from transforms.failure import Step
from transforms.lifecycle.publication import Publication, one_attempt_each
from transforms.lifecycle.staging import write_plan
from transforms.records import PassedOver, ShardKey
from transforms.results import ShardResult
from transforms.runs.directory import names_in
from transforms.runs.record import result_from_dict, result_to_dict
from transforms.steps.publish import publish_run
from transforms.steps.write_shards import ShardFile


@dataclasses.dataclass(frozen=True)
class Place:
    """A run directory and where its runs work: beside it, or inside as on an object store."""

    output: pathlib.Path
    staging: pathlib.Path

    def publication(
        self,
        max_failed_fraction: float = 0.5,
        run_id: str = "this run",
        **fields: Any,  # noqa: ANN401
    ) -> Publication:
        return Publication(
            run_id=run_id,
            started_at="2026-11-29",
            output=str(self.output),
            staging=str(self.staging),
            stem="embeddings",
            output_format="parquet",
            max_failed_fraction=max_failed_fraction,
            **{"description": {"program": "embed"}, **fields},
        )

    def stage(self, index: int, count: int, ids: str, bad: str = "") -> ShardResult:
        batch = output_rows(
            *ids, failures=tuple(failure(name) for name in bad), shard=ShardKey(index, count)
        )
        batch = dataclasses.replace(batch, warnings=("odd",))
        self.staging.mkdir(parents=True, exist_ok=True)
        file = ShardFile(staging_target(self.staging), batch)
        file.write(batch)
        return file.close()

    def names(self) -> list[str]:
        return names_in(str(self.output))

    def read(self) -> pa.Table:
        return pq.read_table([str(path) for path in sorted(self.output.glob("*.parquet"))])

    def record(self) -> dict[str, Any]:
        return json.loads((self.output / "_run.json").read_text())


@pytest.fixture(params=["beside", "inside"])
def place(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Place:
    staging = {"beside": tmp_path / ".out.staging", "inside": tmp_path / "out" / "_staging"}
    return Place(tmp_path / "out", staging[request.param])


def doubting(result: ShardResult, doubt: str) -> ShardResult:
    """A result as it comes back from the record of its shard."""
    entry = result_to_dict(dataclasses.replace(result, range_doubt=doubt), "/staging")
    return result_from_dict(json.loads(json.dumps(entry)), "/staging")


PUBLISHED = [
    "_SUCCESS",
    "_failures.jsonl",
    "_inputs/00000-of-00002.arrow",
    "_inputs/00001-of-00002.arrow",
    "_run.json",
    "embeddings-00000-of-00002.parquet",
    "embeddings-00001-of-00002.parquet",
]


def test_of_what_workers_say_of_the_range_one_is_said(place: Place) -> None:
    found = {0: "", 1: "by 0.02", 2: "by 0.03"}
    results = [doubting(place.stage(n, 3, "abc"[n]), doubt) for n, doubt in found.items()]
    publish_run(results[::-1], [], place.publication())
    assert place.record()["warnings"] == ["by 0.02", "odd"]


def test_a_run_is_published_whole_and_reconciles(place: Place) -> None:
    results = [place.stage(1, 2, "cd"), place.stage(0, 2, "ab", bad="xy")]
    skipped = [PassedOver(".txt", 1, "/b.txt"), PassedOver("hidden", 1, "/.c")]
    publish_run(results, [*skipped, PassedOver(".txt", 1, "/a.txt")], place.publication())
    assert place.names() == PUBLISHED
    assert place.read().sort_by("image_id").column("image_id").to_pylist() == [*"abcd"]
    record = place.record()
    assert record["counts"] == {"matched": 9, "written": 4, "failed": 2, "skipped": 3}
    assert record["failures_by_reason"] == {"decode/CorruptImage": 2}
    assert record["skipped_by_reason"] == {".txt": 2, "hidden": 1}
    assert record["skipped_examples"] == {".txt": "/a.txt", "hidden": "/.c"}
    assert record["warnings"] == ["odd"]
    assert record["program"] == "embed"
    assert [entry["rows"] for entry in record["files"]] == [2, 2]
    assert [entry["failed"] for entry in record["files"]] == [2, 0]
    assert record["files"][0]["sha256"] == results[1].data.sha256
    failures = (place.output / "_failures.jsonl").read_text().splitlines()
    assert [json.loads(line)["image_id"] for line in failures] == ["x", "y"]


def test_a_run_whose_place_another_one_took_publishes_nothing(place: Place) -> None:
    results = [place.stage(0, 1, "ab")]
    for run_id in ("other", "this run"):  # Started anew, or resumed.
        write_plan(str(place.staging), {"run_id": run_id, "started_at": "2026-11-30"})
        with pytest.raises(RunError, match="another run, of 2026-11-30, took over"):
            publish_run(results, [], place.publication())
        assert place.names() == []
    write_plan(str(place.staging), {"run_id": "this run", "started_at": "2026-11-29"})
    publish_run(results, [], place.publication())
    assert "_SUCCESS" in place.names()


def test_what_cannot_be_tidied_up_is_said_of_a_published_run(
    place: Place,
) -> None:
    results = [place.stage(0, 1, "ab")]
    (place.staging / "kept").mkdir()
    (place.staging / "kept" / "file").touch()
    (place.staging / "kept").chmod(0o500)
    with pytest.raises(RunError, match="out is published, but what comes after that failed: ") as e:
        publish_run(results, [], place.publication())
    assert "permission denied; run again with --resume" in str(e.value).lower()
    assert "_SUCCESS" in place.names()
    (place.staging / "kept").chmod(0o700)
    publish_run([], [], place.publication())
    assert not any(place.staging.iterdir())


def test_too_many_failures_publish_nothing_and_keep_the_earlier_run(place: Place) -> None:
    publish_run([place.stage(0, 1, "ab")], [], place.publication())
    before = place.names()
    results = [place.stage(0, 1, "a", bad="x")]
    with pytest.raises(RunError, match=r"1 of 2 images failed \(50.0%: decode/CorruptImage 1\)"):
        publish_run(results, [], place.publication(0.4, "next run"))
    assert place.names() == before
    assert place.read().num_rows == 2
    assert (place.staging / "_failures.jsonl").read_text().count("\n") == 1


def test_the_allowed_share_of_failures_is_published(place: Place) -> None:
    publish_run([place.stage(0, 1, "a", bad="x")], [], place.publication(0.5))
    assert (place.output / "_SUCCESS").exists()


def test_an_earlier_run_is_replaced_with_all_its_files(place: Place) -> None:
    publish_run([place.stage(i, 3, ids) for i, ids in enumerate("abc")], [], place.publication())
    later = place.publication(run_id="next run")
    publish_run([place.stage(i, 2, ids) for i, ids in enumerate("de")], [], later)
    assert place.names() == PUBLISHED
    assert sorted(place.read().column("image_id").to_pylist()) == ["d", "e"]
    assert place.record()["run_id"] == "next run"
    assert not list(place.staging.iterdir())


@pytest.mark.parametrize("content", [b"", b'{"run_id"', b"[]", None])
def test_an_earlier_run_whose_record_is_damaged_is_replaced(
    place: Place, content: bytes | None
) -> None:
    publish_run([place.stage(0, 1, "ab")], [], place.publication())
    record = place.output / "_run.json"
    record.unlink() if content is None else record.write_bytes(content)
    publish_run([place.stage(0, 1, "cd")], [], place.publication(run_id="next run"))
    assert place.record()["run_id"] == "next run"
    assert sorted(place.read().column("image_id").to_pylist()) == ["c", "d"]


def test_publishing_again_after_a_crash_half_way_completes(place: Place) -> None:
    results = [place.stage(0, 2, "ab", bad="x"), place.stage(1, 2, "cd")]
    # As after a crash between two files.
    for directory in (place.staging / "run", place.output):
        directory.mkdir(exist_ok=True)
    name = "embeddings-00000-of-00002.parquet"
    half = place.output if place.staging.parent == place.output else place.staging / "run"
    (half / name).write_bytes(b"half")
    (half / f"_run.json.{uuid.uuid4().hex}.partial").write_bytes(b"half")
    publish_run(results, [], place.publication())
    assert place.names() == PUBLISHED
    assert place.read().num_rows == 4


def test_files_that_came_while_a_run_worked_are_not_swept_away(tmp_path: pathlib.Path) -> None:
    place = Place(tmp_path / "out", tmp_path / ".out.staging")
    publish_run([place.stage(0, 1, "ab")], [], place.publication())
    result = place.stage(0, 1, "cd")
    (place.output / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"notes\.txt\), which came while this run was working"):
        publish_run([result], [], place.publication(run_id="next run"))
    assert (place.output / "notes.txt").read_text() == "mine"
    assert place.read().num_rows == 2


def test_publishing_again_after_success_changes_nothing(place: Place) -> None:
    results = [place.stage(0, 2, "ab", bad="x"), place.stage(1, 2, "cd")]
    publish_run(results, [], place.publication())
    publish_run(results, [], place.publication())
    assert place.names() == PUBLISHED
    assert (place.output / "_failures.jsonl").read_text().count("\n") == 1


def test_a_run_that_cannot_be_described_leaves_the_earlier_one(place: Place) -> None:
    publish_run([place.stage(0, 1, "ab")], [], place.publication())
    broken = place.publication(run_id="next run", description={"config": {1, 2}})
    with pytest.raises(TypeError, match="not JSON serializable"):
        publish_run([place.stage(0, 1, "c")], [], broken)
    assert (place.output / "_SUCCESS").exists()
    assert place.read().num_rows == 2


def test_a_data_file_that_is_nowhere_fails_the_run(place: Place) -> None:
    result = place.stage(0, 1, "ab")
    pathlib.Path(result.data.path).unlink()
    with pytest.raises(RunError, match=r"No such file.*run again with --resume"):
        publish_run([result], [], place.publication())
    assert not (place.output / "_SUCCESS").exists()


def test_of_two_attempts_at_a_shard_one_is_taken(place: Place) -> None:
    attempts = [place.stage(0, 1, "ab"), place.stage(0, 1, "ab")]
    publish_run(attempts, [], place.publication())
    assert place.record()["counts"]["written"] == 2
    assert [name for name in place.names() if name.endswith("parquet")] == [
        "embeddings-00000-of-00001.parquet"
    ]


def test_a_shard_without_result_is_found(place: Place) -> None:
    with pytest.raises(RuntimeError, match="1 of 3 shards have no result, first 1"):
        one_attempt_each([place.stage(2, 3, "a"), place.stage(0, 3, "b")])


def test_seconds_are_added_up_by_step(place: Place) -> None:
    results = [
        dataclasses.replace(place.stage(i, 2, "ab"[i]), seconds={Step.MODEL: 1.5}) for i in range(2)
    ]
    publish_run(results, [], place.publication())
    record = place.record()
    expected = collections.Counter({"model": 3.0, "read": 0, "decode": 0, "write": 0})
    assert record["seconds_by_step"] == expected
