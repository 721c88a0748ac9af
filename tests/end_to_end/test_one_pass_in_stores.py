"""Several runs in one pass whose images and outputs are in object stores, one unlike another."""

import json
import pathlib
from typing import Any

import pytest

from pipelines import one_pass
from tests.end_to_end.test_one_pass import run_alone, write_files
from tests.support.buckets import Bucket, put_photos
from tests.support.cloud import Cloud
from tests.support.runners import prism_flags
from tests.support.runs import contents
from tests.support.s3 import S3Bucket


def latest(bucket: Bucket) -> str:
    """Returns the run that LATEST names, below the bucket."""
    return f"root/{bucket.get('root/LATEST').decode().strip()}"


def check(bucket: Bucket, run: str, expected: dict[str, bytes]) -> None:
    """Checks that a run says of its images what another does."""
    assert f"{run}/_SUCCESS" in bucket.names(run)
    assert {name: bucket.get(f"{run}/{name}") for name in expected} == expected


@pytest.mark.parametrize("runner", ["here", "prism"])
def test_runs_in_two_stores_and_on_disk_share_a_pass(
    runner: str,
    s3: S3Bucket,
    cloud: Cloud,
    mean_color: str,
    logits: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put_photos(s3, 40)
    s3.put("photos/broken.png", b"no image")
    shared = {"input": [f"{s3.uri}/photos"], "rows_per_file": 12, "batch_size": 4, "resume": True}
    vectors = {"program": "embed", "model": mean_color, **shared}
    labels = {"program": "classify", "model": logits, "top_k": 2, **shared}
    places: dict[str, dict[str, Any]] = {
        "nightly": {**vectors, "output_root": f"{cloud.uri}/root"},
        "labels": {**labels, "output": f"{s3.uri}/labels", "max_failed_fraction": 0.0},
        "disk": {**vectors, "normalize": "l2", "output": str(tmp_path / "disk")},
    }
    alone = {"nightly": vectors, "labels": labels, "disk": {**vectors, "normalize": "l2"}}
    flags = ["--json", *(prism_flags() if runner == "prism" else ())]

    def run_pass() -> list[str]:
        capsys.readouterr()
        one_pass.main(["--config", *write_files(tmp_path / "files", places), *flags])
        return [run["status"] for run in json.loads(capsys.readouterr().out)["runs"]]

    assert run_pass() == ["published", "refused", "published"]
    assert "labels/_SUCCESS" not in s3.names("labels/")
    run_alone(tmp_path / "first", {name: alone[name] for name in ("nightly", "disk")})
    assert contents(tmp_path / "disk") == contents(tmp_path / "first" / "disk")
    check(cloud, latest(cloud), contents(tmp_path / "first" / "nightly"))

    s3.put("photos/new.png", s3.get("photos/007.png"))
    del places["labels"]["max_failed_fraction"], places["disk"]
    assert run_pass() == ["published", "published"]
    run_alone(tmp_path / "second", {name: alone[name] for name in ("nightly", "labels")})
    check(cloud, latest(cloud), contents(tmp_path / "second" / "nightly"))
    check(s3, "labels", contents(tmp_path / "second" / "labels"))
