"""The Embedding Projector's files, read as TensorBoard reads them."""

import os
import pathlib
from typing import Any

import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from pipelines import search
from tests.support.runs import read, run_embed, vectors_of, write_examples, write_photos
from transforms.explore.projector_files import MAX_POINTS, SpriteSheet
from transforms.explore.thumbnails import Thumbnail

_FIELD = descriptor_pb2.FieldDescriptorProto


def read_config(text: str) -> Any:  # noqa: ANN401 - a message class of its own
    """Parses text as a tensorboard.projector.ProjectorConfig, which has these fields."""
    file = descriptor_pb2.FileDescriptorProto(name="projector.proto", syntax="proto3")
    fields: dict[str, list[tuple[str, int, int, str]]] = {
        "SpriteMetadata": [
            ("image_path", 1, _FIELD.TYPE_STRING, ""),
            ("single_image_dim", 2, _FIELD.TYPE_UINT32, "many"),
        ],
        "EmbeddingInfo": [
            ("tensor_name", 1, _FIELD.TYPE_STRING, ""),
            ("metadata_path", 2, _FIELD.TYPE_STRING, ""),
            ("bookmarks_path", 3, _FIELD.TYPE_STRING, ""),
            ("tensor_shape", 4, _FIELD.TYPE_UINT32, "many"),
            ("sprite", 5, _FIELD.TYPE_MESSAGE, ".SpriteMetadata"),
            ("tensor_path", 6, _FIELD.TYPE_STRING, ""),
        ],
        "ProjectorConfig": [
            ("model_checkpoint_path", 1, _FIELD.TYPE_STRING, ""),
            ("embeddings", 2, _FIELD.TYPE_MESSAGE, ".EmbeddingInfo many"),
        ],
    }
    for name, members in fields.items():
        message = file.message_type.add(name=name)
        for member, number, kind, note in members:
            field = message.field.add(name=member, number=number, type=kind)
            field.label = _FIELD.LABEL_REPEATED if "many" in note else _FIELD.LABEL_OPTIONAL
            if note.startswith("."):
                field.type_name = note.split()[0]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    config = message_factory.GetMessageClass(pool.FindMessageTypeByName("ProjectorConfig"))()
    return text_format.Merge(text, config)


def export(run: pathlib.Path, directory: pathlib.Path) -> int:
    return search.main([str(run), "--export_projector", str(directory)])


def read_metadata(path: pathlib.Path) -> list[dict[str, str]]:
    """Reads as data-provider.ts does: lines, then tabs; the first line names the columns."""
    lines = [line.split("\t") for line in path.read_text().split("\n") if line.strip()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def test_vectors_names_and_pictures_belong_together(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    colours = write_photos(tmp_path / "photos" / "cat", 10)
    hostile = tmp_path / "photos" / "a\tdog\n"
    colours |= write_photos(hostile, 3)
    (hostile / "photo-002.png").rename(hostile / "x\r\ty\n.png")
    flags = ["--input", str(tmp_path / "photos"), "--image_id_from", "relative_path"]
    assert run_embed(mean_color, tmp_path / "run", *flags) == 0
    (tmp_path / "photos" / "cat" / "photo-004.png").unlink()
    capsys.readouterr()
    assert export(tmp_path / "run", tmp_path / "projector") == 0
    text = capsys.readouterr().out
    assert "projector 13 images" in text
    assert "1 of them are gone or damaged" in text
    assert f"tensorboard --logdir {tmp_path / 'projector'}" in text

    config = read_config((tmp_path / "projector" / "projector_config.pbtxt").read_text())
    (embedding,) = config.embeddings
    assert list(embedding.tensor_shape) == [13, 3]
    lines = (tmp_path / "projector" / embedding.tensor_path).read_text().splitlines()
    vectors = np.array([[float(cell) for cell in line.split("\t")] for line in lines], np.float32)
    metadata = read_metadata(tmp_path / "projector" / embedding.metadata_path)
    table = read(tmp_path / "run")
    ids = [row["image_id"].replace("\\t", "\t").replace("\\n", "\n") for row in metadata]
    order = np.argsort([image_id.replace("\\r", "\r") for image_id in ids])
    np.testing.assert_array_equal(vectors[order], vectors_of(table))
    assert {row["parent_dir"] for row in metadata} == {"cat", "a\\tdog\\n"}

    sheet = PIL.Image.open(tmp_path / "projector" / embedding.sprite.image_path)
    assert sheet.format == "PNG"
    assert sheet.width == sheet.height == 4 * 64
    width, height = embedding.sprite.single_image_dim
    pixels = np.asarray(sheet)
    for place, (row, vector) in enumerate(zip(metadata, vectors, strict=True)):
        down, right = divmod(place, sheet.width // width)
        pixel = pixels[down * height + height // 2, right * width + width // 2]
        wanted = vector * 255
        if row["image_id"] == "cat/photo-004.png":
            wanted = np.full(3, 128)
        np.testing.assert_allclose(pixel, wanted, atol=6)


def test_carried_labels_are_columns_to_colour_by(tmp_path: pathlib.Path, mean_color: str) -> None:
    images = [(path).read_bytes() for path in _photos(tmp_path, 6)]
    write_examples(tmp_path / "in.tfrecord", images)
    flags = ["--input", str(tmp_path / "in.tfrecord"), "--carry_columns", "label"]
    assert run_embed(mean_color, tmp_path / "run", *flags) == 0
    assert export(tmp_path / "run", tmp_path / "projector") == 0
    metadata = read_metadata(tmp_path / "projector" / "metadata.tsv")
    assert [row["label"] for row in metadata] == list("012345")
    assert list(metadata[0]) == ["image_id", "parent_dir", "label"]


def test_a_list_that_lacks_an_entry_is_shown_without_it(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    images = [path.read_bytes() for path in _photos(tmp_path, 3)]
    table = pa.table({"image": images, "tags": [["red", None], None, ["a", "b"]]})
    pq.write_table(table, tmp_path / "in.parquet")
    flags = ["--input", str(tmp_path / "in.parquet"), "--carry_columns", "tags"]
    assert run_embed(mean_color, tmp_path / "run", *flags) == 0
    assert export(tmp_path / "run", tmp_path / "projector") == 0
    metadata = read_metadata(tmp_path / "projector" / "metadata.tsv")
    assert [row["tags"] for row in metadata] == ["red", "", "a, b"]


def test_the_directory_is_whole_or_not_there(
    tmp_path: pathlib.Path, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "photos", 2)
    assert run_embed(mean_color, tmp_path / "run", "--input", str(tmp_path / "photos")) == 0
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for directory, message in (
        (tmp_path / "full", "is not empty"),
        (tmp_path / "full" / "file", "cannot be a directory"),
        (pathlib.Path("gs://bucket/x"), "not on this machine"),
        (tmp_path / "run" / "projector", "in the run"),
    ):
        uri = str(directory).replace("gs:/b", "gs://b")
        assert search.main([str(tmp_path / "run"), "--export_projector", uri]) == 2
        assert message in capsys.readouterr().err
    os.mkdir(tmp_path / "empty")
    assert export(tmp_path / "run", tmp_path / "empty") == 0
    assert len(list((tmp_path / "empty").iterdir())) == 4
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"photos", "run", "full", "empty"}


def test_sheets_fit_a_texture() -> None:
    for count, side in ((1, 64), (4096, 64), (4097, 63), (MAX_POINTS, 40)):
        assert SpriteSheet(count).side_pixels == side
    sheet = SpriteSheet(3)
    for _ in range(3):
        sheet.add(Thumbnail(b"", "gone"))
    assert sheet.absent == 3


def _photos(folder: pathlib.Path, count: int) -> list[pathlib.Path]:
    write_photos(folder / "photos", count)
    return sorted((folder / "photos").iterdir())
