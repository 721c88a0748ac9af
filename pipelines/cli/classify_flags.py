"""What the user may say to pipelines.classify."""

import dataclasses

from pipelines.cli.flag import flag
from pipelines.cli.run_flags import ACTIVATIONS, RunConfig, SingleRunConfig
from transforms.errors import FlagError


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifyFlags(RunConfig):
    """The flags that say what becomes of logits, for pipelines.classify and pipelines.refresh."""

    top_k: int = flag("classes an image", "output", 5, read=int, metavar="K")
    activation: str | None = flag(
        "turns the model's logits into scores (default: the model's image_model.json, else "
        "softmax; sigmoid or none, as it needs, of one output)",
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
