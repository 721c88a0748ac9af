"""What the user may say to pipelines.embed."""

import dataclasses

from pipelines.cli.flag import flag
from pipelines.cli.run_flags import RunConfig, SingleRunConfig
from transforms.models.engine_settings import NORMALIZATIONS

EMBEDDING_DTYPES = ("float32", "float16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedFlags(RunConfig):
    """The flags that say what becomes of vectors, for pipelines.embed and pipelines.refresh."""

    embedding_dtype: str = flag(
        "of the written vectors", "output", "float32", choices=EMBEDDING_DTYPES
    )
    normalize: str = flag(
        "scale every vector to length 1 (l2), or not", "output", "none", choices=NORMALIZATIONS
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedConfig(EmbedFlags, SingleRunConfig):
    """The flags of pipelines.embed."""
