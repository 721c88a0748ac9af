"""Runs docs/tutorial.ipynb, and stores in it what its cells show.

    python -m scripts.demos.run_tutorial

What differs from run to run and from machine to machine is not stored: paths, times, bars of
progress, and the chatter of TensorFlow.
"""

import pathlib
import re
import tempfile

import nbformat
from nbclient import NotebookClient

ROOT = pathlib.Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"

SHOWN_ROOT = "/srv/image-inference"
"""Where the repository is, in what is stored."""

_CELL_TIMEOUT_SECONDS = 300
_DRAWN_OVER = re.compile(r"^.*(?:\r(?!\n)|\n(?:\x1b\[\?25h|\r)*\x1b\[1A|\x1b\[2K)", re.M)
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_CHATTER = re.compile(
    r"^(?:WARNING: All log messages before absl|[IWE]\d{4} \d\d|INFO:tensorflow).*\n", re.M
)
_TIMES = re.compile(r"^(?:speed|time in) .*\n|(?:[;,](?: \w+)?)? in \d+\.\d+ s\b", re.M)


def run(folder: pathlib.Path) -> nbformat.NotebookNode:
    """Runs the notebook in a folder that is empty, as if the repository were there.

    Returns:
        The notebook with the outputs of this run, tidied.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell fails.
    """
    docs = folder / "docs"
    docs.mkdir()
    for package in ("pipelines", "transforms"):
        (folder / package).symlink_to(ROOT / package)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(docs)}}
    NotebookClient(notebook, timeout=_CELL_TIMEOUT_SECONDS, resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":
            cell.outputs = _tidy(cell.outputs, str(folder))
    return notebook


def _tidy(outputs: list[nbformat.NotebookNode], root: str) -> list[nbformat.NotebookNode]:
    """Leaves out what differs from run to run; the text of a cell's streams becomes one output."""
    streams = [output for output in outputs if output.output_type == "stream"]
    others = [output for output in outputs if output.output_type != "stream"]
    for output in others:
        for kind, shown in output.data.items():
            if kind.startswith("text/"):
                output.data[kind] = shown.replace(root, SHOWN_ROOT)
    text = tidy_text("".join(output.text for output in streams)).replace(root, SHOWN_ROOT)
    return [*([nbformat.v4.new_output("stream", text=text)] if text else []), *others]


def tidy_text(text: str) -> str:
    r"""Returns what a terminal shows in the end, without times.

    "\x1b[2K 1/9 images\x1b[2K 9/9 images\r\n\x1b[1A\x1b[2Kwritten 9 in 3.1 s\r\n" is "written 9\n".
    """
    text = _ESCAPE.sub("", _DRAWN_OVER.sub("", text.replace("\r\n", "\n")))
    return _TIMES.sub("", _CHATTER.sub("", text)).lstrip("\n")


def main() -> None:
    """Runs the notebook and stores it."""
    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(run(pathlib.Path(folder)), NOTEBOOK)


if __name__ == "__main__":
    main()
