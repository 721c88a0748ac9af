"""Shards: every image in one, the same one every time, and duplicates named."""

import pickle

import apache_beam as beam
import pytest
from apache_beam.testing.test_pipeline import TestPipeline as _TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.errors import InputError
from transforms.records import ImageRef, InputFile, RefChunk, Shard, ShardKey, ShardKind
from transforms.runs.sharding import count_shards, shard_index
from transforms.steps.plan_shards import (
    PlanShards,
    ShardSizes,
    check_matched_once,
    plan_file_shards,
    sorted_by_id,
)


def refs(*ids: str) -> list[ImageRef]:
    return [ImageRef(image_id, f"/photos/{image_id}") for image_id in ids]


@pytest.mark.parametrize(
    ("image_count", "rows_per_file", "expected"),
    [
        (0, 100, 0),
        (1, 100, 1),
        (32, 100, 1),
        (33, 100, 2),
        (65, 100, 4),
        (512, 1000, 16),
        (160_000, 10_000, 16),
        (160_001, 10_000, 32),
        (1_000_000, 10_000, 128),
        (3, 1, 4),
    ],
)
def test_the_number_of_shards_follows_from_count_and_rows_per_file(
    image_count: int, rows_per_file: int, expected: int
) -> None:
    assert count_shards(image_count, rows_per_file) == expected


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text(min_size=1), st.integers(1, 1000))
def test_a_shard_splits_in_two_when_their_number_doubles(image_id: str, count: int) -> None:
    assert shard_index(image_id, 2 * count) % count == shard_index(image_id, count)


def test_the_hash_of_an_id_never_changes() -> None:
    assert [shard_index(f"photo-{i}.jpg", 16) for i in range(6)] == [0, 12, 15, 0, 14, 4]


def test_a_directory_that_two_globs_could_not_list_is_there_once() -> None:
    closed = ImageRef("/photos", "/photos", unlisted="permission denied")
    assert sorted_by_id([closed, *refs("b"), closed]) == (closed, *refs("b"))


def test_images_are_sorted_by_id() -> None:
    assert sorted_by_id(refs("b", "a", "C")) == tuple(refs("C", "a", "b"))


def test_two_uris_with_one_id_are_named() -> None:
    twins = [ImageRef("cat.jpg", "/a/cat.jpg"), ImageRef("cat.jpg", "/b/cat.jpg")]
    with pytest.raises(InputError, match=r"cat.jpg.*/a/cat.jpg and /b/cat.jpg.*--image_id_from"):
        sorted_by_id(twins)


def test_one_uri_listed_twice_is_named() -> None:
    with pytest.raises(InputError, match=r"/photos/x is listed twice"):
        sorted_by_id(refs("x", "x"))


def test_files_follow_the_image_shards_in_order_of_uri() -> None:
    files = [InputFile(ShardKind.TFRECORD, f"/{name}.tfrecord", "/", size_bytes=1) for name in "ba"]
    shards = plan_file_shards(40, [(file,) for file in files], ShardSizes(1000))
    assert [(s.key.index, s.key.count, s.files[0].uri) for s in shards] == [
        (2, 4, "/a.tfrecord"),
        (3, 4, "/b.tfrecord"),
    ]


def test_a_file_matched_twice_is_an_error() -> None:
    file = InputFile(ShardKind.PARQUET, "/x.parquet", "/", size_bytes=1)
    with pytest.raises(InputError, match=r"/x.parquet is matched by two"):
        check_matched_once([file, file])


def test_plan_shards_puts_every_image_in_one_shard_and_keeps_empty_shards() -> None:
    images = refs(*(f"photo-{i}.jpg" for i in range(8)))
    file = InputFile(ShardKind.TFRECORD, "/x.tfrecord", "/", size_bytes=1)
    with _TestPipeline() as pipeline:
        shards = (
            pipeline
            | "Images" >> beam.Create([RefChunk(tuple(images[:3])), RefChunk(tuple(images[3:]))]),
            pipeline | "Files" >> beam.Create([file]),
        ) | PlanShards(ShardSizes(1))
        summary = shards | beam.Map(_summary)
        expected: list[tuple[int, int, object]] = [(i, 9, ()) for i in range(8)]
        for ref in images:
            index = shard_index(ref.image_id, 8)
            ids = expected[index][2]
            assert isinstance(ids, tuple)
            expected[index] = (index, 9, tuple(sorted((*ids, ref.image_id))))
        assert () in [ids for _, _, ids in expected], "the test needs an empty shard"
        assert_that(summary, equal_to([*expected, (8, 9, "/x.tfrecord")]))


def test_plan_shards_refuses_a_run_without_images() -> None:
    pipeline = _TestPipeline()
    nothing = beam.Create([])
    _ = (pipeline | "I" >> nothing, pipeline | "F" >> beam.Create([])) | PlanShards(ShardSizes(10))
    with pytest.raises(InputError, match="no images found"):
        pipeline.run()


def test_shards_and_chunks_survive_the_way_between_workers() -> None:
    images = (
        ImageRef("a", "/x/a", 3, "17", ("left", 2), "ff"),
        ImageRef("ü", "/x/ü"),
    )
    shard = Shard(ShardKey(1, 2), ShardKind.IMAGES, images, fingerprint="00", image_shard_count=2)
    assert pickle.loads(pickle.dumps(shard)) == shard
    assert pickle.loads(pickle.dumps(RefChunk(()))) == RefChunk(())
    paths = [f"/photos/{n:07d}.jpg" for n in range(999)]
    many = tuple(ImageRef(path, path, 1, "5") for path in paths)
    assert len(pickle.dumps(RefChunk(many))) < 20 * len(many)


def _summary(shard: Shard) -> tuple[int, int, object]:
    ids = tuple(ref.image_id for ref in shard.refs)
    return shard.key.index, shard.key.count, shard.files[0].uri if shard.files else ids
