"""python -m pipelines.classify: images in, the best classes of each out."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.options import ClassifyConfig
from pipelines.program import run_program

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    from pipelines.launch import LaunchedModel, MakeTabulate

DESCRIPTION = """\
Classifies images with a TF2 image SavedModel: reads image files, manifests, TFRecord or Parquet
and writes the top k classes of each image, with labels and scores, to Parquet or TFRecord.

  python -m pipelines.classify --input photos/ --model classifier/ --output labels/
  python -m pipelines.classify --manifest images.csv --model classifier/ --output labels/ \\
      --labels labels.txt --top_k 3 --activation sigmoid"""


def read_model_labels(labels: str | None, model: "LaunchedModel") -> tuple[str, ...] | None:
    """Reads the class names that the user named, or that came with the model, if any.

    Raises:
        ModelError: If they do not fit the model's width, where that is declared.
    """
    from transforms.labels import labels_for, read_labels

    uri = labels or model.spec.labels
    if uri is None:
        return None
    names = read_labels(uri)
    if model.spec.output_dim is not None:
        labels_for(names, model.spec.output_dim)
    return names


def make_to_top_k(config: ClassifyConfig) -> "MakeTabulate":
    """Returns the maker of the step that turns logits into the best classes."""
    from transforms.to_top_k import ToTopK  # Beam: --help does not wait for it.

    return lambda model, carried, footer: ToTopK(
        config.top_k,
        config.activation,
        read_model_labels(config.labels, model),
        carried,
        {**footer, "activation": config.activation},
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    return run_program(
        argv,
        program="classify",
        config_class=ClassifyConfig,
        description=DESCRIPTION,
        stem="classifications",
        make_tabulate=make_to_top_k,
    )


if __name__ == "__main__":
    sys.exit(main())
