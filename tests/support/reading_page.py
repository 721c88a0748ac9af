"""The commands and programs of docs/reading_the_output.md, run as they stand."""

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

PAGE = pathlib.Path(__file__).parents[2].joinpath("docs/reading_the_output.md").read_text()
BLOCKS: dict[str, str] = dict(
    re.findall(r"^## ([^\n]+)\n(?:(?!##|```)[^\n]*\n)*```python\n(.*?)^```", PAGE, re.M | re.S)
)
"""The page's programs, by heading."""

COMMANDS = PAGE.partition("```sh\n")[2].partition("```")[0].replace("\\\n", "").splitlines()
"""The commands that write what the blocks read."""


def run(folder: pathlib.Path, command: str, *flags: str) -> None:
    """Runs one of the page's commands in a folder, with about 16 rows a file."""
    _, _, program, *argv = shlex.split(command)
    main = {"pipelines.embed": embed.main, "pipelines.classify": classify.main}[program]
    with contextlib.chdir(folder):
        assert main([*argv, "--rows_per_file", "16", *flags]) == 0


def after(folder: pathlib.Path, block: str, *expressions: str) -> list[Any]:
    """Runs a program in a folder; returns what the expressions are worth at its end.

    It has a process of its own, as its reader would give it, without this project's code; warnings
    are errors there too.
    """
    dump = f"import pathlib, pickle\nleft = pickle.dumps([{', '.join(expressions)}])\n"
    program = f"{block}\n{dump}pathlib.Path('left.pickle').write_bytes(left)"
    command = [sys.executable, "-W", "error", "-c", program]
    # datasets keeps what it has read there, and may ask a hub what there is.
    env = {**os.environ, "HF_HOME": str(folder / "hub"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return pickle.loads((folder / "left.pickle").read_bytes())
