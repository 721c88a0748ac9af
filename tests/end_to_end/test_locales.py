"""Names of files mean the same whatever the locale of who starts a program."""

import os
import pathlib
import subprocess
import sys

from tests.support.runs import read, solid


def test_names_are_read_in_the_c_locale_too(tmp_path: pathlib.Path, mean_color: str) -> None:
    """As under cron; Python's UTF-8 mode is off, so that it takes names for ASCII."""
    photos = tmp_path / "Fotos für 日本"
    photos.mkdir()
    for name in ("日本.png", "ascii.png", os.fsdecode(b"caf\xe9.png")):
        (photos / name).write_bytes(solid(1, 2, 3))
    argv = ["--input", str(photos), "--model", mean_color, "--output", str(tmp_path / "aus é")]
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.embed", *argv],
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "aus é" in done.stdout.decode()
    assert read(tmp_path / "aus é")["image_id"].to_pylist() == [
        str(photos / "ascii.png"),
        str(photos / "日本.png"),
        (photos / os.fsdecode(b"caf\xe9.png")).as_uri(),
    ]


def test_a_python_that_insists_on_another_encoding_is_not_started_for_ever() -> None:
    code = "from transforms.machine.utf8 import restart_in_utf8; restart_in_utf8(); print('once')"
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", code],
        env={**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == b"once\n"
