"""The bar that counts while something is read."""

import io

from rich.console import Console

from pipelines.cli.bars import counting_bar


def test_counts_on_a_terminal_and_leaves_nothing_there() -> None:
    screen = io.StringIO()
    with counting_bar("reading", 3000, "vectors", Console(file=screen, force_terminal=True)) as add:
        add(1000)
        add(1500)
    shown = screen.getvalue()
    assert "reading 2,500/3,000 vectors" in shown
    assert shown.endswith("\x1b[2K")  # Wiped.


def test_says_nothing_elsewhere() -> None:
    file = io.StringIO()
    with counting_bar("reading", 3, "vectors", Console(file=file)) as add:
        add(3)
    assert file.getvalue() == ""
