"""What the user may say to pipelines.classify."""

import dataclasses

from pipelines.cli.flag import flag
from pipelines.cli.run_flags import RunConfig, SingleRunConfig
from transforms.errors import FlagError
from transforms.models.engine_settings import ACTIVATIONS

TOP_K = 5
"""Classes an image gets if nobody says how many; all of them, if the model has fewer."""


def check_top_k(top_k: int, num_classes: int | None) -> None:
    """Checks that no more classes are asked for than there are; None: it is not known.

    Raises:
        FlagError: If more are.
    """
    if num_classes is not None and top_k > max(num_classes, TOP_K):
        raise FlagError(
            f"--top_k {top_k} is over the number of classes: the model has {num_classes}; leave it "
            f"out for {min(num_classes, TOP_K)}, or give --top_k {num_classes} for all"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifyFlags(RunConfig):
    """The flags that say what becomes of logits, for pipelines.classify and pipelines.refresh."""

    top_k: int = flag("classes an image", "output", TOP_K, read=int, metavar="K")
    activation: str | None = flag(
        "turns logits into scores (default: the model's, by its image_model.json, else softmax, or "
        "of one output what it needs)",
        "model",
        choices=ACTIVATIONS,
    )
    labels: str | None = flag(
        "class names: .txt, .csv or .json (default: the model's labels.txt)",
        "model",
        metavar="URI",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.top_k < 1:
            raise FlagError(f"--top_k must be at least 1, got {self.top_k}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifyConfig(ClassifyFlags, SingleRunConfig):
    """The flags of pipelines.classify."""
