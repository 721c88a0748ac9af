"""Lines that say how far a run is, one every so many seconds, for logs that nobody watches live.

2026-11-29T15:04:05Z 12,000 of 50,000 images (24 %), 231/s, 3 failed, about 3 min left
"""

import datetime
import sys
import threading
import time
from collections.abc import Callable

from transforms.errors import printable
from transforms.steps.tally import Counts


class Pace:
    """Says how far a run is, and how fast it has been since it was asked before."""

    def __init__(self) -> None:
        self._done = 0
        self._at = time.monotonic()

    def describe(self, counts: Counts) -> str:
        """Says it, as "12,000 of 50,000 images (24 %), 231/s, 3 failed, about 3 min left"."""
        now = time.monotonic()
        rate = max(counts.done - self._done, 0) / max(now - self._at, 1e-3)
        self._done, self._at = counts.done, now
        return describe_progress(counts, rate)


def describe_progress(counts: Counts, rate: float) -> str:
    """Says how far a run is.

    Args:
        counts: Images so far.
        rate: Images a second, lately.
    """
    if not counts.total and not counts.done:
        return "starting"
    done = f"{counts.done:,}"
    knows_total = counts.total > 0 and not counts.files
    if knows_total:
        share = 100 * counts.done // counts.total
        done = f"{done} of {counts.total:,} images ({share} %)"
    else:
        done = f"{done} images"
    shown = f"{rate:,.0f}/s" if rate >= 10 or not rate else f"{rate:,.1f}/s"
    parts = [done, shown, f"{counts.failed:,} failed"]
    left = counts.total - counts.done
    if knows_total and rate and left > 0:
        parts.append(f"about {_describe_long(left / rate)} left")
    return ", ".join(parts)


def _describe_long(seconds: float) -> str:
    """Says a time of which nobody knows the seconds: "45 s", "3 min", "2 h 10 min"."""
    if seconds < 60:
        return f"{max(round(seconds), 1)} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min"


class ProgressLog:
    """A line on stderr every so many seconds, until it is stopped."""

    def __init__(self, every_seconds: int, describe: Callable[[], str]) -> None:
        """Starts a thread that writes the lines.

        Args:
            every_seconds: Time from one line to the next; 0 writes none.
            describe: Callback; returns what a line says after the time.
        """
        self._every_seconds = every_seconds
        self._describe = describe
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        if every_seconds:
            self._thread.start()

    def stop(self) -> None:
        """Ends the lines; may be called twice. Waits for none that is being made up."""
        self._stop.set()

    def _write(self) -> None:
        while not self._stop.wait(self._every_seconds):
            text = self._describe()
            if not self._stop.is_set():
                now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                print(printable(f"{now} {text}"), file=sys.stderr, flush=True)
