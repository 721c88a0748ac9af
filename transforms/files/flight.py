"""Flight: the reads of this process that are on their way, how many, and in how much memory."""

import contextlib
import functools
import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Iterable

from transforms.errors import ImageError
from transforms.files.backoff import Backoff
from transforms.files.congestion_window import CongestionWindow
from transforms.files.object_store import TransientError
from transforms.files.pace import Pace
from transforms.files.read_ahead import Read, ReadAhead, Slot
from transforms.files.read_limits import DEFAULT_READ_LIMITS, ReadLimits

READS_AHEAD = 16
"""Reads begun and not yet used, for each that may be in flight: room behind one that is slow."""

UNKNOWN_BYTES = 1 << 20
"""Size taken for an object before any is known."""

TRIES_AT_ONCE = 3
"""Requests for one object at the same time, at most."""

MOST_STRAYS = 512
"""Requests that others have overtaken and that have not ended; each has a thread that waits."""

SLOW = "slow"
"""Reason to ask again, beside those of TransientError: it took much longer than the others."""

_LOOK_SECONDS = 0.05
_MEMORY = 0.05


class Flight:
    """Reads for all threads of a process, as many at a time as the storage takes.

    The window, which is how many that is, grows only while somebody waits: what comes before it is
    needed comes fast enough.

    A read that takes much longer than the others is asked for a second time, and the first answer
    counts. The other request is not waited for, and leaves the window.
    """

    def __init__(self, limits: ReadLimits) -> None:
        """Starts nothing; threads come with the first reads."""
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[Slot, bool]] = queue.SimpleQueue()
        self._aheads: deque[ReadAhead] = deque()
        self._running: dict[Slot, None] = {}
        self._idle_threads = 0
        self._waiting = 0  # Threads that use what is read.
        self._requests = 0  # In the window.
        self._strays = 0  # Requests of slots that another request has settled.
        self._held_bytes = 0
        self._mean_bytes = float(UNKNOWN_BYTES)
        self._window = CongestionWindow(limits.max_reads)
        self._looked_at = 0.0
        self.allow(limits)

    def allow(self, limits: ReadLimits) -> None:
        """Sets the limits, for reads that have not begun."""
        with self._lock:
            self._limits = limits
            self.backoff = Backoff(limits.timeout_seconds)
            self._window.max_reads = limits.max_reads

    def read_ahead(
        self, reads: Iterable[Read], pace: Pace, most_ahead: int | None = None
    ) -> ReadAhead:
        """Begins reads, in order, as there is room for them.

        Args:
            reads: The reads; to iterate over them takes no time.
            pace: Times of reads of the same kind.
            most_ahead: Reads that are begun and not yet used, at most; None is READS_AHEAD each.
        """
        ahead = ReadAhead(reads, pace, most_ahead, self._take, self._leave)
        with self._lock:
            self._aheads.append(ahead)
            self._fill()
        return ahead

    def _take(self, ahead: ReadAhead) -> bytes | ImageError:
        """Waits for what is next, in order.

        Raises:
            StopIteration: If nothing is.
        """
        with self._lock:
            # One is begun whatever the others hold: they may be held by whoever waits for this one.
            if not ahead.slots and not self._begin(ahead):
                raise StopIteration
            slot = ahead.slots[0]
            self._waiting += 1
        try:
            while not slot.future.done():
                with contextlib.suppress(TimeoutError):
                    slot.future.result(_LOOK_SECONDS)
                    break
                self._ask_again()
            return slot.future.result()
        finally:
            with self._lock:
                self._waiting -= 1
                if ahead.slots:
                    ahead.slots.popleft()
                    self._held_bytes -= slot.held_bytes
                self._fill()

    def _leave(self, ahead: ReadAhead) -> None:
        """Forgets what was read for one that is closed."""
        with self._lock:
            ahead.gone.set()
            if ahead in self._aheads:
                self._aheads.remove(ahead)
            self._held_bytes -= sum(slot.held_bytes for slot in ahead.slots if slot.is_settled)
            ahead.slots.clear()
            self._fill()

    def _fill(self) -> None:
        """Begins reads while there is room, in turn for all who want some."""
        refused = 0
        while self._requests < self._window.reads and refused < len(self._aheads):
            self._aheads.rotate(-1)
            ahead = self._aheads[-1]
            read = ahead.upcoming()
            if read is None:
                self._aheads.pop()
                continue
            held_bytes = self._held_bytes + self._size_of(read)
            is_room = held_bytes <= self._limits.max_memory_bytes
            most_ahead = ahead.most_ahead or READS_AHEAD * self._window.reads
            if is_room and len(ahead.slots) < most_ahead:
                self._begin(ahead)
                refused = 0
            else:
                refused += 1

    def _begin(self, ahead: ReadAhead) -> bool:
        read = ahead.upcoming()
        if read is None:
            return False
        slot = ahead.begin(self._size_of(read))
        self._held_bytes += slot.held_bytes
        self._running[slot] = None
        self._request(slot, is_first=True)
        return True

    def _size_of(self, read: Read) -> int:
        return int(self._mean_bytes) if read.size_bytes is None else read.size_bytes

    def _request(self, slot: Slot, *, is_first: bool) -> None:
        slot.requests += 1
        self._requests += 1
        self._queue.put((slot, is_first))
        if self._idle_threads:
            self._idle_threads -= 1
        else:
            # The end of the program waits for a pool's threads, however slow what they wait for is.
            threading.Thread(target=self._work, name="read", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._read(*self._queue.get())
            with self._lock:
                self._idle_threads += 1

    def _read(self, slot: Slot, is_first: bool) -> None:
        attempt = functools.partial(self._attempt, slot)
        note = functools.partial(self._note, slot)
        content: bytes | ImageError | None = None
        failed: BaseException | None = None
        try:
            if is_first:
                content = self.backoff.call(attempt, note, slot.ahead.gone)
            else:
                content = self.backoff.call_once(attempt)
        except ImageError as error:
            content = error
        except OSError:  # Of a second request: the first goes on, and is tried again.
            pass
        except Exception as error:  # Whoever waits for it raises it.
            content, failed = b"", error
        with self._lock:
            is_settled = self._land(slot, content)
        if failed is not None and is_settled:
            slot.future.set_exception(failed)
        elif is_settled and content is not None:
            slot.future.set_result(content)

    def _attempt(self, slot: Slot) -> bytes:
        if slot.is_settled:  # By a second request, while this one waited to be made again.
            return b""
        slot.began = began = time.monotonic()
        content = slot.call()
        with self._lock:
            slot.ahead.pace.note(time.monotonic() - began)
        return content

    def _land(self, slot: Slot, content: bytes | ImageError | None) -> bool:
        """Takes a request out of the air; tells whether its content is that of the read."""
        slot.requests -= 1
        if slot.is_settled:
            self._strays -= 1
            self._held_bytes -= slot.size_bytes
            return False
        is_full = self._requests >= self._window.reads
        self._requests -= 1
        if content is None:
            self._held_bytes -= slot.size_bytes
        else:
            slot.is_settled = True
            del self._running[slot]
            self._requests -= slot.requests
            self._strays += slot.requests
            self._hold(slot, content)
            is_short = is_full and self._waiting > 0
            self._window.arrived(is_short=is_short, crowding=slot.ahead.pace.crowding)
        self._fill()
        return slot.is_settled

    def _hold(self, slot: Slot, content: bytes | ImageError) -> None:
        size_bytes = len(content) if isinstance(content, bytes) else 0
        if size_bytes:
            self._mean_bytes += _MEMORY * (size_bytes - self._mean_bytes)
        kept_bytes = 0 if slot.ahead.gone.is_set() else size_bytes
        self._held_bytes += kept_bytes - slot.held_bytes
        slot.held_bytes = kept_bytes

    def _note(self, slot: Slot, fault: TransientError) -> None:
        with self._lock:
            slot.ahead.retries[fault.reason] += 1
            if fault.is_throttled and slot.began is not None:
                self._window.refused(slot.began)
            slot.began = None

    def _ask_again(self) -> None:
        """Asks a second time for what takes much longer than its neighbours."""
        now = time.monotonic()
        with self._lock:
            if now - self._looked_at < _LOOK_SECONDS or not self._window.is_calm:
                return
            self._looked_at = now
            for slot in list(self._running):
                if slot.began is None or slot.requests >= TRIES_AT_ONCE:
                    continue
                pace, held_bytes = slot.ahead.pace, self._held_bytes + slot.size_bytes
                # What is next is asked for again whatever is held: all of that may wait for it.
                is_next = slot in itertools.islice(slot.ahead.slots, 1)
                is_room = is_next or held_bytes <= self._limits.max_memory_bytes
                if is_room and self._strays < MOST_STRAYS and pace.is_slow(now - slot.began):
                    pace.hedge()
                    self._held_bytes = held_bytes
                    slot.began = now
                    slot.ahead.retries[SLOW] += 1
                    self._request(slot, is_first=False)


FLIGHT = Flight(DEFAULT_READ_LIMITS)
"""The reads of this process."""
