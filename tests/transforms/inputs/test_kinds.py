"""The registry of the kinds of file: every kind is there, and told by names."""

import pytest

from transforms.inputs.kinds import FILE_KINDS, kind_of_glob, kind_of_name
from transforms.records import ShardKind


def test_every_kind_of_shard_that_is_a_file_is_registered() -> None:
    assert set(FILE_KINDS) == set(ShardKind) - {ShardKind.IMAGES}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gs://b/photos.tfrecord/x.jpg", ShardKind.IMAGES),
        ("gs://b/x.TFRecord-00000-of-00002.GZ", ShardKind.TFRECORD),
        ("/x.record", ShardKind.TFRECORD),
        ("/x.record-1", ShardKind.IMAGES),
        ("x.parquet", ShardKind.PARQUET),
        ("x.tgz", ShardKind.TAR),
        ("x.tar.bz2", ShardKind.TAR),
        ("x.tbz2", ShardKind.TAR),
        ("x.TAR.XZ", ShardKind.TAR),
        ("x.txz", ShardKind.TAR),
        ("x.tar.zst", ShardKind.TAR),
        ("x.tar.lz4", ShardKind.IMAGES),
        ("x.ZIP", ShardKind.ZIP),
        ("tar", ShardKind.IMAGES),
    ],
)
def test_a_file_is_told_by_its_name_alone(name: str, kind: ShardKind) -> None:
    assert kind_of_name(name) is kind


@pytest.mark.parametrize(
    ("glob", "kind"),
    [
        ("a*/**", ShardKind.IMAGES),
        ("x.tfrecord-*", ShardKind.TFRECORD),
        ("x.tfrecord*.jpg", ShardKind.IMAGES),
        ("*.parquet?", ShardKind.PARQUET),
        ("*.tar*", ShardKind.TAR),
    ],
)
def test_a_glob_is_of_a_kind_if_all_that_it_matches_is(glob: str, kind: ShardKind) -> None:
    assert kind_of_glob(glob) is kind


def test_only_compressed_archives_are_left_out_of_a_directory() -> None:
    left_out = {
        (kind, name): reason
        for kind, files in FILE_KINDS.items()
        for name in ("x.tfrecord.gz", "x.parquet", "x.tar", "x.TAR", "x.tar.gz", "x.txz", "x.zip")
        if kind_of_name(name) is kind and (reason := files.reason_to_skip(name))
    }
    reason = "compressed tar; name it with --input"
    assert left_out == {
        (ShardKind.TAR, "x.tar.gz"): reason,
        (ShardKind.TAR, "x.txz"): reason,
        (ShardKind.ZIP, "x.zip"): "zip; name it with --input",
    }
