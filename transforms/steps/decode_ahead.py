"""DecodeAhead: what the steps that decode have in common: they are ahead of the model."""

import collections
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import apache_beam as beam
import numpy as np
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from transforms.images.policy import Preprocessing
from transforms.steps.model_on_demand import ModelOnDemand
from transforms.steps.saved_model_handler import SavedModelHandler
from transforms.steps.shared_model_handler import SharedModelHandler

Encoded = TypeVar("Encoded")
Decoded = TypeVar("Decoded")

Handler = SavedModelHandler | SharedModelHandler

_WAITING_BYTES = 64_000_000
"""Pixels that may wait for a model that is being loaded, in each thread of a runner's: 106 images
of 224x224, for the 2 to 5 seconds that it takes."""


class DecodeAhead(beam.DoFn, Generic[Encoded, Decoded]):
    """Hands on each element when the next one has come, and decodes that one meanwhile.

    What it hands on goes through the model before it is asked for more. So the two overlap on
    every runner, also on one with a single thread, at the price of one element's pixels. Order is
    kept, and nothing beyond a bundle.

    Loading a model keeps one core busy. So the first element that goes to it begins it, and
    elements are decoded while it lasts, until _WAITING_BYTES of them wait.
    """

    def __init__(self, handlers: Sequence[Handler] = ()) -> None:
        """Keeps the handlers of the models that elements go to."""
        self._handlers = handlers
        self._models: list[ModelOnDemand[Any]] = []
        self._wanted: set[int] = set()
        self._ahead: ThreadPoolExecutor | None = None
        self._kept: collections.deque[tuple[Future[Decoded], int]] = collections.deque()

    def prepare(self, element: Encoded) -> Callable[[], Decoded]:
        """Returns what decodes an element, to be called on another thread."""
        raise NotImplementedError

    def size_bytes(self, element: Encoded) -> int:
        """Returns the size that an element's pixels will have at most."""
        raise NotImplementedError

    def models_of(self, element: Encoded) -> Iterable[int]:
        """Returns the places, among the handlers, of the models that an element's pixels go to."""
        raise NotImplementedError

    def hand_on(self, decoded: Decoded) -> Iterator[Any]:
        """Yields what becomes of an element."""
        raise NotImplementedError

    def setup(self) -> None:
        """Makes the thread that decodes ahead."""
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="decode-ahead")
        self._models = [handler.load_model() for handler in self._handlers]

    def start_bundle(self) -> None:
        """Begins with nothing kept."""
        # Of a bundle that failed.
        self._kept.clear()
        self._wanted.clear()
        for model in self._models:
            model.forget_failure()

    def process(self, element: Encoded) -> Iterator[Any]:
        """Begins to decode an element, and hands on those before, unless they may wait."""
        assert self._ahead is not None, "setup runs before process"
        decode = self.prepare(element)
        self._wanted.update(self.models_of(element))
        if self._kept:
            self._kept[-1][0].result()  # Of encoded images no more than one element waits.
        self._kept.append((self._ahead.submit(decode), self.size_bytes(element)))
        while not self._may_wait() and len(self._kept) > 1:
            yield from self._next()

    def finish_bundle(self) -> Iterator[Any]:
        """Hands on what is left."""
        while self._kept:
            yield from map(_at_the_end, self._next())

    def teardown(self) -> None:
        """Ends the thread."""
        if self._ahead is not None:
            self._ahead.shutdown(cancel_futures=True)

    def _may_wait(self) -> bool:
        return self._is_loading() and sum(size for _, size in self._kept) < _WAITING_BYTES

    def _is_loading(self) -> bool:
        """Begins the next model that is wanted; returns whether one is being loaded."""
        for place in sorted(self._wanted):
            loading = self._models[place].begin()
            if not loading.done():
                return True
            if loading.exception():  # It is raised where the model is called.
                return False
        return False

    def _next(self) -> Iterator[Any]:
        decoded, _ = self._kept.popleft()
        return self.hand_on(decoded.result())


def pixel_bytes(policy: Preprocessing) -> int:
    """Returns the size of an image's pixels as a model takes them."""
    return math.prod(policy.image_size) * 3 * np.dtype(policy.dtype).itemsize


def _at_the_end(output: Any) -> Any:  # noqa: ANN401 - an element, tagged or not
    """Returns an output as the end of a bundle needs it: in a window, within its tag."""
    window = GlobalWindow()
    is_tagged = isinstance(output, TaggedOutput)
    value = output.value if is_tagged else output
    windowed = WindowedValue(value, window.max_timestamp(), (window,))
    return TaggedOutput(output.tag, windowed) if is_tagged else windowed
