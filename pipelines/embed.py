"""python -m pipelines.embed: images in, feature vectors out."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.options import EmbedConfig
from pipelines.program import run_program

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    from pipelines.launch import MakeTabulate

DESCRIPTION = """\
Embeds images with a TF2 image SavedModel: reads image files, manifests, TFRecord or Parquet and
writes one vector an image to Parquet or TFRecord.

  python -m pipelines.embed --input photos/ --model feature_vector_model/ --output vectors/
  python -m pipelines.embed --input 'shards/*.tfrecord' --carry_columns image/class/label \\
      --model model.tar.gz --output vectors/ --normalize l2 --embedding_dtype float16"""


def make_to_embeddings(config: EmbedConfig) -> "MakeTabulate":
    """Returns the maker of the step that turns outputs into embedding rows."""
    from transforms.to_embeddings import ToEmbeddings  # Beam: --help does not wait for it.

    return lambda model, carried, footer: ToEmbeddings(
        config.embedding_dtype, config.normalize, carried, footer
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    return run_program(
        argv,
        program="embed",
        config_class=EmbedConfig,
        description=DESCRIPTION,
        stem="embeddings",
        make_tabulate=make_to_embeddings,
    )


if __name__ == "__main__":
    sys.exit(main())
