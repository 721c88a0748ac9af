"""What the user may say to pipelines.classify."""

import dataclasses

from pipelines.cli.flag import flag
from pipelines.cli.run_flags import RunConfig, SingleRunConfig
from transforms.models.engine_settings import ACTIVATIONS
from transforms.models.top_k import TOP_K, check_top_k


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

    def __post_init__(self, given: frozenset[str]) -> None:
        super().__post_init__(given)
        check_top_k(self.top_k, None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifyConfig(ClassifyFlags, SingleRunConfig):
    """The flags of pipelines.classify."""
