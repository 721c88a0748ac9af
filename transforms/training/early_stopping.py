"""When training has reached its best, by the loss of rows that it does not see."""

_LEAST_GAIN = 1e-3
"""Share of the smallest validation loss so far; a loss less than that below it is no progress."""


class EarlyStopping:
    """Tells progress from none, pass by pass."""

    def __init__(self, patience: int) -> None:
        """Knows no pass yet: the first whose loss is finite is progress.

        Args:
            patience: Passes without progress after which it is over.
        """
        self._patience = patience
        self._least = float("inf")
        self._stale = 0

    @property
    def is_over(self) -> bool:
        """Whether there was no progress for too many passes."""
        return self._stale >= self._patience

    def is_progress(self, validation_loss: float) -> bool:
        """Tells whether a pass is the best so far; one whose loss is not finite never is."""
        if validation_loss < self._least * (1 - _LEAST_GAIN):
            self._least, self._stale = validation_loss, 0
            return True
        self._stale += 1
        return False
