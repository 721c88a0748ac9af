"""How many images go to a model in one call: its own batch, what memory holds, what is fast."""

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from transforms.errors import OutOfMemoryError
from transforms.models.batch_size_tuner import BatchSizeTuner

_Pixels = npt.NDArray[np.generic]
_Outputs = npt.NDArray[np.float32]
_Call = Callable[[_Pixels], _Outputs]


class BatchSizing:
    """Cuts a batch into the calls that a model can take, and learns from them.

    Threads may share it. Where every call has to be of one size, the last is filled up with its
    last image, and the rows that come of that are dropped. Six images:

        any number                       [0 1 2 3 4 5]
        a model of batch 4               [0 1 2 3] [4 5 5 5]
        8 were too many for the memory   [0 1 2 3] [4 5]
        XLA on a GPU, batches of 8       [0 1 2 3 4 5 5 5]
        the same, and 8 were too many    [0 1 2 3] [4 5 5 5]
    """

    def __init__(self, fixed: int | None = None) -> None:
        """Starts with what the model says; nothing is learned yet.

        Args:
            fixed: Images that the model was saved for, or None for any number.
        """
        self._fixed = fixed
        self._most = fixed
        self._full = fixed
        self._tuner: BatchSizeTuner | None = None

    @property
    def most(self) -> int | None:
        """Most images in one call, or None for any number."""
        return self._most

    @property
    def learned(self) -> int | None:
        """Most images in one call as memory or speed have taught it; None if they have not."""
        return None if self._fixed else self._most

    def fill_up_to(self, full: int | None) -> None:
        """Fills every call up to so many images from now on; a fixed batch stays as it is."""
        if not self._fixed:
            self._full = full and min(full, self._most or full)

    def tune(self, largest: int) -> None:
        """Tries sizes on the batches that come, up to the largest; a fixed batch stays as it is."""
        if not self._fixed:
            self._tuner = BatchSizeTuner(largest)

    def reduce(self, size: int) -> None:
        """Takes at most this many images a call from now on; a fixed batch stays as it is."""
        if not self._fixed:
            self._most = min(size, self._most or size)
            if self._full:
                self._full = self._most

    def run(self, pixels: _Pixels, call: _Call) -> _Outputs:
        """Calls the model on a batch, in as many calls as it takes.

        Args:
            pixels: [n, ...]; n is at least 1.
            call: The model: one row of numbers an image.

        Returns:
            float32 [n, output_dim]; of another length if the model returns other numbers of rows.

        Raises:
            OutOfMemoryError: If a call takes more memory than there is. Calls take half as many
                images from then on, filled up or not, unless it was one image or a fixed batch.
        """
        tuner = self._tuner
        tried = tuner.next_size(len(pixels)) if tuner else None
        if tuner is None or tried is None:
            return self._run_in_parts(pixels, call)
        started = time.perf_counter()
        outputs = self._run_in_parts(pixels, call, tried)
        tuner.record(tried, (time.perf_counter() - started) / len(pixels))
        if (best := tuner.best) is not None:
            self.reduce(best)
            self._tuner = None
        return outputs

    def run_within_memory(self, pixels: _Pixels, call: _Call) -> _Outputs:
        """As run, and again with half as many images a call each time that memory runs out.

        Raises:
            OutOfMemoryError: If one image is too much, or a fixed batch.
        """
        while True:
            most = self._most
            try:
                return self.run(pixels, call)
            except OutOfMemoryError:
                if self._most == most:
                    raise

    def _run_once(self, pixels: _Pixels, call: _Call, tried: int | None) -> _Outputs:
        # Filled up to no more than the size that is being measured.
        count, full = len(pixels), self._full and min(self._full, tried or self._full)
        if full and full > count:
            padding = [(0, full - count), *[(0, 0)] * (pixels.ndim - 1)]
            pixels = np.pad(pixels, padding, mode="edge")
        try:
            outputs = call(pixels)
        except OutOfMemoryError:
            if len(pixels) > 1:
                self.reduce(len(pixels) // 2)
            raise
        # Another number of rows is an error that the caller reports, with all of them to be seen.
        return outputs[:count] if len(outputs) == len(pixels) else outputs

    def _run_in_parts(self, pixels: _Pixels, call: _Call, tried: int | None = None) -> _Outputs:
        size = min(self._most or len(pixels), tried or len(pixels))
        parts = [pixels[start : start + size] for start in range(0, len(pixels), size)]
        rows = [self._run_once(part, call, tried) for part in parts]
        return rows[0] if len(rows) == 1 else np.concatenate(rows)
