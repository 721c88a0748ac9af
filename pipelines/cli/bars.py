"""Bars on a terminal that are gone when the work is done; elsewhere nothing."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn


def live_bar(console: Console, *columns: ProgressColumn) -> Progress:
    """Returns a bar of some columns that is drawn on a terminal only, and leaves nothing there."""
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@contextlib.contextmanager
def counting_bar(
    verb: str, total: int, noun: str, console: Console | None = None
) -> Iterator[Callable[[int], None]]:
    """Shows "reading 3,000/10,000 vectors" until it is left.

    Args:
        verb: Word for what is done, such as "reading".
        total: Number at which the bar is full.
        noun: Word for what is counted, such as "vectors".
        console: Terminal to draw on; None means standard output.

    Yields:
        What is told how many more are done.
    """
    text = TextColumn(f"{verb} {{task.completed:,.0f}}/{{task.total:,.0f}} {noun}")
    with live_bar(console or Console(highlight=False), text, BarColumn()) as bar:
        task = bar.add_task(noun, total=total)
        yield lambda count: bar.advance(task, count)
