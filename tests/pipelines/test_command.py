"""image-inference, as a shell starts it."""

import os
import pathlib
import subprocess
import sys
import time

import pytest

from pipelines.command import PROGRAMS

ROOT = pathlib.Path(__file__).parents[2]
START = (
    "import sys; sys.argv[0] = '/bin/image-inference'; sys.path.remove('');"
    "from pipelines.command import start; start()"
)


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", START, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )


def complete(line: str, folder: pathlib.Path) -> list[str]:
    """Returns what may follow a line, as argcomplete hands it to the shell."""
    found = folder / "completions"
    run(
        _ARGCOMPLETE="1",
        _ARGCOMPLETE_SHELL="bash",
        _ARGCOMPLETE_STDOUT_FILENAME=str(found),
        COMP_LINE=line,
        COMP_POINT=str(len(line)),
        IFS="\013",
        _ARGCOMPLETE_IFS="\013",
    )
    return [word.strip() for word in found.read_text().split("\013")]


def test_every_program_is_there() -> None:
    modules = {path.stem for path in (ROOT / "pipelines").glob("*.py")}
    assert PROGRAMS.keys() == modules - {
        "__init__",
        "command",
        "flex_template",
        "run_image_inference",
    }


def test_help_names_them_and_is_quick() -> None:
    started = time.process_time(), os.times().children_user
    done = run("--help")
    assert done.returncode == 0
    assert all(f"  {name} " in done.stdout for name in PROGRAMS)
    assert os.times().children_user - started[1] < 0.3


def test_without_a_program_it_says_what_there_is() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    assert "image-inference PROGRAM [flags]" in done.stderr


def test_an_unknown_program() -> None:
    done = run("embd")
    assert done.returncode == 2
    assert done.stderr.startswith("image-inference: no program 'embd'; one of embed, classify")


def test_a_program_is_called_as_it_was_typed() -> None:
    assert run("embed", "--help").stdout.startswith("usage: image-inference embed --input URI")
    done = run("embed", "--imput", "x")
    assert done.returncode == 2
    assert done.stderr == "embed: unknown flag or argument --imput; did you mean --input?\n"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("image-inference emb", "embed"),
        ("image-inference embed --input_r", "--input_range"),
        ("image-inference embed --resize_mode sq", "squash"),
        ("image-inference verify --h", "--help"),
    ],
)
def test_completion(line: str, wanted: str, tmp_path: pathlib.Path) -> None:
    assert complete(line, tmp_path) == [wanted]


def test_packages_of_another_distribution_are_told(tmp_path: pathlib.Path) -> None:
    (tmp_path / "transforms").mkdir()
    (tmp_path / "transforms" / "__init__.py").write_text('"""Somebody else\'s."""\n')
    done = run("--version", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert done.returncode == 1
    assert f"the package transforms is that of {tmp_path}/transforms" in done.stderr
