"""docs/tutorial.ipynb, run as it stands: no cell fails, and each shows what is stored below it."""

import pathlib
import re

import nbformat
import pytest

from scripts.demos.run_tutorial import NOTEBOOK, SHOWN_ROOT, run, tidy_text

LARGEST_BYTES = 1_000_000
CURE = "stale: python -m scripts.demos.run_tutorial"


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: nbformat.NotebookNode) -> list[object]:
    """Returns what a cell shows, without its numbers, which differ as training does.

    Of text these are the words that lines begin with: "written   263" is "written".
    """
    found: list[object] = []
    for output in cell.outputs:
        if output.output_type == "stream":
            found.append(sorted(set(re.findall(r"^[a-z_]+", output.text, re.M))))
        else:
            found.append(sorted(output.data))
    return found


def test_each_cell_shows_what_is_stored(tmp_path: pathlib.Path) -> None:
    stored, fresh = nbformat.read(NOTEBOOK, as_version=4), run(tmp_path)
    cells = list(zip(code_cells(stored), code_cells(fresh), strict=True))
    assert [cell.execution_count for cell, _ in cells] == [*range(1, len(cells) + 1)], CURE
    for old, new in cells:
        assert shown(old) == shown(new), f"{CURE}\n{old.source}"
    made = {path.name for path in (tmp_path / "build" / "tutorial").iterdir()}
    assert {"search.html", "evaluation.html", "report.html"} <= made


def test_what_is_stored_is_small_and_names_no_place_of_a_machine() -> None:
    assert NOTEBOOK.stat().st_size < LARGEST_BYTES
    outputs = [it for cell in code_cells(nbformat.read(NOTEBOOK, 4)) for it in cell.outputs]
    texts = [text for it in outputs for text in (it.get("text"), *it.get("data", {}).values())]
    # Pictures are in base64: no word begins with a slash there.
    paths = re.findall(r"(?:^|[\s'\"])(/[a-z]\S+)", "\n".join(filter(None, texts)), re.M)
    assert len(paths) > 5
    assert [path for path in paths if not path.startswith(f"{SHOWN_ROOT}/")] == []


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\x1b[2K 1/9\x1b[2K 9/9\r\n\x1b[?25h\r\x1b[1A\x1b[2Kwritten 9\r\n", "written 9\n"),
        ("1/9\r9/9\nsplit 7 to train; read in 0.1 s\n", "9/9\nsplit 7 to train\n"),
        ("I0000 00:00:1.2 3 port.cc:153] oneDNN\nwritten 9\nspeed 3.1 images/s\n", "written 9\n"),
    ],
)
def test_what_differs_from_run_to_run_is_left_out(text: str, left: str) -> None:
    assert tidy_text(text) == left
