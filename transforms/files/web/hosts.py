"""Servers of the web as a process knows them: how much each is asked, and what it asks for."""

import collections
import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator

from transforms.errors import PermissionDeniedError, UnavailableError
from transforms.files.object_store import TransientError
from transforms.files.web.robots_txt import Robots

REQUESTS_AT_ONCE = 8
"""Requests that a process has under way to one server; of common programs, browsers have 6."""

FAILURES_IN_A_ROW = 10
"""Failures to be answered in time after which a server counts as down; a status is an answer, but
for 429 and 503.
"""

FAILING_SECONDS = 60.0
"""Time for which it must have failed so: one that is started again is asked again."""

DOWN_SECONDS = 60.0
"""Time for which a server that is down is not asked."""

ROBOTS_SECONDS = 86_400.0
"""Time for which a robots.txt is kept (RFC 9309, 2.4)."""

ROBOTS_AGAIN_SECONDS = 2.0
"""Time after which a robots.txt is fetched again that could not be."""

MOST_HOSTS = 4_000
"""Servers remembered; a list of URLs may name millions."""

MOST_ROBOTS_BYTES = 64 << 20
"""Memory for what their robots.txt say."""


class Host:
    """One server: scheme, name and port."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._slots = threading.BoundedSemaphore(REQUESTS_AT_ONCE)
        self._paused_until = -math.inf
        self._down_until = -math.inf
        self._failures = 0
        self._failing_since = math.inf
        self._failing = ""
        self._robots: Robots | None = None
        self._robots_until = -math.inf
        self._robots_error: TransientError | None = None
        self._robots_lock = threading.Lock()

    @property
    def weight(self) -> int:
        """Memory, about, that its robots.txt takes, in bytes."""
        return self._robots.weight if self._robots else 0

    @contextlib.contextmanager
    def asked(self) -> Iterator[None]:
        """Waits for its turn to send a request, unless the server is not to be asked now.

        Raises:
            TransientError: If it asked to be left alone for a while.
            UnavailableError: If it is down.
        """
        with self._slots:
            now = time.monotonic()
            if now < self._down_until:
                raise UnavailableError(
                    f"{self.origin} {self._failing} for {now - self._failing_since:.0f} s; it is "
                    f"asked again in {self._down_until - now:.0f} s"
                )
            if now < self._paused_until:
                raise TransientError(
                    f"{self.origin} asked to wait",
                    is_throttled=True,
                    retry_after_seconds=self._paused_until - now,
                    is_sent=False,
                )
            yield

    def pause(self, seconds: float) -> None:
        """Sends nothing for a while, as the server asked."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)
        self._note_failure("has refused all requests")

    def answered(self) -> None:
        """Notes that it answered, in time, and not that it is asked too much."""
        self._failures, self._failing_since, self._down_until = 0, math.inf, -math.inf

    def failed(self) -> None:
        """Notes that it did not answer, or not to the end in time."""
        self._note_failure("has not answered")

    def _note_failure(self, words: str) -> None:
        now = time.monotonic()
        self._failing = words
        self._failures += 1
        self._failing_since = min(self._failing_since, now)
        is_long = now - self._failing_since >= FAILING_SECONDS
        if self._failures >= FAILURES_IN_A_ROW and is_long:
            self._down_until = now + DOWN_SECONDS

    def check_robots(self, target: str, fetch: Callable[[], Robots]) -> None:
        """Checks that robots.txt lets a path be fetched; fetches that file where it is not known.

        Raises:
            PermissionDeniedError: If it does not.
            TransientError, UnavailableError: Whatever fetch raises.
        """
        with self._robots_lock:
            if time.monotonic() > self._robots_until:
                self._fetch_robots(fetch)
            robots, error = self._robots, self._robots_error
        if error is not None:
            raise TransientError(
                f"its robots.txt cannot be read: {error}",
                is_throttled=error.is_throttled,
                retry_after_seconds=error.retry_after_seconds or ROBOTS_AGAIN_SECONDS,
                is_sent=error.is_sent,
            ) from error
        if robots is not None and not robots.allows(target):
            raise PermissionDeniedError(f"{self.origin}/robots.txt asks programs not to fetch it")

    def _fetch_robots(self, fetch: Callable[[], Robots]) -> None:
        try:
            self._robots, self._robots_error = fetch(), None
            kept_seconds = ROBOTS_SECONDS
        except TransientError as error:
            self._robots_error = error.with_traceback(None)
            kept_seconds = ROBOTS_AGAIN_SECONDS
        self._robots_until = time.monotonic() + kept_seconds


class Hosts:
    """The servers that were asked last."""

    def __init__(self) -> None:
        self._hosts: collections.OrderedDict[str, Host] = collections.OrderedDict()
        self._lock = threading.Lock()

    def at(self, origin: str) -> Host:
        """Returns the one server of an origin."""
        with self._lock:
            host = self._hosts.get(origin)
            if host is None:
                host = self._hosts[origin] = Host(origin)
                self._forget()
            self._hosts.move_to_end(origin)
            return host

    def _forget(self) -> None:
        robots_bytes = sum(host.weight for host in self._hosts.values())
        while len(self._hosts) > MOST_HOSTS or robots_bytes > MOST_ROBOTS_BYTES:
            _, host = self._hosts.popitem(last=False)
            robots_bytes -= host.weight
