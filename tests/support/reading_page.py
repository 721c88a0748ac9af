"""The commands and programs of pages on what runs write, run as they stand."""

import contextlib
import os
import pathlib
import pickle
import re
import shlex
import subprocess
import sys
from typing import Any

from pipelines import classify, embed

DOCS = pathlib.Path(__file__).parents[2] / "docs"


def blocks_of(page: str) -> dict[str, str]:
    """Returns the first program below each heading of a page, by heading."""
    block = r"^## ([^\n]+)\n(?:(?!##|```)[^\n]*\n)*```python\n(.*?)^```"
    return dict(re.findall(block, page, re.M | re.S))


PAGE = DOCS.joinpath("reading_the_output.md").read_text()
BLOCKS = blocks_of(PAGE)
"""The programs of docs/reading_the_output.md, by heading."""

COMMANDS = PAGE.partition("```sh\n")[2].partition("```")[0].replace("\\\n", "").splitlines()
"""The commands that write what the blocks read."""


def run(folder: pathlib.Path, command: str, *flags: str) -> None:
    """Runs one of the page's commands in a folder, with about 16 rows a file."""
    _, _, program, *argv = shlex.split(command)
    main = {"pipelines.embed": embed.main, "pipelines.classify": classify.main}[program]
    with contextlib.chdir(folder):
        assert main([*argv, "--rows_per_file", "16", *flags]) == 0


def after(
    folder: pathlib.Path, block: str, *expressions: str, warnings: str = "error"
) -> list[Any]:
    """Runs a program in a folder; returns what the expressions are worth at its end.

    It has a process of its own, as its reader would give it, without this project's code; warnings
    are errors there too, unless the library warns of itself.
    """
    dump = f"import pathlib, pickle\nleft = pickle.dumps([{', '.join(expressions)}])\n"
    program = f"{block}\n{dump}pathlib.Path('left.pickle').write_bytes(left)"
    command = [sys.executable, "-W", warnings, "-c", program]
    # datasets keeps what it has read there, and may ask a hub what there is.
    env = {**os.environ, "HF_HOME": str(folder / "hub"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return pickle.loads((folder / "left.pickle").read_bytes())
