"""docs/choosing.md, run as it stands: its commands work, and its first column of numbers holds."""

import contextlib
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

from pipelines import classify, evaluate

ROOT = pathlib.Path(__file__).parents[2]
PAGE = (ROOT / "docs/choosing.md").read_text()
PROGRAMS = {"pipelines.classify": classify.main, "pipelines.evaluate": evaluate.main}
TOP_1 = [float(it) for it in re.findall(r"^\|[^|]*`[^|]*\|[^|]*\| \**(0\.\d+)", PAGE, re.M)]
TOLERANCE = 0.06
"""Training differs from machine to machine in the last bits."""


def test_the_page_runs_and_tells_settings_apart_as_it_says(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    demo = str(tmp_path / "demo")
    subprocess.run([sys.executable, "-m", "scripts.demos.make_demo", demo], cwd=ROOT, check=True)
    program, commands = re.findall(r"```(?:python|sh)\n(.*?)```", PAGE, re.S)
    found = []
    with contextlib.chdir(tmp_path):
        exec(compile(program, "docs/choosing.md", "exec"), {})
        for command in commands.splitlines():
            _, _, name, *argv = shlex.split(command)
            capfd.readouterr()
            assert PROGRAMS[name](argv) == 0
            found += re.findall(r"^ +accuracy +(\S+) +(\S+)", capfd.readouterr().out, re.M)
    right = {float(first) for first, _ in found}
    assert [*right, *(float(second) for _, second in found)] == pytest.approx(TOP_1, abs=TOLERANCE)
