"""How many classes an image gets."""

from transforms.errors import FlagError

TOP_K = 5
"""Classes an image gets if nobody says how many; all of them, if the model has fewer."""


def check_top_k(top_k: int, num_classes: int | None) -> None:
    """Checks that a class is asked for, and no more than there are; None: it is not known.

    TOP_K itself passes: nobody may have said it.

    Raises:
        FlagError: If it is not so.
    """
    if top_k < 1:
        raise FlagError(f"--top_k must be at least 1, got {top_k}")
    if num_classes is not None and top_k > num_classes and top_k != TOP_K:
        raise FlagError(
            f"--top_k {top_k} is over the number of classes: the model has {num_classes}; leave it "
            f"out for {min(num_classes, TOP_K)}, or give --top_k {num_classes} for all"
        )
