"""The wheel that setup.py builds: whole, and enough to run programs from elsewhere."""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.support.runs import write_photos

ROOT = pathlib.Path(__file__).parents[2]
PACKAGES = ("pipelines", "transforms")

PROGRAMS = """
import sys, pipelines
from pipelines import embed, report, search
photos, model = sys.argv[1:]
assert "site" in pipelines.__file__, pipelines.__file__
assert embed.main(["--input", photos, "--model", model, "--output", "vectors"]) == 0
assert report.main(["vectors"]) == 0
assert search.main(["vectors", "--image", f"{photos}/photo-001.png"]) == 0
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, source)
    flags = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(built)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *flags, str(source)], check=True)
    (path,) = built.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_has_every_module_and_template(wheel: zipfile.ZipFile) -> None:
    files = (path for name in PACKAGES for path in (ROOT / name).rglob("*.*"))
    wanted = {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc"}
    assert "transforms/explore/templates/report.html" in wanted
    assert wanted == {name for name in wheel.namelist() if name.startswith(PACKAGES)}


def test_programs_run_from_another_directory(
    wheel: zipfile.ZipFile, tmp_path: pathlib.Path, mean_color: str
) -> None:
    wheel.extractall(tmp_path / "site")
    write_photos(tmp_path / "photos", 3)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(
        [sys.executable, "-c", PROGRAMS, str(tmp_path / "photos"), mean_color],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        check=True,
    )
    assert (elsewhere / "vectors" / "_SUCCESS").exists()
    assert (elsewhere / "report.html").exists()
