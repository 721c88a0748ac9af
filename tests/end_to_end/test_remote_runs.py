"""Runs in an object store, which has no rename: the same promises, kept by _SUCCESS."""

import datetime
import gc
import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import pytest

from pipelines import embed, refresh
from tests.support.buckets import ids_in, put_photos
from tests.support.cloud import Cloud
from tests.support.runs import solid, write_large_photos
from tests.support.s3 import S3Bucket
from tests.support.tars import write_tar
from transforms.errors import OutputError, RunError
from transforms.files.atomic_files import is_intact
from transforms.lifecycle import lock
from transforms.lifecycle.lock import DEAD_SECONDS, living_owner, run_lock
from transforms.lifecycle.owner import this_process
from transforms.records import WrittenFile


def record_of(cloud: Cloud, run: str) -> dict[str, dict[str, int]]:
    return json.loads(cloud.get(f"{run}/_run.json"))


def latest(cloud: Cloud) -> str:
    return f"root/{cloud.get('root/LATEST').decode().strip()}"


def test_a_run_is_published_replaced_and_leaves_no_staging(
    cloud: Cloud, mean_color: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uris = put_photos(cloud, 40)
    argv = ["--input", f"{cloud.uri}/photos", "--model", mean_color]
    argv += ["--output", f"{cloud.uri}/out/"]
    assert embed.main(argv) == 0
    assert ids_in(cloud, "out", tmp_path) == uris
    names = [
        "_SUCCESS",
        "_failures.jsonl",
        *(f"_inputs/{n:05d}-of-00002.arrow" for n in range(2)),
        "_run.json",
        *(f"embeddings-{n:05d}-of-00002.parquet" for n in range(2)),
    ]
    assert cloud.names("out/") == [f"out/{name}" for name in names]
    assert embed.main(argv) == 2
    assert "holds a published run" in capsys.readouterr().err
    cloud.delete("photos/000.png")
    assert embed.main([*argv, "--overwrite"]) == 0
    assert ids_in(cloud, "out", tmp_path) == uris[1:]
    assert cloud.names("out/") == [f"out/{name}" for name in names]
    capsys.readouterr()
    assert embed.main([*argv, "--resume"]) == 0
    assert "there is nothing to resume" in capsys.readouterr().out
    assert embed.main([*argv, "--resume", "--overwrite"]) == 0


def test_a_refused_run_is_finished_from_its_commit_records(
    cloud: Cloud, mean_color: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uris = put_photos(cloud, 40)
    cloud.put("photos/broken.png", b"no image")
    argv = ["--input", f"{cloud.uri}/photos", "--model", mean_color]
    argv += ["--output", f"{cloud.uri}/out"]
    assert embed.main([*argv, "--max_failed_fraction", "0"]) == 1
    assert "out/_SUCCESS" not in cloud.names("out/")
    attempts = {name for name in cloud.names("out/_staging/") if name.endswith(".parquet")}
    assert len(attempts) == 2
    assert embed.main(argv) == 2
    assert "(2 shards done)" in capsys.readouterr().err
    cloud.requests.clear()
    assert embed.main([*argv, "--resume"]) == 0
    assert not any("photos%2F000.png" in request for request in cloud.requests), "not read again"
    assert ids_in(cloud, "out", tmp_path) == uris
    assert not cloud.names("out/_staging/")


def test_a_refresh_goes_by_generation_and_checksum(
    cloud: Cloud, mean_color: str, tmp_path: pathlib.Path
) -> None:
    uris = put_photos(cloud, 40)
    argv = ["--input", f"{cloud.uri}/photos", "--model", mean_color, "--keep", "2"]
    argv += ["--output_root", f"{cloud.uri}/root"]
    assert refresh.main(argv) == 0
    cloud.put("photos/000.png", solid(0, 0, 255))  # Another generation of the same bytes.
    cloud.put("photos/001.png", solid(9, 9, 9))
    cloud.delete("photos/002.png")
    cloud.put("photos/new.png", solid(8, 8, 8))
    cloud.requests.clear()
    assert refresh.main(argv) == 0
    read = {n for n in range(40) if any(f"photos%2F{n:03d}.png" in r for r in cloud.requests)}
    assert read == {0, 1}
    changes = record_of(cloud, latest(cloud))["changes"]
    assert {name: count for name, count in changes.items() if count} == {
        "new": 1, "changed": 1, "unchanged": 38, "deleted": 1, "reused": 38,
    }  # fmt: skip
    expected = sorted([*uris[:2], *uris[3:], f"{cloud.uri}/photos/new.png"])
    assert ids_in(cloud, latest(cloud), tmp_path) == expected
    assert refresh.main(argv) == 0
    assert record_of(cloud, latest(cloud))["changes"]["unchanged"] == 40
    runs = {name.split("/")[1] for name in cloud.names("root/")}
    assert len(runs) == 3, "LATEST and two runs"


def test_tar_files_are_read_where_they_are(
    cloud: Cloud, mean_color: str, tmp_path: pathlib.Path
) -> None:
    for name in ("a.tar", "b.tgz"):
        members = {f"{name[0]}{n:02d}.png": solid(n, 2 * n, 255) for n in range(40)}
        write_tar(tmp_path / name, members)
        cloud.put(f"shards/{name}", (tmp_path / name).read_bytes())
    # A compressed one counts only where it is named.
    named = ["--input", f"{cloud.uri}/shards", f"{cloud.uri}/shards/*.tgz"]
    assert embed.main([*named, "--output", f"{cloud.uri}/out", "--model", mean_color]) == 0
    assert ids_in(cloud, "out", tmp_path) == [f"{file}{n:02d}" for file in "ab" for n in range(40)]


@pytest.mark.parametrize("program", [embed, refresh])
def test_a_bucket_that_is_missing_or_closed_is_one_line(
    cloud: Cloud,
    mean_color: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    program: ModuleType,
) -> None:
    (tmp_path / "a.png").write_bytes(solid(1, 2, 3))
    flag = "--output" if program is embed else "--output_root"
    argv = ["--input", str(tmp_path), "--model", mean_color, flag]
    for bucket in ("gs://no-such-bucket-here", cloud.uri):
        if bucket == cloud.uri:
            cloud.close()
        assert program.main([*argv, f"{bucket}/out"]) == 2
        error = capsys.readouterr().err
        assert f"{flag} {bucket}/out cannot be written: " in error
        assert len(error.splitlines()) == 1


def test_a_lock_is_held_by_one_and_a_silent_one_is_dead(cloud: Cloud) -> None:
    staging = f"{cloud.uri}/out/_staging"
    with run_lock(staging, this_process("11111111", "embed")):
        with (
            pytest.raises(OutputError, match=r"run 11111111 of pipelines\.embed .*sign of life"),
            run_lock(staging, this_process("2", "embed")),
        ):
            pass
        holder = json.loads(cloud.get("out/_staging/lock.json"))
        seen = datetime.datetime.fromisoformat(holder["seen_at"])
        long_ago = seen - datetime.timedelta(seconds=DEAD_SECONDS + 1)
        silent = {**holder, "seen_at": long_ago.isoformat()}
        assert living_owner(staging) is not None
        cloud.put("out/_staging/lock.json", json.dumps(silent).encode())
        assert living_owner(staging) is None
        with run_lock(staging, this_process("3", "embed")):
            assert json.loads(cloud.get("out/_staging/lock.json"))["run_id"] == "3"
    assert not cloud.names("out/")


def test_the_lock_of_a_dead_process_of_this_machine_is_taken_at_once(cloud: Cloud) -> None:
    staging = f"{cloud.uri}/out/_staging"
    owner = this_process("1", "embed")
    fields = {name: getattr(owner, name) for name in owner.__dataclass_fields__}
    now = datetime.datetime.now(datetime.UTC).isoformat()
    for machine, is_taken in ((owner.machine, False), ("another boot", True)):
        held = {**fields, "process": 2**22 + 1, "machine": machine, "seen_at": now}
        cloud.put("out/_staging/lock.json", json.dumps(held).encode())
        assert (living_owner(staging) is not None) == is_taken
        if is_taken:
            with pytest.raises(OutputError), run_lock(staging, this_process("2", "embed")):
                pass
        else:
            with run_lock(staging, this_process("2", "embed")):
                assert json.loads(cloud.get("out/_staging/lock.json"))["run_id"] == "2"


def test_a_lock_that_is_left_to_a_job_is_not_free_though_its_process_is_dead(cloud: Cloud) -> None:
    staging = f"{cloud.uri}/out/_staging"
    owner = this_process("1", "embed")
    fields = {name: getattr(owner, name) for name in owner.__dataclass_fields__}
    held = {**fields, "process": 2**22 + 1, "seen_at": "2026-01-01T00:00:00+00:00"}
    cloud.put("out/_staging/lock.json", json.dumps({**held, "is_handed_over": True}).encode())
    assert living_owner(staging) is not None
    with (
        pytest.raises(OutputError, match="left its work to a Dataflow job"),
        run_lock(staging, this_process("2", "embed")),
    ):
        pass


def test_a_lock_that_another_took_is_left_alone(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "SIGN_OF_LIFE_SECONDS", 0.05)
    staging = f"{cloud.uri}/out/_staging"
    with run_lock(staging, this_process("1", "embed")):
        other = {**json.loads(cloud.get("out/_staging/lock.json")), "run_id": "2"}
        cloud.put("out/_staging/lock.json", json.dumps(other).encode())
        time.sleep(0.3)
        assert json.loads(cloud.get("out/_staging/lock.json")) == other
    assert json.loads(cloud.get("out/_staging/lock.json")) == other


def test_a_process_that_is_told_to_end_lets_go_of_its_lock(
    s3: S3Bucket, mean_color: str, tmp_path: pathlib.Path
) -> None:
    photos = tmp_path / "photos"
    write_large_photos(photos, 400)
    argv = ["--model", mean_color, "--input", str(photos), "--output", f"{s3.uri}/out"]
    command = [sys.executable, "-m", "pipelines.embed", *argv, "--batch_size", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 300
            while not any(name.endswith(".begun") for name in s3.names("out/_staging/")):
                assert time.monotonic() < deadline, "no shard was begun"
                assert process.poll() is None, process.communicate()
                time.sleep(0.05)
            assert s3.names("out/_staging/lock.json")
            process.terminate()
            _, error = process.communicate(timeout=300)
        finally:
            process.kill()
    assert process.returncode == 143
    assert "run again with --resume to go on" in error
    assert not s3.names("out/_staging/lock.json")


def test_letting_go_does_not_wait_for_a_store_that_is_down(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LET_GO_SECONDS", 0.5)
    with run_lock(f"{cloud.uri}/out/_staging", this_process("1", "embed")) as hold:
        cloud.be_busy(*[503] * 1000)
        started = time.monotonic()
        hold.let_go()
        assert 0.4 < time.monotonic() - started < 20
        cloud.be_busy()


def test_what_is_no_lock_or_plan_is_one_line(
    cloud: Cloud, mean_color: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put_photos(cloud, 1)
    argv = ["--input", f"{cloud.uri}/photos", "--model", mean_color, "--output"]
    for name, content, said in (
        ("lock.json", b"", "is no lock that a run wrote; see that no run works there, and"),
        ("lock.json", b"[1]", "is no lock that a run wrote"),
        ("plan.json", b'{"run', "is damaged: Unterminated string"),
    ):
        at = f"_staging/{name}"
        cloud.put(f"out/{at}", content)
        assert embed.main([*argv, f"{cloud.uri}/out"]) == 2
        assert f"embed: {cloud.uri}/out/{at} {said}" in capsys.readouterr().err
        cloud.delete(f"out/{at}")


def test_who_may_not_delete_is_told_so_before_any_work(
    s3: S3Bucket, mean_color: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(solid(1, 2, 3))
    application = s3.faults._application

    def refuse(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "DELETE":
            return s3.faults._refuse(environ, start, 403)
        return application(environ, start)

    s3.faults._application = refuse
    try:
        argv = ["--input", str(tmp_path / "a.png"), "--model", mean_color]
        assert embed.main([*argv, "--output", f"{s3.uri}/out"]) == 2
    finally:
        s3.faults._application = application
    assert "whoever runs this may not delete there, and a run deletes" in capsys.readouterr().err
    assert s3.names() == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_a_store_does_not_say_is_no_damage(cloud: Cloud) -> None:
    uri = cloud.put("a.parquet", b"123")
    absent = f"{cloud.uri}/b.parquet"
    assert is_intact(WrittenFile(uri, 3, ""))
    assert not is_intact(WrittenFile(uri, 4, ""))
    assert not is_intact(WrittenFile(absent, 3, ""))
    cloud.close()
    with pytest.raises(RunError, match=f"{uri} cannot be looked at: .*; nothing is published; run"):
        is_intact(WrittenFile(uri, 3, ""))
    gc.collect()
