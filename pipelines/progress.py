"""A live line on the terminal while a local run works."""

import contextlib
import threading
import time
from collections.abc import Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from transforms.tally import TALLY, Counts

REFRESH_SECONDS = 0.25


def describe_rate(counts: Counts, seconds: float) -> str:
    """Says how fast it goes and how long it will take, as "104 images/s, 0:02:10 left"."""
    done = counts.written + counts.failed
    if not done or seconds <= 0:
        return "starting"
    rate = done / seconds
    left = max(counts.total - done, 0) / rate
    hours, rest = divmod(round(left), 3600)
    return f"{rate:,.1f} images/s, {hours}:{rest // 60:02d}:{rest % 60:02d} left"


@contextlib.contextmanager
def show_progress(console: Console) -> Iterator[threading.Event]:
    """Draws done, total, failed, speed and time left until the block ends.

    Quiet when the console is no terminal. Reads the process's tally, so it sees the work of
    runners that work in this process.

    Yields:
        An event that is set once something has been drawn.
    """
    drawn = threading.Event()
    if not console.is_terminal:
        yield drawn
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} images"),
        BarColumn(),
        TextColumn("{task.fields[failed]:,} failed"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
    )
    stop = threading.Event()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("images", total=0, failed=0, rate="starting")
        drawing = threading.Thread(target=_draw, args=(progress, task, stop, drawn), daemon=True)
        drawing.start()
        try:
            yield drawn
        finally:
            stop.set()
            drawing.join()


def _draw(progress: Progress, task: TaskID, stop: threading.Event, drawn: threading.Event) -> None:
    first_seen: float | None = None
    while not stop.wait(REFRESH_SECONDS):
        counts = TALLY.counts()
        done = counts.written + counts.failed
        if done and first_seen is None:
            first_seen = time.monotonic() - REFRESH_SECONDS
        seconds = time.monotonic() - first_seen if first_seen is not None else 0.0
        progress.update(
            task,
            completed=done,
            total=max(counts.total, done),
            failed=counts.failed,
            rate=describe_rate(counts, seconds),
            refresh=True,
        )
        drawn.set()
