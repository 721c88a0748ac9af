"""python -m pipelines.classify: images in, the best classes of each out."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.cli.classify_flags import ClassifyConfig, ClassifyFlags
from pipelines.cli.outcome import Outcome
from pipelines.cli.program import Program
from pipelines.running.program import run_program
from transforms.machine.garbage import exit_at_once, importing
from transforms.models.engine_settings import ACTIVATIONS

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    import pyarrow as pa

    from pipelines.running.launch import Outputs
    from transforms.steps.launched_model import LaunchedModel

DESCRIPTION = """\
Classifies images with a TF2 image SavedModel: reads image files, manifests, TFRecord,
Parquet, tar (WebDataset) or zip files and writes the top k classes of each image, with labels and
scores, to Parquet or TFRecord.

  python -m pipelines.classify --input photos/ --model classifier/ --output labels/
  python -m pipelines.classify --manifest images.csv --model classifier/ --output labels/ \\
      --labels labels.txt --top_k 3 --activation sigmoid"""


def settle_activation(config: ClassifyFlags, model: "LaunchedModel") -> str:
    """Returns how scores are made; says so where the model has one output, and it was left open.

    Raises:
        ModelError: If it is the softmax of one number; or the model must be loaded to settle it,
            and cannot be.
    """
    from pipelines.running.launched_model import make_policy
    from transforms.models.engine_settings import EngineSettings, choose_engine
    from transforms.steps.launched_model import make_handler
    from transforms.steps.to_top_k import check_activation, default_activation

    if config.activation is not None:
        check_activation(config.activation, model.spec.output_dim)
        return config.activation
    if model.spec.output_dim not in (None, 1):
        return ACTIVATIONS[0]
    settings = EngineSettings(
        engine=choose_engine(model.spec.kind), pixel_range=make_policy(config, model).pixel_range
    )
    loaded = make_handler(model, settings).load()
    activation = default_activation(loaded.output_dim, loaded.outputs_are_probabilities)
    if activation == "none":
        print("the model has one output, a probability: taken as it is (--activation none)")
    elif activation == "sigmoid":
        print("the model has one output, a logit: made a probability (--activation sigmoid)")
    return activation


def class_outputs(
    config: ClassifyFlags, model: "LaunchedModel", carried: "pa.Schema", footer: Mapping[str, str]
) -> "Outputs":
    """Returns the step that turns the model's outputs into the best classes.

    Raises:
        ModelError: If the class names or the activation do not fit the model.
        FlagError: If more classes are asked for than it has.
    """
    from pipelines.running.launch import Outputs
    from transforms.models.class_names import read_fitting_labels
    from transforms.models.top_k import check_top_k
    from transforms.runs.recipe import fingerprint_json
    from transforms.steps.to_top_k import ToTopK

    check_top_k(config.top_k, model.spec.output_dim)
    labels = read_fitting_labels(
        config.labels or model.spec.labels,
        model.spec.output_dim,
        allow_private_hosts=config.allow_private_hosts,
    )
    activation = settle_activation(config, model)
    footer = {**footer, "activation": activation}
    return Outputs(
        ToTopK(config.top_k, activation, labels, carried, footer, config.image_statistics),
        recipe={
            "top_k": config.top_k,
            "activation": activation,
            "labels": labels and fingerprint_json({"labels": labels}),
        },
    )


def run(config: ClassifyConfig, beam_argv: Sequence[str]) -> Outcome:
    """Classifies; returns the outcome."""
    with importing():  # Beam: --help does not wait for it.
        from pipelines.running.single_run import run_once

    return run_once(config, beam_argv, program="classify", make_outputs=class_outputs)


PROGRAM = Program("classify", ClassifyConfig, DESCRIPTION)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    return run_program(argv, PROGRAM, run)


if __name__ == "__main__":
    exit_at_once(main())
