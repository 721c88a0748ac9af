"""int8 with the run in an object store: its model goes with it, from staging to the next night."""

import json
import pathlib
import shutil

import pytest

from pipelines import refresh
from tests.support.int8 import INT8, LOW, add_photos, calibrate, save_network
from tests.support.runners import prism_flags
from tests.support.runs import contents, run_embed
from tests.support.s3 import S3Bucket
from transforms.runs.directory import INT8_FILE

pytest.importorskip("nncf")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_network(tmp_path_factory.mktemp("models") / "network")


@pytest.fixture(scope="module")
def calibrated(network: str, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return calibrate(network, tmp_path_factory.mktemp("calibrated"))


@pytest.mark.parametrize("runner", ["here", "prism"])
def test_nights_in_a_store_keep_the_model_of_the_first(
    runner: str,
    network: str,
    calibrated: pathlib.Path,
    s3: S3Bucket,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cache, photos, local = tmp_path / "cache", tmp_path / "photos", tmp_path / "local"
    shutil.copytree(calibrated, cache)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    add_photos(photos, range(80))
    argv = ["--input", str(photos), *INT8, *LOW]
    assert run_embed(network, local, *argv) == 0

    (photos / "999.png").write_bytes(b"no image")
    nightly = [*argv, "--model", network, "--output_root", f"{s3.uri}/root", "--resume"]
    nightly += prism_flags() if runner == "prism" else ()
    assert refresh.main([*nightly, "--max_failed_fraction", "0"]) == 1
    (staged,) = (name for name in s3.names("root/") if name.endswith(INT8_FILE))
    assert "_staging/" in staged
    assert s3.get(staged) == (local / INT8_FILE).read_bytes()
    capsys.readouterr()

    shutil.rmtree(cache)
    (photos / "999.png").unlink()
    assert refresh.main(nightly) == 0
    first = latest(s3)
    for name, content in contents(local).items():
        assert s3.get(f"{first}/{name}") == content

    shutil.rmtree(cache, ignore_errors=True)
    add_photos(photos, range(80, 90))
    assert refresh.main(nightly) == 0
    second = latest(s3)
    record = json.loads(s3.get(f"{second}/_run.json"))
    assert (record["inferences_saved"], record["counts"]["written"]) == (80, 90)
    assert "calibrating" not in capsys.readouterr().out
    for run in (first, second):
        assert s3.get(f"{run}/{INT8_FILE}") == (local / INT8_FILE).read_bytes()


def latest(s3: S3Bucket) -> str:
    """Returns the run that LATEST names, below the bucket."""
    return f"root/{s3.get('root/LATEST').decode().strip()}"
