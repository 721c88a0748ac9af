"""A live line on the terminal while a local run works."""

import threading
import time

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipelines.cli.bars import live_bar
from pipelines.cli.wording import describe_time
from transforms.steps.tally import TALLY, Counts

REFRESH_SECONDS = 0.25


def describe_rate(counts: Counts, seconds: float) -> str:
    """Says how fast it goes and how long it will take, as "104 images/s, 0:02:10 left"."""
    done = counts.written + counts.failed
    if not done or seconds <= 0:
        return "starting"
    rate = done / seconds
    left = max(counts.total - done, 0) / rate
    return f"{rate:,.1f} images/s, {describe_time(left)} left"


class ProgressLine:
    """Done, total, failed, speed and time left, drawn until it is stopped.

    Quiet when the console is no terminal. Reads the process's tally, so it sees the work of
    runners that work in this process.

    Attributes:
        drawn: Event that is set once something has been drawn.
    """

    def __init__(self, console: Console) -> None:
        """Starts the line, and a thread that draws it anew until stop."""
        self.drawn = threading.Event()
        self._stop = threading.Event()
        self._progress = live_bar(
            console,
            SpinnerColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} images"),
            BarColumn(),
            TextColumn("{task.fields[failed]:,} failed"),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
        )
        self._task = self._progress.add_task("images", total=0, failed=0, rate="starting")
        self._progress.start()
        self._thread = threading.Thread(target=self._draw, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Takes the line off the terminal; may be called twice."""
        self._stop.set()
        self._thread.join()
        self._progress.stop()

    def _draw(self) -> None:
        first_seen: float | None = None
        while not self._stop.wait(REFRESH_SECONDS):
            counts = TALLY.counts()
            done = counts.written + counts.failed
            if done and first_seen is None:
                first_seen = time.monotonic() - REFRESH_SECONDS
            seconds = time.monotonic() - first_seen if first_seen is not None else 0.0
            self._progress.update(
                self._task,
                completed=done,
                total=max(counts.total, done),
                failed=counts.failed,
                rate=describe_rate(counts, seconds),
                refresh=True,
            )
            self.drawn.set()
