"""python -m pipelines.embed: images in, feature vectors out."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.cli.embed_flags import EmbedConfig, EmbedFlags
from pipelines.cli.outcome import Outcome
from pipelines.cli.program import Program
from pipelines.running.program import run_program
from transforms.machine.garbage import exit_at_once, importing

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    import pyarrow as pa

    from pipelines.running.launch import Outputs
    from transforms.steps.launched_model import LaunchedModel

DESCRIPTION = """\
Embeds images with a TF2 image SavedModel: reads image files, manifests, TFRecord, Parquet,
tar (WebDataset) or zip files and writes one vector an image to Parquet or TFRecord.

  python -m pipelines.embed --input photos/ --model feature_vector_model/ --output vectors/
  python -m pipelines.embed --input 'shards/*.tfrecord' --carry_columns image/class/label \\
      --model model.tar.gz --output vectors/ --normalize l2 --embedding_dtype float16"""


def embedding_outputs(
    config: EmbedFlags, model: "LaunchedModel", carried: "pa.Schema", footer: Mapping[str, str]
) -> "Outputs":
    """Returns the step that turns the model's outputs into embedding rows.

    Raises:
        ModelError: If --normalize leaves only a number's sign.
    """
    from pipelines.running.launch import Outputs
    from transforms.steps.to_embeddings import ToEmbeddings, check_length

    check_length(config.normalize, model.spec.output_dim)
    return Outputs(
        ToEmbeddings(
            config.embedding_dtype, config.normalize, carried, footer, config.image_statistics
        ),
        recipe={"embedding_dtype": config.embedding_dtype, "normalize": config.normalize},
    )


def run(config: EmbedConfig, beam_argv: Sequence[str]) -> Outcome:
    """Embeds; returns the outcome."""
    with importing():  # Beam: --help does not wait for it.
        from pipelines.running.single_run import run_once

    return run_once(config, beam_argv, program="embed", make_outputs=embedding_outputs)


PROGRAM = Program("embed", EmbedConfig, DESCRIPTION)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    return run_program(argv, PROGRAM, run)


if __name__ == "__main__":
    exit_at_once(main())
