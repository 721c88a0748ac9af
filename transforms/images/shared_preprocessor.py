"""Turns encoded images into the pixels of several policies; what is common to them is done once."""

from collections.abc import Sequence

from transforms.images.policy import Preprocessing
from transforms.images.preprocessor import Preprocessed, Preprocessor


class SharedPreprocessor:
    """Several Preprocessors in one, each with the pixels that it would make alone.

    Made once a process; threads may call it at the same time.
    """

    def __init__(self, policies: Sequence[Preprocessing]) -> None:
        """Traces the graphs; nothing is traced later.

        Args:
            policies: Policies, each once.
        """
        self._preprocessors = {policy: Preprocessor(policy) for policy in policies}

    def __call__(
        self, encoded: Sequence[bytes], policies: Sequence[Preprocessing]
    ) -> list[Preprocessed]:
        """Preprocesses a batch by some of the policies; a bad image costs only itself.

        Args:
            encoded: Image files, whole, of any mix of formats.
            policies: Policies to follow, of those that it was made of.
        """
        return [self._preprocessors[policy](encoded) for policy in policies]
