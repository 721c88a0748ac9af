"""An index on disk: found again, and used for its own run alone."""

import json
import pathlib

import numpy as np
import pytest

from tests.support.cloud import Cloud
from tests.support.runs import run_embed, write_photos
from transforms.errors import InputError
from transforms.explore.index_files import (
    Unusable,
    check_index_directory,
    has_index,
    index_directory,
    read_index,
    write_index,
)
from transforms.runs.record import PublishedRun
from transforms.runs.rows import open_run, read_vectors
from transforms.vectors.ann_index import AnnIndex, build_index, plan_index
from transforms.vectors.neighbours import normalize


def make_run(folder: pathlib.Path, model: str, count: int = 30) -> PublishedRun:
    write_photos(folder / "photos", count)
    assert run_embed(model, folder / "run", "--input", str(folder / "photos")) == 0
    return open_run(str(folder / "run"))


def build(run: PublishedRun) -> AnnIndex:
    vectors = read_vectors(run)
    plan = plan_index(*vectors.shape)
    return build_index(plan, vectors[plan.sample], [vectors])


def test_an_index_is_found_again_and_the_run_unchanged(
    tmp_path: pathlib.Path, mean_color: str
) -> None:
    run = make_run(tmp_path, mean_color)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    directory = index_directory(run)
    assert directory == str(tmp_path / "run.index")
    assert read_index(run, directory) is None
    built = build(run)
    written = write_index(built, run, directory, {"add": 0.1234567})
    assert has_index(directory)
    found = read_index(run, directory)
    assert isinstance(found, AnnIndex)
    queries = normalize(read_vectors(run)[:4])
    np.testing.assert_array_equal(found.search(queries, 5).rows, built.search(queries, 5).rows)
    assert (found.kind, found.probes, found.recall) == (built.kind, built.probes, 1.0)
    names = {path.name for path in (tmp_path / "run.index").iterdir()}
    assert names == {"index.json", pathlib.Path(written.path).name}
    after = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert after == before


def test_another_run_in_its_place_does_not_use_it(tmp_path: pathlib.Path, mean_color: str) -> None:
    run = make_run(tmp_path, mean_color)
    write_index(build(run), run, index_directory(run), {})
    old = list((tmp_path / "run.index").glob("*.faiss"))
    flags = ["--input", str(tmp_path / "photos"), "--overwrite"]
    (tmp_path / "photos" / "photo-000.png").unlink()
    assert run_embed(mean_color, tmp_path / "run", *flags) == 0
    again = open_run(str(tmp_path / "run"))
    found = read_index(again, index_directory(again))
    assert isinstance(found, Unusable)
    assert f"of another run, {run.record['run_id']}" in found.reason
    write_index(build(again), again, index_directory(again), {})
    assert isinstance(read_index(again, index_directory(again)), AnnIndex)
    new = list((tmp_path / "run.index").glob("*.faiss"))
    assert len(old) == len(new) == 1
    assert old != new


def test_damage_is_said_and_faiss_never_sees_it(tmp_path: pathlib.Path, mean_color: str) -> None:
    run = make_run(tmp_path, mean_color)
    directory = tmp_path / "run.index"
    write_index(build(run), run, str(directory), {})
    (data,) = directory.glob("*.faiss")
    whole, notes = data.read_bytes(), json.loads((directory / "index.json").read_text())

    def reason(**changes: object) -> str:
        (directory / "index.json").write_text(json.dumps({**notes, **changes}))
        found = read_index(run, str(directory))
        assert isinstance(found, Unusable)
        return found.reason

    data.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "is damaged" in reason()
    assert "sha256" in reason()
    data.unlink()
    assert "cannot be read" in reason()
    data.write_bytes(whole)
    assert "format 99" in reason(index_format_version=99)
    assert "cannot be read" in reason(run=7)
    for path in ("../run/_run.json", "/etc/passwd", "vectors.faiss", 7):
        assert (
            "damaged" in (text := reason(file={**notes["file"], "path": path})) or "cannot" in text
        )
    assert "has 30 vectors" in reason(rows=31)
    (directory / "index.json").write_bytes(b"\xff{")
    found = read_index(run, str(directory))
    assert isinstance(found, Unusable)
    assert "cannot be read" in found.reason
    assert "\n" not in found.reason


def test_other_files_in_the_directory_stay(tmp_path: pathlib.Path, mean_color: str) -> None:
    run = make_run(tmp_path, mean_color)
    mine = tmp_path / "elsewhere" / "mine.faiss"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    for _ in range(2):
        write_index(build(run), run, str(mine.parent), {})
    assert mine.read_bytes() == b"mine"
    assert len(list(mine.parent.iterdir())) == 3


def test_the_run_is_no_place_for_it(tmp_path: pathlib.Path, mean_color: str) -> None:
    run = make_run(tmp_path, mean_color)
    for inside in (run.directory, f"{run.directory}/index"):
        with pytest.raises(InputError, match="never changed"):
            check_index_directory(run, inside)
    check_index_directory(run, index_directory(run))


def test_an_index_on_cloud_storage(cloud: Cloud, tmp_path: pathlib.Path, mean_color: str) -> None:
    run = make_run(tmp_path, mean_color)
    directory = f"{cloud.uri}/run.index"
    assert read_index(run, directory) is None
    write_index(build(run), run, directory, {})
    assert isinstance(read_index(run, directory), AnnIndex)
    write_index(build(run), run, directory, {})
    assert len(cloud.names("run.index/")) == 2
