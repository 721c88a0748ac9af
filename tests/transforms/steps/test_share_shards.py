"""ShareShards: what several runs have to read, each shard once."""

import dataclasses

import apache_beam as beam
from apache_beam.testing.test_pipeline import TestPipeline as _TestPipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.records import (
    ImageRef,
    InputFile,
    Predecessor,
    Shard,
    ShardKey,
    ShardKind,
    WrittenFile,
)
from transforms.span import Span
from transforms.steps.share_shards import ShareShards

FIRST, SECOND = ShardKey(0, 2), ShardKey(1, 2)


def of_images(key: ShardKey, *names: str) -> Shard:
    return Shard(key, ShardKind.IMAGES, refs=tuple(ImageRef(name, f"/{name}") for name in names))


def of_file(key: ShardKey, span: Span | None) -> Shard:
    file = InputFile(ShardKind.TFRECORD, "/a.tfrecord", "/", 90, span=span)
    return Shard(key, ShardKind.TFRECORD, files=(file,))


def test_a_shard_is_shared_by_the_runs_that_have_it_of_the_same_inputs() -> None:
    earlier = Predecessor((WrittenFile("/x", 1, ""),), ())
    images, file = of_images(FIRST, "a", "b"), of_file(SECOND, Span(0, 9, 0, 50))
    refreshed = dataclasses.replace(images, fingerprint="other", predecessor=earlier)
    runs = [
        [images, file],
        [refreshed, of_file(SECOND, Span(9, None, 50, None))],
        [of_images(FIRST, "a", "b\udcff"), file],
        [of_images(SECOND, "a", "b")],
    ]
    with _TestPipeline() as pipeline:
        shards = tuple(pipeline | f"Run{run}" >> beam.Create(own) for run, own in enumerate(runs))
        listed = shards | ShareShards() | beam.Map(lambda shared: list(shared.shards.items()))
        assert_that(
            listed,
            equal_to(
                [
                    [(0, images), (1, refreshed)],
                    [(0, file), (2, file)],
                    [(1, runs[1][1])],
                    [(2, runs[2][0])],
                    [(3, runs[3][0])],
                ]
            ),
        )
