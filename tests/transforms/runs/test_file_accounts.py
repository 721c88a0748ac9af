"""What became of each file of a shard, by name."""

import dataclasses
import pathlib

from transforms.failure import Failure, Step
from transforms.records import InputFile, ShardKey, ShardKind, WrittenFile
from transforms.results import FileAccount, ShardResult
from transforms.runs.file_accounts import account_for_files, file_of
from transforms.runs.record import format_version, result_from_dict, result_to_dict
from transforms.span import Span

FILES = [InputFile(ShardKind.TAR, f"/in/{name}.tar", "/in", 9, "1") for name in "abcd"]
A, B, C, D = (file.uri for file in FILES)


def failure(uri: str, error_type: str, step: Step = Step.READ) -> Failure:
    return Failure(uri, uri, step, error_type, "why")


def test_rows_and_failures_are_counted_by_file() -> None:
    failures = [
        failure(f"{A}#1", "CorruptImage", Step.DECODE),
        failure(f"{B}#1", "TruncatedFile"),
        failure(C, "PermissionDenied"),
        failure(D, "NotFound"),
    ]
    # Of d an earlier run told the images: it keeps them.
    assert account_for_files(FILES, {A: 2, B: 1, D: 4}, failures) == (
        FileAccount(FILES[0], 3),
        FileAccount(FILES[1], 1, is_cut_short=True),
        FileAccount(FILES[2], 0, is_cut_short=True),
        FileAccount(FILES[3], 4),
    )


def test_a_name_with_a_number_sign_is_told_from_an_image() -> None:
    assert file_of("/in/a#1.tar#7") == "/in/a#1.tar"
    assert file_of("/in/a#1.tar", {"/in/a#1.tar"}) == "/in/a#1.tar"


def test_a_shard_of_many_files_survives_json(tmp_path: pathlib.Path) -> None:
    folder = str(tmp_path)
    result = ShardResult(
        shard=ShardKey(0, 1),
        kind=ShardKind.TAR,
        files=(FileAccount(FILES[0], 3), FileAccount(FILES[1], 1, is_cut_short=True)),
        fingerprint="f",
        data=WrittenFile(f"{folder}/0.parquet", 1, "d"),
        inputs=WrittenFile(f"{folder}/0.arrow", 1, "i"),
        rows=3,
        failures={"read/TruncatedFile": 1, "decode/CorruptImage": 1},
        seconds=dict.fromkeys(Step, 0),
    )
    assert result_from_dict(result_to_dict(result, folder), folder) == result
    alone = dataclasses.replace(result, files=(FileAccount(FILES[1], 4, is_cut_short=True),))
    assert result_from_dict(result_to_dict(alone, folder), folder) == alone
    span = dataclasses.replace(FILES[2], span=Span(0, None, 0, None))
    divided = dataclasses.replace(result, files=(FileAccount(span, 4, is_cut_short=True),))
    assert [format_version(some) for some in ([alone], [alone, divided], [divided, result])] == [
        3, 4, 5,
    ]  # fmt: skip
