"""The output, read with what people use; vectors arrive without passing through Python lists."""

import json
import pathlib

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.models import save_mean_color
from tests.runs import run_embed, write_photos

COUNT = 40


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with one run in Parquet and one in TFRecord, of the same images."""
    folder = tmp_path_factory.mktemp("runs")
    save_mean_color(str(folder / "model"))
    write_photos(folder / "photos", COUNT)
    for output_format in ("parquet", "tfrecord"):
        argv = ["--input", str(folder / "photos"), "--image_id_from", "filename"]
        argv += ["--output_format", output_format]
        assert run_embed(str(folder / "model"), folder / output_format, *argv) == 0
    return folder


def expected() -> npt.NDArray[np.float64]:
    return np.array([[n, 7 * n % 256, 255 - n] for n in range(COUNT)]) / 255


def test_pyarrow(runs: pathlib.Path) -> None:
    paths = sorted(str(path) for path in (runs / "parquet").glob("*.parquet"))
    table = pq.read_table(paths).sort_by("image_id")
    column = table["embedding"].combine_chunks()
    vectors = column.flatten().to_numpy(zero_copy_only=True).reshape(len(column), -1)
    np.testing.assert_allclose(vectors, expected(), atol=2e-5)


def test_numpy_without_a_copy(runs: pathlib.Path) -> None:
    path = next((runs / "parquet").glob("*.parquet"))
    column = pq.read_table(path, columns=["embedding"])["embedding"].chunk(0)
    vectors = np.frombuffer(column.values.buffers()[1], np.float32).reshape(
        -1, column.type.list_size
    )
    assert np.shares_memory(vectors, column.values.to_numpy(zero_copy_only=True))
    assert vectors.shape == (len(column), 3)


def test_a_pyarrow_dataset(runs: pathlib.Path) -> None:
    files = sorted(str(path) for path in (runs / "parquet").glob("*.parquet"))
    dataset = pyarrow.dataset.dataset(files)
    assert dataset.count_rows() == COUNT
    assert dataset.schema.field("embedding").type.list_size == 3


def test_pandas(runs: pathlib.Path) -> None:
    frame = pd.read_parquet(sorted((runs / "parquet").glob("*.parquet"))).sort_values("image_id")
    np.testing.assert_allclose(np.stack(frame["embedding"]), expected(), atol=2e-5)
    assert frame["image_id"].iloc[3] == "photo-003.png"


def test_duckdb(runs: pathlib.Path) -> None:
    query = f"SELECT image_id, embedding FROM '{runs}/parquet/*.parquet' ORDER BY image_id"
    columns = duckdb.connect().execute(query).fetchnumpy()
    np.testing.assert_allclose(np.stack(list(columns["embedding"])), expected(), atol=2e-5)
    nearest = (
        duckdb.connect()
        .execute(
            f"SELECT image_id FROM '{runs}/parquet/*.parquet' "
            "ORDER BY list_distance(embedding, [0, 0, 1]::FLOAT[]) LIMIT 1"
        )
        .fetchall()
    )
    assert nearest == [("photo-000.png",)]


def test_tf_data(runs: pathlib.Path) -> None:
    files = tf.data.Dataset.list_files(f"{runs}/tfrecord/*.tfrecord", shuffle=False)
    features = {
        "image_id": tf.io.FixedLenFeature([], tf.string),
        "embedding": tf.io.FixedLenFeature([3], tf.float32),
    }
    rows = (
        tf.data.TFRecordDataset(files)
        .batch(COUNT)
        .map(lambda batch: tf.io.parse_example(batch, features))
    )
    (batch,) = rows.as_numpy_iterator()
    order = np.argsort(batch["image_id"])
    np.testing.assert_allclose(batch["embedding"][order], expected(), atol=2e-5)


def test_the_run_describes_itself(runs: pathlib.Path) -> None:
    record = json.loads((runs / "parquet" / "run.json").read_text())
    assert record["program"] == "embed"
    assert record["model"]["output_dim"] == 3
    assert record["preprocessing"]["image_size"] == [24, 24]
    assert record["config"]["image_id_from"] == "filename"
    assert sum(file["rows"] for file in record["files"]) == COUNT
    for file in record["files"]:
        assert (runs / "parquet" / file["path"]).stat().st_size == file["size_bytes"]
