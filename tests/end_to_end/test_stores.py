"""Runs in every store of objects: the same promises, and the same bytes."""

import json
import pathlib

import pyarrow.parquet as pq
import pytest

from pipelines import diff, embed, refresh, report, verify
from tests.support.buckets import Bucket, ids_in, put_photos
from tests.support.runs import solid
from tests.support.tars import write_tar
from transforms.errors import OutputError
from transforms.lifecycle.lock import run_lock
from transforms.lifecycle.owner import this_process


def test_images_and_a_model_in_a_store_give_what_local_ones_do(
    bucket: Bucket, mean_color: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put_photos(bucket, 10)
    for path in pathlib.Path(mean_color).rglob("*"):
        if path.is_file():
            bucket.put(f"model/{path.relative_to(mean_color)}", path.read_bytes())
    for n in range(10):
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / "photos" / f"{n:03d}.png").write_bytes(bucket.get(f"photos/{n:03d}.png"))
    bucket.put("photos/list.txt", b"000.png\n001.png\n")
    columns = ["image_id", "embedding", "content_sha256", "width", "height"]
    tables = []
    for number, (folder, model) in enumerate(
        [(str(tmp_path / "photos"), mean_color), (f"{bucket.uri}/photos", f"{bucket.uri}/model")]
    ):
        output = tmp_path / f"out{number}"
        argv = ["--input", folder, "--model", model, "--output", str(output)]
        assert embed.main([*argv, "--image_id_from", "relative_path"]) == 0
        tables.append(pq.read_table(sorted(output.glob("*.parquet")), columns=columns))
    assert tables[0].equals(tables[1])
    write_tar(tmp_path / "a.tar", {f"a{n}.png": solid(n, 2 * n, 255) for n in range(9)})
    packed = bucket.put("shards/a.tar", (tmp_path / "a.tar").read_bytes())
    argv = ["--manifest", f"{bucket.uri}/photos/list.txt", "--model", mean_color]
    assert embed.main([*argv, "--input", packed, "--output", f"{bucket.uri}/out"]) == 0
    listed = [f"{bucket.uri}/photos/00{n}.png" for n in range(2)]
    assert ids_in(bucket, "out", tmp_path) == sorted([*listed, *(f"a{n}" for n in range(9))])
    capsys.readouterr()
    argv[1] = f"{bucket.uri}/nothing/"
    assert embed.main(["--input", *argv[1:], "--output", f"{bucket.uri}/none"]) == 2
    assert "no such file or directory" in capsys.readouterr().err


def test_a_refresh_reads_what_is_new_and_is_reported_and_compared(
    bucket: Bucket, mean_color: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uris = put_photos(bucket, 40)
    bucket.put("canaries/a.png", solid(1, 2, 3))
    bucket.put("photos/broken.png", b"no image")
    argv = ["--input", f"{bucket.uri}/photos", "--model", mean_color, "--keep", "2"]
    argv += ["--output_root", f"{bucket.uri}/root", "--canaries", f"{bucket.uri}/canaries"]
    assert refresh.main([*argv, "--write_canaries"]) == 0
    first = bucket.get("root/LATEST").decode().strip()
    bucket.put("photos/001.png", solid(9, 9, 9))
    bucket.delete("photos/002.png")
    bucket.put("photos/new.png", solid(8, 8, 8))
    bucket.requests.clear()
    assert refresh.main(argv) == 0
    read = {
        n
        for n in range(40)
        if any(r.startswith("GET") and f"{n:03d}.png" in r for r in bucket.requests)
    }
    assert read == {1}
    second = bucket.get("root/LATEST").decode().strip()
    assert first < second
    changes = json.loads(bucket.get(f"root/{second}/_run.json"))["changes"]
    assert {name: count for name, count in changes.items() if count} == {
        "new": 1, "changed": 1, "unchanged": 39, "deleted": 1, "reused": 38,
    }  # fmt: skip
    expected = sorted([*uris[:2], *uris[3:], f"{bucket.uri}/photos/new.png"])
    assert ids_in(bucket, f"root/{second}", tmp_path) == expected
    assert verify.main([f"{bucket.uri}/root"]) == 0

    retried = ["--retry_failed", f"{bucket.uri}/root/{second}", "--model", mean_color]
    bucket.put("photos/broken.png", solid(7, 7, 7))
    assert embed.main([*retried, "--output", f"{bucket.uri}/retried"]) == 0
    assert f"{bucket.uri}/photos/broken.png" in ids_in(bucket, "retried", tmp_path)

    capsys.readouterr()
    runs = [f"{bucket.uri}/root/{name}" for name in (first, second)]
    assert diff.main([*runs, "--output", f"{bucket.uri}/pages/diff.html"]) == 0
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert [said[name] for name in ("unchanged", "changed", "added", "removed")] == [
        "38", "1", "1", "1",
    ]  # fmt: skip
    assert report.main([runs[1], "--output", f"{bucket.uri}/pages/report.html"]) == 0
    assert b"data:image/" in bucket.get("pages/report.html")


def test_a_lock_is_held_by_one(bucket: Bucket) -> None:
    staging = f"{bucket.uri}/out/_staging"
    with run_lock(staging, this_process("11111111", "embed")):
        with (
            pytest.raises(OutputError, match=r"run 11111111 of pipelines\.embed .*sign of life"),
            run_lock(staging, this_process("2", "embed")),
        ):
            pass
        assert bucket.names("out/") == ["out/_staging/lock.json"]
    assert not bucket.names("out/")


def test_what_cannot_be_listed_or_written_is_one_line(
    bucket: Bucket, mean_color: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(solid(1, 2, 3))
    scheme = bucket.uri.partition(":")[0]
    bucket.put("p/a.png", solid(1, 2, 3))
    for name in (f"{scheme}://no-such-bucket-here", bucket.uri):
        is_closed = name == bucket.uri
        if is_closed:
            bucket.close()
        lines = {
            f"--output {name}/out cannot be written: ": ["--input", str(tmp_path), "--output"],
            f"--input '{name}/p' cannot be listed: "
            + (f"{name} is closed: " if is_closed else f"there is no bucket {name}; check the "): [
                "--output",
                str(tmp_path / "out"),
                "--input",
            ],
        }
        for expected, argv in lines.items():
            place = f"{name}/out" if argv[-1] == "--output" else f"{name}/p"
            assert embed.main(["--model", mean_color, *argv, place]) == 2
            error = capsys.readouterr().err
            assert expected in error
            assert len(error.splitlines()) == 1
            assert "http" not in error
