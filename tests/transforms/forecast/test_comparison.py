"""A listing against the run before, and the workload that it leaves."""

import dataclasses
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.failure import Failure, Step
from transforms.forecast.comparison import Comparison
from transforms.forecast.workload import Workload, take_workload
from transforms.inputs.columns import FileColumns
from transforms.inputs.counts import FileCount
from transforms.inputs.listing import classify_input
from transforms.lifecycle.previous_run import planned_shard
from transforms.records import Change, ImageRef, InputFile, Shard, ShardKey, ShardKind, WrittenFile
from transforms.results import FileAccount, ShardResult
from transforms.runs.inputs_file import write_inputs
from transforms.runs.recipe import fingerprint_shard

COLUMNS = FileColumns(None, None, pa.schema([]))
BASE = "what all fingerprints share"


def listed(image_id: str, version: str | None = "1") -> ImageRef:
    return ImageRef(image_id, f"/photos/{image_id}", 100, version)


def shard_of(tmp_path: pathlib.Path, *refs: ImageRef, failed: tuple[str, ...] = ()) -> ShardResult:
    """Writes what an earlier run keeps of a shard of listed images."""
    shard = Shard(ShardKey(0, 1), ShardKind.IMAGES, refs)
    failures = [Failure(i, f"/photos/{i}", Step.READ, "NotFound", "gone") for i in failed]
    inputs = write_inputs(str(tmp_path / "inputs.arrow"), shard, failures, COLUMNS.carried)
    return ShardResult(
        shard=shard.key,
        kind=shard.kind,
        files=(),
        fingerprint=fingerprint_shard(BASE, shard),
        data=WrittenFile("/run/0.parquet", 1, "d"),
        inputs=inputs,
        rows=len(refs) - len(failures),
        failures={failure.reason: 1 for failure in failures},
    )


def shard_of_file(file: InputFile, rows: int) -> ShardResult:
    shard = Shard(ShardKey(0, 1), file.kind, files=(file,))
    return ShardResult(
        shard=shard.key,
        kind=file.kind,
        files=(FileAccount(file, rows),),
        fingerprint=fingerprint_shard(BASE, shard),
        data=WrittenFile("/run/0.parquet", 1, "d"),
        inputs=WrittenFile("/run/0.arrow", 1, "i"),
        rows=rows,
        failures={},
    )


def test_without_a_run_before_every_image_is_new_and_computed() -> None:
    comparison = Comparison((), BASE, has_same_recipe=False)
    assert all(comparison.must_compute(listed(name)) for name in "abc")
    assert comparison.images_to_compute == 3
    file = InputFile(ShardKind.TAR, "/photos/a.tar", "/photos", 9, "1")
    assert not comparison.is_carried_over(file)
    assert comparison.images_before(file) == 0
    assert comparison.changes({file: 4.0}) == {Change.NEW: 7, Change.DELETED: 0}


def test_each_image_is_compared_with_its_listing_of_before(tmp_path: pathlib.Path) -> None:
    names = ("same", "other", "gone", "failed", "unknown")
    refs = [listed(name, None if name == "unknown" else "1") for name in names]
    before = shard_of(tmp_path, *refs, failed=("failed",))
    assert planned_shard(before).refs == tuple(refs)
    comparison = Comparison([before], BASE, has_same_recipe=True)
    now = [listed("same"), listed("other", "2"), listed("failed"), refs[-1], listed("new")]
    computed = [ref.image_id for ref in now if comparison.must_compute(ref)]
    assert computed == ["other", "failed", "unknown", "new"]
    assert comparison.images_to_compute == 4
    assert comparison.changes({}) == {
        Change.NEW: 1,
        Change.CHANGED: 2,
        Change.UNCHANGED: 1,
        Change.RETRIED: 1,
        Change.DELETED: 1,
    }


def test_by_another_recipe_all_is_computed_and_the_same_is_said(tmp_path: pathlib.Path) -> None:
    comparison = Comparison([shard_of(tmp_path, listed("same"))], BASE, has_same_recipe=False)
    assert comparison.must_compute(listed("same"))
    assert comparison.changes({})[Change.UNCHANGED] == 1


def workload_of(folder: pathlib.Path, *previous: ShardResult) -> Workload:
    comparison = Comparison(previous, BASE, has_same_recipe=True)
    sources = (classify_input(str(folder)),)
    return take_workload(sources, (), COLUMNS, max_image_bytes=100, draw=5, comparison=comparison)


def test_a_workload_leaves_out_files_that_are_carried_over(tmp_path: pathlib.Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"1")
    for name, rows in (("old.parquet", 7), ("new.parquet", 3)):
        pq.write_table(pa.table({"image": pa.array([b"1"] * rows, pa.binary())}), tmp_path / name)
    fresh = workload_of(tmp_path)
    assert (fresh.images, fresh.rows_to_compute, fresh.in_files_to_compute) == (12, 12, 10)
    new, old = fresh.survey.files
    assert fresh.files_to_compute == (new, old)

    # The count of before is trusted: 6, where there are 7.
    later = workload_of(tmp_path, shard_of_file(old, rows=6))
    assert later.files_to_compute == (new,)
    assert later.counts == {
        new: FileCount(3, is_exact=True),
        old: FileCount(6, is_exact=True),
    }
    assert (later.images, later.rows_to_compute, later.in_files_to_compute) == (11, 5, 3)
    assert later.changes[Change.UNCHANGED] == 6
    touched = dataclasses.replace(old, version="another")
    assert workload_of(tmp_path, shard_of_file(touched, rows=6)).files_to_compute == (new, old)
    assert not later.is_empty


def test_a_workload_of_nothing_new_is_empty(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"1")
    (ref,) = workload_of(folder).survey.drawn
    same = workload_of(folder, shard_of(tmp_path, ref))
    assert same.is_empty
    assert (same.images, same.rows_to_compute) == (1, 0)
