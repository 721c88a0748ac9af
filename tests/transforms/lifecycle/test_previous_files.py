"""The files that a group's images were in before: what is left unread, lost, or out of reach."""

import dataclasses
import pathlib

import pyarrow as pa

from tests.support.batches import NOTHING_CARRIED
from transforms.failure import Failure, Step
from transforms.lifecycle.previous_files import PreviousFiles
from transforms.lifecycle.previous_rows import load_previous
from transforms.records import InputFile, Predecessor, Shard, ShardKey, ShardKind, WrittenFile
from transforms.runs.data_writer import OutputFile
from transforms.runs.inputs_file import write_inputs
from transforms.schemas import computed_columns, embedding_schema

KEY = ShardKey(0, 1)
OUTPUT = embedding_schema(1, "float32", NOTHING_CARRIED, {})


def file(folder: pathlib.Path, name: str) -> InputFile:
    return InputFile(ShardKind.TAR, f"{folder}/{name}.tar", str(folder), 9, "1")


def failure(uri: str, error_type: str, step: Step) -> Failure:
    return Failure(uri, uri, step, error_type, "why")


def before(folder: pathlib.Path, names: str, *failures: Failure) -> tuple[Shard, Predecessor]:
    """Writes a run before of some files with two rows each."""
    files = tuple(file(folder, name) for name in names)
    rows = pa.RecordBatch.from_pylist(
        [
            {
                "image_id": f"{one.uri}#{n}", "uri": f"{one.uri}#{n}", "content_sha256": f"{n}",
                "embedding": [1.0], "width": 20, "height": 10,
            }
            for one in files
            for n in range(2)
        ],
        schema=OUTPUT,
    )  # fmt: skip
    data = OutputFile(str(folder / "data.parquet"), OUTPUT, "parquet")
    data.write(rows)
    shard = Shard(KEY, ShardKind.TAR, files=files)
    inputs = write_inputs(str(folder / "inputs.arrow"), shard, failures, NOTHING_CARRIED)
    written = WrittenFile(data.path, *data.close())
    return shard, Predecessor((written,), (inputs,), unchanged_files=files)


def previous_files(shard: Shard, predecessor: Predecessor) -> PreviousFiles:
    previous = load_previous(predecessor, computed_columns("embeddings"))
    return PreviousFiles(shard, predecessor, previous)


def test_files_stay_unread_but_where_a_failure_is_tried_again(tmp_path: pathlib.Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.tar").touch()
    a, b, c, d = (f"{tmp_path}/{name}.tar" for name in "abcd")
    shard, predecessor = before(
        tmp_path, "abcd",
        failure(f"{b}#2", "CorruptImage", Step.DECODE),
        failure(f"{c}#2", "DecodeTimeout", Step.DECODE),
        failure(f"{d}#2", "DecodeTimeout", Step.DECODE),
    )  # fmt: skip
    # d cannot be opened: it stays as it was.
    assert previous_files(shard, predecessor).unread() == {a, b, d}
    again = dataclasses.replace(predecessor, keeps_all=True)
    assert previous_files(shard, again).unread() == {a}
    other = dataclasses.replace(predecessor, has_same_recipe=False)
    assert previous_files(shard, other).unread() == frozenset()
    changed = dataclasses.replace(predecessor, unchanged_files=predecessor.unchanged_files[1:])
    assert previous_files(shard, changed).unread() == {b, d}
    assert sorted(previous_files(shard, predecessor).images_of({b})) == [
        f"{b}#{n}" for n in (0, 1, 2)
    ]


def test_what_is_gone_is_lost_or_behind_the_end_of_its_own_file(tmp_path: pathlib.Path) -> None:
    a, b, c = (f"{tmp_path}/{name}.tar" for name in "abc")
    shard, predecessor = before(tmp_path, "abc", failure(f"{a}#2", "TruncatedFile", Step.READ))
    # c is in another group now, or not there at all.
    shard = dataclasses.replace(shard, files=shard.files[:2])
    files = previous_files(shard, predecessor)
    end = failure(f"{b}#1", "TruncatedFile", Step.READ)
    files.meet(end)
    files.meet(failure(f"{a}#0", "CorruptImage", Step.DECODE))
    lost, unreached = files.gone({f"{a}#0", f"{b}#0"})
    assert (lost, unreached) == ((f"{a}#1",), {f"{b}#1": end})
    missed = files.not_reached(f"{b}#1", end)
    assert (missed.uri, missed.reason) == (f"{b}#1", "read/NotReached")
    assert f"{c}#0" not in (*lost, *unreached)
