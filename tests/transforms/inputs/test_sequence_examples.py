"""Videos as tf.SequenceExamples, written by TensorFlow: frames, and what YouTube-8M has."""

import pathlib

import pyarrow as pa
import pytest
import tensorflow as tf

from transforms.errors import InputError
from transforms.files import sequence_examples
from transforms.inputs.columns import FileColumns
from transforms.inputs.part import ReadPart
from transforms.inputs.tfrecord_files import peek_example_schema, read_tfrecord
from transforms.records import InputFile, ShardKind


def bytes_feature(*values: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def video(name: str | None, frames: list[tuple[bytes, ...]], key: str = "image/encoded") -> bytes:
    context = {"label": tf.train.Feature(int64_list=tf.train.Int64List(value=[len(frames)]))}
    if name is not None:
        context["image/filename"] = bytes_feature(name.encode())
    lists = {
        key: tf.train.FeatureList(feature=[bytes_feature(*frame) for frame in frames]),
        "audio": tf.train.FeatureList(feature=[bytes_feature(b"sound")]),
    }
    example = tf.train.SequenceExample(
        context=tf.train.Features(feature=context),
        feature_lists=tf.train.FeatureLists(feature_list=lists),
    )
    return example.SerializeToString()


def write(path: pathlib.Path, records: list[bytes], packing: str = "") -> InputFile:
    with tf.io.TFRecordWriter(str(path), packing) as writer:
        for record in records:
            writer.write(record)
    return InputFile(ShardKind.TFRECORD, str(path), str(path.parent), path.stat().st_size)


def read(file: InputFile, image_id_from: str | None = None, batch_size: int = 3) -> list[ReadPart]:
    carried = peek_example_schema(file.uri, None, image_id_from, ["label"])
    assert carried is not None
    columns = FileColumns(None, image_id_from, carried)
    return list(read_tfrecord(file, columns, batch_size, 100))


@pytest.mark.parametrize("batch_size", [1, 2, 9])
@pytest.mark.parametrize("packing", ["", "GZIP", "ZLIB"])
def test_frames_are_images_each(tmp_path: pathlib.Path, batch_size: int, packing: str) -> None:
    records = [
        video("a.mp4", [(b"a0",), (b"a1",), (b"x" * 101,), (b"a3",)]),
        video("empty.mp4", []),
        video(None, [(b"c0",)]),
        video("bad.mp4", [(b"d0",), (b"d1", b"d2")]),
    ]
    file = write(tmp_path / "x.tfrecord", records, packing)
    parts = read(file, batch_size=batch_size)
    rows = [row for part in parts for row in part.rows.to_pylist()]
    assert [(row["image_id"], row["uri"], row["label"]) for row in rows] == [
        ("a.mp4#0", f"{file.uri}#0.0", [4]),
        ("a.mp4#1", f"{file.uri}#0.1", [4]),
        ("a.mp4#3", f"{file.uri}#0.3", [4]),
        (f"{file.uri}#2.0", f"{file.uri}#2.0", [1]),
    ]
    assert [image for part in parts for image in part.encoded] == [b"a0", b"a1", b"a3", b"c0"]
    assert all(part.rows.num_rows <= batch_size for part in parts)
    failures = {failure.image_id: failure for part in parts for failure in part.failures}
    assert failures.keys() == {"a.mp4#2", "bad.mp4"}
    assert failures["a.mp4#2"].error_type == "FileTooLarge"
    assert "feature 1 of its feature list 'image/encoded' has 2" in failures["bad.mp4"].message


def test_ids_come_from_a_feature_of_the_context_or_from_names(tmp_path: pathlib.Path) -> None:
    file = write(tmp_path / "x.tfrecord", [video("a.mp4", [(b"0",), (b"1",)])])
    for image_id_from, expected in {
        "image/filename": ["a.mp4#0", "a.mp4#1"],
        "uri": [f"{file.uri}#0.0", f"{file.uri}#0.1"],
        "filename": ["x.tfrecord#0.0", "x.tfrecord#0.1"],
    }.items():
        (part,) = read(file, image_id_from)
        assert part.rows["image_id"].to_pylist() == expected


def test_examples_and_sequences_may_be_in_one_file(tmp_path: pathlib.Path) -> None:
    example = tf.train.Example(
        features=tf.train.Features(
            feature={
                "image/encoded": bytes_feature(b"photo"),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[7])),
            }
        )
    )
    records = [example.SerializeToString(), video("a.mp4", [(b"0",)])]
    (part,) = read(write(tmp_path / "x.tfrecord", records))
    assert part.encoded == (b"photo", b"0")


def test_lists_of_other_names_are_told_and_not_carried(tmp_path: pathlib.Path) -> None:
    """As of YouTube-8M, whose rgb is a vector for each second."""
    file = write(tmp_path / "train00.tfrecord", [video("v", [(b"\1\2",)], key="rgb")])
    with pytest.raises(InputError, match=r"no value for image/encoded; they have .*label, and the"):
        peek_example_schema(file.uri, None, None, [])
    with pytest.raises(InputError, match="the lists audio, rgb, of which only images are"):
        peek_example_schema(file.uri, None, None, [])
    with pytest.raises(InputError, match="no value for audio"):
        peek_example_schema(file.uri, "rgb", None, ["audio"])
    assert peek_example_schema(file.uri, "rgb", None, []) == pa.schema([])


def test_a_record_of_too_many_frames_fails_alone(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequence_examples, "MAX_FRAMES", 2)
    records = [video("a", [(b"0",)] * 3), video("b", [(b"1",)] * 2)]
    (part,) = read(write(tmp_path / "x.tfrecord", records))
    assert part.rows["image_id"].to_pylist() == ["b#0", "b#1"]
    assert "has 3 features, more than 2; write it as several records" in part.failures[0].message
