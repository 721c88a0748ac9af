"""Tiny files in groups: how many, which, and that they hardly move."""

import random

from transforms.records import InputFile, ShardKind
from transforms.runs.grouping import (
    FEW_GROUPS,
    GROUP_BYTES,
    LEAST_FILES,
    TINY_BYTES,
    count_groups,
    group_files,
)
from transforms.span import Span

MANY = 1000


def tiny(count: int, kind: ShardKind = ShardKind.TFRECORD, size: int = 1000) -> list[InputFile]:
    return [InputFile(kind, f"/in/{n:05d}.{kind}", "/in", size, "1") for n in range(count)]


def test_every_file_is_in_one_group_in_order_whatever_the_order_of_the_listing() -> None:
    files = tiny(MANY)
    groups = group_files(files)
    assert len(groups) == FEW_GROUPS
    assert sorted(file.uri for group in groups for file in group) == [file.uri for file in files]
    assert all(list(group) == sorted(group, key=lambda file: file.uri) for group in groups)
    assert groups == sorted(groups, key=lambda group: group[0].uri)
    assert max(map(len, groups)) < 2 * MANY / FEW_GROUPS
    random.Random(0).shuffle(files)
    assert group_files(files) == groups


def test_few_files_large_ones_and_spans_stay_alone() -> None:
    few = tiny(LEAST_FILES - 1)
    assert group_files(few) == [(file,) for file in few]
    large = [InputFile(ShardKind.TAR, f"/large/{n}.tar", "/", TINY_BYTES) for n in range(MANY)]
    span = InputFile(ShardKind.TAR, "/s.tar", "/", 9, "1", Span(0, None, 0, None))
    alone = [group for group in group_files([*large, span, *tiny(MANY)]) if len(group) == 1]
    assert len(alone) == MANY + 1


def test_kinds_do_not_mix() -> None:
    tars = tiny(MANY, ShardKind.TAR)
    groups = group_files([*tiny(MANY), *tars, *tiny(LEAST_FILES - 1, ShardKind.PARQUET)])
    assert all(len({file.kind for file in group}) == 1 for group in groups)
    assert len(groups) == 2 * FEW_GROUPS + LEAST_FILES - 1


def test_the_number_of_groups_is_a_power_of_two_that_follows_the_bytes() -> None:
    assert count_groups(LEAST_FILES - 1, 10**9) == 0
    assert count_groups(LEAST_FILES, 0) == FEW_GROUPS
    assert count_groups(20_000, FEW_GROUPS * GROUP_BYTES) == FEW_GROUPS
    assert count_groups(20_000, FEW_GROUPS * GROUP_BYTES + 1) == 2 * FEW_GROUPS
    assert count_groups(20_000, 6 * 10**9) == 512


def test_a_file_more_or_less_leaves_other_groups_and_more_files_split_them() -> None:
    files = tiny(MANY)
    before, after = set(group_files(files)), set(group_files(files[1:]))
    assert len(before - after) == 1
    size = FEW_GROUPS * GROUP_BYTES // MANY
    full, fuller = tiny(MANY, size=size), tiny(MANY + 1, size=size)
    halves = group_files(fuller)
    assert len(group_files(full)) == FEW_GROUPS
    assert len(halves) == 2 * FEW_GROUPS
    whole = {file.uri: place for place, group in enumerate(group_files(full)) for file in group}
    assert all(len({whole.get(f.uri, -1) for f in half} - {-1}) <= 1 for half in halves)
