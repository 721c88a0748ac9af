"""A model that is loaded once a process, on a thread of its own, and only where there is work."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

M = TypeVar("M")

_LOADER = ThreadPoolExecutor(1, thread_name_prefix="load-model")
"""One model at a time: loading takes several times the memory of the model."""


class ModelOnDemand(Generic[M]):
    """A model that is loaded when it is called for. Threads may use it at the same time.

    Who knows early that it will be needed begins it, and goes on with other work:

        preprocessing    begin ── decode ── decode ── decode ── hand on
        a thread           └──────── load ────────┐
        inference                                 └── call
    """

    def __init__(self, load: Callable[[], M]) -> None:
        """Keeps what loads it."""
        self._load = load
        self._lock = threading.Lock()
        self._loading: Future[M] | None = None

    def begin(self) -> "Future[M]":
        """Begins to load it, if nobody has; returns what it will be, or has failed by."""
        with self._lock:
            if self._loading is None:
                self._loading = _LOADER.submit(self._load)
            return self._loading

    def forget_failure(self) -> None:
        """Lets it be loaded again if that has failed: what was away may be back."""
        with self._lock:
            if self._loading is not None and self._loading.done() and self._loading.exception():
                self._loading = None

    def __call__(self) -> M:
        """Returns the model, loaded; raises what loading raises, and the next call tries again."""
        try:
            return self.begin().result()
        finally:
            self.forget_failure()
