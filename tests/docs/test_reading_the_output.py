"""docs/reading_the_output.md, run as it stands: the page has the programs, this what they leave."""

import json
import pathlib
import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.models import save_logits, save_output
from tests.support.reading_page import BLOCKS, COMMANDS, PAGE, after, run
from tests.support.runs import write_photos

COUNT, DIM, NEAREST = 40, 1280, 5
TRUE_TYPE = pa.list_(pa.float32(), DIM)


class Rows(NamedTuple):
    """What a run holds, read value by value, in order of files and rows."""

    ids: list[str]
    cameras: list[str]
    vectors: npt.NDArray[np.float32]

    def nearest(self, row: int) -> list[str]:
        """Returns the ids of the rows most like a row, itself first."""
        scores = self.vectors.astype(np.float64) @ self.vectors[row].astype(np.float64)
        order = np.argsort(-scores)[:NEAREST]
        assert np.diff(-scores[order]).min() > 1e-5  # Apart enough for float32.
        return [self.ids[index] for index in order]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with the page's two runs, of 40 photos and one image that fails, in four files."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("reading")
    colours = write_photos(folder / "photos", COUNT)
    (folder / "photos" / "bad.png").write_bytes(b"no image")
    cameras = {name: ("left", "right")[n % 2] for n, name in enumerate([*colours, "bad.png"])}
    lines = ["uri,camera", *(f"photos/{name},{camera}" for name, camera in cameras.items())]
    (folder / "images.csv").write_text("\n".join(lines))
    kernel = tf.constant(projection(), tf.float32)
    save_output(folder / "features", lambda images: tf.reduce_mean(images, [1, 2]) @ kernel)
    save_logits(folder / "classifier", labels=["red", "green", "blue"])
    for command in COMMANDS:
        run(folder, command)
    return folder


@pytest.fixture(scope="module")
def tfrecord_folder(folder: pathlib.Path) -> pathlib.Path:
    """A folder with the same embeddings in TFRecord."""
    return again(folder, "tfrecord", "--output_format", "tfrecord")


@pytest.fixture(scope="module")
def half_folder(folder: pathlib.Path) -> pathlib.Path:
    """A folder with the same embeddings in float16."""
    return again(folder, "half", "--embedding_dtype", "float16")


def again(folder: pathlib.Path, name: str, *flags: str) -> pathlib.Path:
    """Embeds the photos once more, with other flags."""
    command = COMMANDS[0].replace("--output vectors/", f"--output {name}/vectors/")
    run(folder, command, *flags)
    return folder / name


@pytest.fixture(scope="module")
def rows(folder: pathlib.Path) -> Rows:
    paths = sorted((folder / "vectors").glob("*.parquet"))
    assert len(paths) == 4
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    vectors = np.array([row["embedding"] for row in rows], np.float32)
    return Rows([row["image_id"] for row in rows], [row["camera"] for row in rows], vectors)


def projection() -> npt.NDArray[np.float64]:
    """Returns the model's weights, [3, 1280]."""
    return np.random.default_rng(0).normal(size=(3, DIM))


def assert_vectors(vectors: object, rows: Rows) -> None:
    """Checks that vectors are one float32 matrix, equal to the run's bit for bit and in order."""
    assert isinstance(vectors, np.ndarray)
    assert vectors.dtype == np.float32
    assert vectors.shape == (COUNT, DIM)
    np.testing.assert_array_equal(vectors, rows.vectors)


def test_the_page_and_these_tests_name_the_same() -> None:
    libraries = ["NumPy", "PyArrow", "pandas", "Polars", "DuckDB", "LanceDB", "faiss", "tf.data"]
    assert list(BLOCKS) == [
        "The directory as it is",
        *libraries,
        "Labels in DuckDB",
        "Labels in Polars",
    ]
    assert PAGE.count("```python") == len(BLOCKS)
    readme = pathlib.Path(__file__).parents[2].joinpath("README.md").read_text()
    assert f"```python\n{BLOCKS['NumPy']}```" in readme


def test_the_run_is_what_the_model_says(rows: Rows) -> None:
    numbers = np.array([int(name[6:9]) for name in rows.ids])
    assert sorted(numbers) == list(range(COUNT))
    assert rows.cameras == [("left", "right")[number % 2] for number in numbers]
    colours = np.stack([numbers, 7 * numbers % 256, 255 - numbers], axis=1) / 255
    wanted = colours @ projection()
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(rows.vectors, wanted, atol=1e-5)


def test_the_directory_as_it_is(folder: pathlib.Path, rows: Rows) -> None:
    assert (folder / "vectors" / "_failures.jsonl").read_text()
    of_pandas = "frame['embedding'].list.flatten().to_numpy()"
    of_pyarrow = "table['embedding'].combine_chunks().flatten().to_numpy()"
    of_datasets = "images.with_format('numpy')['embedding'][:].reshape(-1)"
    names = ["list(frame['image_id'])", "table['image_id'].to_pylist()", "list(images['image_id'])"]
    left = after(
        folder, BLOCKS["The directory as it is"], *names, of_pandas, of_pyarrow, of_datasets
    )
    for ids, vectors in zip(left[:3], left[3:], strict=True):
        assert ids == rows.ids
        assert_vectors(vectors.reshape(-1, DIM), rows)


def test_datasets_reads_a_run_of_one_file(tmp_path: pathlib.Path, folder: pathlib.Path) -> None:
    """It reads what most of the files are: a draw, of which Parquet is the favourite."""
    record = json.loads((folder / "vectors" / "_run.json").read_text())
    for name in ("_run.json", "_failures.jsonl", "_SUCCESS", record["files"][0]["path"]):
        copy = tmp_path / "vectors" / name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes((folder / "vectors" / name).read_bytes())
    inputs = record["files"][0]["inputs"]["path"]
    (tmp_path / "vectors" / "_inputs").mkdir()
    (tmp_path / "vectors" / inputs).write_bytes((folder / "vectors" / inputs).read_bytes())
    (count,) = after(tmp_path, BLOCKS["The directory as it is"], "len(images)")
    assert count == record["files"][0]["rows"]


def test_numpy(folder: pathlib.Path, rows: Rows) -> None:
    ids, vectors, is_view = after(
        folder,
        BLOCKS["NumPy"],
        "ids",
        "vectors",
        "not (vectors.flags.owndata or vectors.flags.writeable)",
    )
    assert list(ids) == rows.ids
    assert_vectors(vectors, rows)
    assert is_view


def test_pyarrow(folder: pathlib.Path, rows: Rows) -> None:
    table, model = after(folder, BLOCKS["PyArrow"], "table", "model")
    left = np.array(rows.cameras) == "left"
    assert table.schema.field("embedding").type == TRUE_TYPE
    assert table["image_id"].to_pylist() == list(np.array(rows.ids)[left])
    vectors = table["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, DIM)
    np.testing.assert_array_equal(vectors, rows.vectors[left])
    assert model == "features/"


def test_pandas(folder: pathlib.Path, rows: Rows) -> None:
    ids, kind, vectors = after(
        folder,
        BLOCKS["pandas"],
        "list(frame['image_id'])",
        "frame['embedding'].dtype.pyarrow_dtype",
        "vectors",
    )
    assert ids == rows.ids
    assert kind == TRUE_TYPE
    assert_vectors(vectors, rows)


def test_pandas_without_arrow(folder: pathlib.Path, rows: Rows) -> None:
    block = BLOCKS["pandas"].split("vectors = ")[0].replace(', dtype_backend="pyarrow"', "")
    stacked, kind = after(
        folder,
        f"import numpy as np\n{block}",
        re.findall(r"`(np\.stack.*?)`", PAGE)[0],
        "frame['embedding'].dtype",
    )
    assert kind == np.dtype("O")
    assert_vectors(stacked, rows)


def test_polars(folder: pathlib.Path, rows: Rows) -> None:
    ids, kind, vectors = after(
        folder,
        BLOCKS["Polars"],
        "frame['image_id'].to_list()",
        "str(frame.schema['embedding'])",
        "vectors",
    )
    assert ids == rows.ids
    assert kind == f"Array(Float32, shape=({DIM},))"
    assert_vectors(vectors, rows)


def test_duckdb(folder: pathlib.Path, rows: Rows) -> None:
    as_read = "duckdb.sql(\"SELECT embedding FROM 'vectors/*.parquet'\")"
    ids, kinds, nearest, vectors, arrow = after(
        folder,
        BLOCKS["DuckDB"],
        "images.fetchnumpy()['image_id']",
        f"[str(kind) for kind in {as_read}.types + images.types]",
        "nearest",
        "vectors",
        "images.to_arrow_table()",
    )
    assert list(ids) == rows.ids
    assert kinds == ["FLOAT[]", "VARCHAR", f"FLOAT[{DIM}]"]
    assert [name for name, _ in nearest] == rows.nearest(rows.ids.index("photo-037.png"))
    assert nearest[0][1] == pytest.approx(1, abs=1e-6)
    assert_vectors(vectors, rows)
    kind = arrow.schema.field("vector").type
    assert (kind.value_type, kind.list_size) == (pa.float32(), DIM)


def test_duckdb_checks_the_length(folder: pathlib.Path) -> None:
    block = BLOCKS["DuckDB"].replace(f"[{DIM}]", "[1281]")
    with pytest.raises(AssertionError, match="Cannot cast list with length 1280 to array"):
        after(folder, block, "nearest")


def test_duckdb_without_a_cast(folder: pathlib.Path, rows: Rows) -> None:
    block = BLOCKS["DuckDB"].replace(f"::FLOAT[{DIM}]", "").replace("array_cosine", "list_cosine")
    nearest, columns, frame = after(
        folder, block.split("vectors = ")[0], "nearest", "images.fetchnumpy()", "images.df()"
    )
    assert [name for name, _ in nearest] == rows.nearest(rows.ids.index("photo-037.png"))
    assert columns["vector"].dtype == frame["vector"].dtype == np.dtype("O")


def test_lancedb(folder: pathlib.Path, rows: Rows) -> None:
    table, nearest = after(
        folder, BLOCKS["NumPy"] + BLOCKS["LanceDB"], "images.to_arrow()", "nearest"
    )
    assert table["image_id"].to_pylist() == rows.ids
    assert table.schema.field("embedding").type == TRUE_TYPE
    vectors = table["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, DIM)
    np.testing.assert_array_equal(vectors, rows.vectors)
    assert nearest["image_id"].to_pylist() == rows.nearest(0)


def test_faiss(folder: pathlib.Path, rows: Rows) -> None:
    nearest, scores, stored = after(
        folder,
        BLOCKS["NumPy"] + BLOCKS["faiss"],
        "nearest",
        "scores",
        "index.reconstruct_n(0, index.ntotal)",
    )
    assert list(nearest) == rows.nearest(0)
    assert scores[0, 0] == pytest.approx(1, abs=1e-6)
    assert_vectors(stored, rows)


@pytest.mark.parametrize("library", ["NumPy", "pandas", "Polars", "DuckDB"])
def test_float16(half_folder: pathlib.Path, rows: Rows, library: str) -> None:
    (vectors,) = after(half_folder, BLOCKS[library], "vectors")
    assert vectors.dtype == (np.float32 if library == "DuckDB" else np.float16)
    np.testing.assert_array_equal(vectors, rows.vectors.astype(np.float16))


def test_tf_data(tfrecord_folder: pathlib.Path, rows: Rows) -> None:
    shape, batches = after(
        tfrecord_folder,
        BLOCKS["tf.data"],
        "rows.element_spec['embedding'].shape.as_list()",
        "list(rows.as_numpy_iterator())",
    )
    assert shape == [None, DIM]
    assert [name.decode() for batch in batches for name in batch["image_id"]] == rows.ids
    assert_vectors(np.concatenate([batch["embedding"] for batch in batches]), rows)


def test_labels_in_duckdb(folder: pathlib.Path, rows: Rows) -> None:
    names, labels, kind = after(
        folder,
        BLOCKS["Labels in DuckDB"],
        "*best[['image_id', 'label']].T.values",
        "best.score.dtype",
    )
    assert list(names) == rows.ids
    assert list(labels) == [best_label(name) for name in rows.ids]
    assert kind == np.float32


def test_labels_in_polars(folder: pathlib.Path, rows: Rows) -> None:
    names, labels, scores = after(
        folder,
        BLOCKS["Labels in Polars"],
        *(f"classes['{name}'].to_numpy()" for name in ("image_id", "class_label", "score")),
    )
    assert list(names) == [name for name in rows.ids for _ in range(2)]
    assert list(labels[::2]) == [best_label(name) for name in rows.ids]
    assert scores.dtype == np.float32
    assert (scores[::2] >= scores[1::2]).all()


def best_label(name: str) -> str:
    """Returns the classifier's answer: the strongest channel of a photo's colour."""
    number = int(name[6:9])
    channels = {"red": number, "green": 7 * number % 256, "blue": 255 - number}
    return max(channels, key=lambda label: channels[label])


def test_the_run_describes_itself(folder: pathlib.Path) -> None:
    record = json.loads((folder / "vectors" / "_run.json").read_text())
    assert record["program"] == "embed"
    assert record["model"]["output_dim"] == DIM
    assert record["preprocessing"]["image_size"] == [24, 24]
    assert record["config"]["image_id_from"] == "filename"
    assert record["counts"]["failed"] == 1
    assert sum(file["rows"] for file in record["files"]) == COUNT
    for file in record["files"]:
        assert (folder / "vectors" / file["path"]).stat().st_size == file["size_bytes"]
