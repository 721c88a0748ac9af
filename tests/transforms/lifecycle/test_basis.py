"""What a run builds on, and what each of the three says to the same questions."""

import pytest

from transforms.errors import FlagError
from transforms.inputs.source import Source
from transforms.lifecycle.basis import Completion, Fresh, Refresh, complete, refresh
from transforms.lifecycle.previous_run import Previous
from transforms.lifecycle.publication import PreviousCounts
from transforms.records import InputFile, ShardKey, ShardKind, WrittenFile
from transforms.results import FileAccount, ShardResult
from transforms.runs.record import PublishedRun

PREPROCESSING = {"max_image_pixels": 10, "decode": "x"}
RECIPE = {
    "program": "embed",
    "model": {"fingerprint": "a"},
    "preprocessing": PREPROCESSING,
    "outputs": {"normalize": "none"},
}
IMAGES = (Source(ShardKind.IMAGES, "/photos/a.jpg", "/photos/a.jpg", False),)
TAR = (Source(ShardKind.TAR, "/photos/*.tar", "/photos", False),)
GLOB = (Source(ShardKind.IMAGES, "/photos/*", "/photos", False),)
DIRECTORY = (Source(ShardKind.IMAGES, "/photos", "/photos", True),)


def result(index: int, file: InputFile | None = None) -> ShardResult:
    return ShardResult(
        shard=ShardKey(index, 3),
        kind=file.kind if file else ShardKind.IMAGES,
        files=(FileAccount(file, 7),) if file else (),
        fingerprint="f",
        data=WrittenFile(f"/run/{index}.parquet", 1, "d"),
        inputs=WrittenFile(f"/run/{index}.arrow", 1, "i"),
        rows=5,
        failures={"decode/CorruptImage": 2},
    )


LISTED = (result(0), result(1))
IN_FILE = result(2, InputFile(ShardKind.TAR, "/photos/a.tar", "/photos", 9))


def published(*results: ShardResult) -> PublishedRun:
    return PublishedRun("/run", {"recipe": RECIPE}, results)


def with_preprocessing(**changed: object) -> dict[str, object]:
    return {**RECIPE, "preprocessing": {**PREPROCESSING, **changed}}


def test_a_fresh_run_takes_nothing() -> None:
    basis = Fresh()
    assert basis.least_image_shards == 0
    assert basis.previous is None
    assert basis.counts is None
    assert not basis.results
    assert [basis.has_files(sources) for sources in (IMAGES, TAR, DIRECTORY, GLOB)] == [
        False, True, True, True,
    ]  # fmt: skip


def test_a_refresh_takes_what_has_not_changed_and_keeps_the_number_of_shards() -> None:
    basis = refresh(published(*LISTED, IN_FILE), RECIPE, 0.5)
    assert isinstance(basis, Refresh)
    assert basis.least_image_shards == 2
    assert basis.previous == Previous("/run", has_same_recipe=True)
    assert basis.counts == PreviousCounts("/run", 21, {"/photos/a.tar": 7}, None, 0.5)
    assert not basis.has_files(IMAGES), "the file may be gone: the inputs of now decide"
    assert basis.has_files(DIRECTORY)


def test_a_refresh_by_another_recipe_takes_no_row_and_says_why() -> None:
    basis = refresh(published(*LISTED), with_preprocessing(max_image_pixels=20), 1.0)
    assert basis.previous == Previous("/run", has_same_recipe=False)
    assert basis.counts.recomputed_because == "preprocessing.max_image_pixels was 10, is 20"


def test_a_completion_keeps_all_and_asks_the_earlier_run_alone() -> None:
    basis = complete(published(*LISTED, IN_FILE), RECIPE)
    assert basis.least_image_shards == 0
    assert basis.previous == Previous("/run", has_same_recipe=True, keeps_all=True)
    assert basis.counts == PreviousCounts("/run", 21, {"/photos/a.tar": 7}, None, 1.0)
    assert basis.results == (*LISTED, IN_FILE)
    assert basis.has_files(()), "its inputs are not listed"
    assert not complete(published(*LISTED), RECIPE).has_files(DIRECTORY)


def test_what_failed_by_a_limit_may_be_tried_with_another_one() -> None:
    run = published(*LISTED)
    assert complete(run, with_preprocessing(max_image_pixels=20)) == Completion(run)
    with pytest.raises(FlagError, match=r"--retry_failed /run: .*preprocessing.decode was \"x\""):
        complete(run, with_preprocessing(decode="y"))
