"""python -m pipelines.inspect_model: what a model is, and the command that runs it."""

import dataclasses
import logging
import shlex
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.cli.flag import OPTIONS, argument, flag, image_size
from pipelines.cli.outcome import JsonFlags, Outcome
from pipelines.cli.program import Program, run_program
from pipelines.cli.wording import align
from pipelines.explore.model_facts import (
    Rows,
    describe_call,
    describe_first_layer,
    describe_labels,
    describe_output,
    describe_weights,
    list_missing,
)
from transforms.errors import ModelError, printable
from transforms.images.policy import INPUT_RANGES
from transforms.machine.garbage import exit_at_once, importing
from transforms.machine.tensorflow_runtime import start_tensorflow

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    from transforms.models.image_model import ImageModel

DESCRIPTION = """\
Says what an image model is: how it is called, what it takes and returns, what its files do not
say, and the flags that say it. Loads the model and runs it on a few random images.

  python -m pipelines.inspect_model classifier/
  python -m pipelines.inspect_model https://tfhub.dev/google/bit/s-r50x1/1 --image_size 224"""

_EPILOG = "exit codes: 0 told; 2 bad flag or model"
_NAME_WIDTH = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class InspectConfig(JsonFlags):
    """The flags of pipelines.inspect_model."""

    model: str = argument("as --model of embed and classify", "HANDLE")
    signature: str | None = flag("signature or sub-callable to look at", OPTIONS, metavar="NAME")
    output_key: str | None = flag("which of its outputs", OPTIONS, metavar="NAME")
    image_size: tuple[int, int] | None = flag(
        "pixels, SIDE or HEIGHTxWIDTH", OPTIONS, read=image_size, metavar="SIZE"
    )
    labels: str | None = flag("class names: .txt, .csv or .json", OPTIONS, metavar="URI")


PROGRAM = Program(
    "inspect_model", InspectConfig, DESCRIPTION, usage="HANDLE [flags]", epilog=_EPILOG
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: 0, or 2 for a bad flag or model."""
    return run_program(argv, PROGRAM, _inspect)


def _inspect(config: InspectConfig) -> Outcome:
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # A misspelt path does not wait for TensorFlow.
    from transforms.files.uris import is_local
    from transforms.models.class_names import labels_for, read_labels
    from transforms.models.handle import find_model, fingerprint_model, resolve_model

    find_model(config.model)
    if config.labels and is_local(config.labels):
        read_labels(config.labels)
    with importing():
        start_tensorflow()
        from transforms.models.contract import inspect_model, takes_unit_range
        from transforms.models.image_model import ImageModel
        from transforms.models.notes import (
            assume_range,
            beyond_flags,
            name_notes,
            noted_image_size,
            read_notes,
        )
        from transforms.models.uniform_images import look_past_scaling

    model_dir = resolve_model(config.model)
    spec = inspect_model(model_dir, signature=config.signature, output_key=config.output_key)
    size = config.image_size or spec.image_size or noted_image_size(model_dir, spec)
    model = None
    if size is not None:
        model = ImageModel(model_dir, spec, image_size=spec.choose_image_size(size))
    output_dim = model.output_dim if model else spec.output_dim

    labels_uri = config.labels or spec.labels
    names: tuple[str, ...] = ()
    misfit = ""
    if labels_uri is not None:
        names = read_labels(labels_uri)
        try:
            names = labels_for(names, len(names) if output_dim is None else output_dim)
        except ModelError as error:
            # Of a classifier's features, the labels that lie beside them are not a fault.
            if config.labels:
                raise
            names, misfit = (), f"those beside the model do not fit: {error}"

    where = [("model", config.model)]
    where.append(("file" if spec.kind == "graph" else "directory", model_dir))
    where.append(("fingerprint", fingerprint_model(model_dir)))
    _print_rows("", [*where, *describe_call(spec), *describe_weights(spec, model)])
    _print_rows("output", [*describe_output(spec, model), *describe_labels(labels_uri, names)])
    _print_rows("what the first layer sees, by --input_range", describe_first_layer(spec, model))
    notes = read_notes(model_dir)
    if spec.dtype == "uint8":  # What files say of a range is done in the graph.
        notes.pop("input_range", None)
    _print_rows(name_notes(model_dir), [(f"--{name}", str(value)) for name, value in notes.items()])
    is_unit = takes_unit_range(model_dir)
    missing = list_missing(spec, model, names, misfit, is_unit=is_unit)
    if unsaid := beyond_flags(model_dir):
        missing.append(("--resize_mode", f"{printable(unsaid)}, which no flag does"))
    input_range = None
    if "input_range" not in notes and spec.dtype != "uint8":
        # What nobody knows is left for the user to put in: the default may be wrong.
        input_range = (model and model.first_layer.wanted) or (None if is_unit else "RANGE")
    undecided = [row for row in missing if row[0].removeprefix("--") not in notes]
    noted = assume_range(model_dir, notes.get("input_range", INPUT_RANGES[0]))
    if model and size and noted and noted.source:  # A run refuses it where it cannot be.
        layer = look_past_scaling(model.first_layer, model_dir, spec, spec.choose_image_size(size))
        if input_range := layer.range_instead_of(noted.name):
            told = (
                f"{input_range}; of {noted.name}, as {noted.source} says, it sees next to nothing"
            )
            undecided.append(("--input_range", told))
    _print_rows("to decide", undecided)
    print("\nrun it")
    embed, classify = _commands(config, model, input_range)
    is_classifier = bool(names) or (
        model is not None and (model.output_dim == 1 or model.outputs_are_probabilities)
    )
    # Labels that do not fit would stop classify.
    commands = [classify, embed] if is_classifier else [embed] if misfit else [embed, classify]
    for command in commands:
        print(f"  {printable(command)}")
    facts = {
        "model": config.model,
        "directory": model_dir,
        **dataclasses.asdict(spec),
        "output_dim": output_dim,
        "labels": labels_uri,
        "classes": len(names) if names else None,
        "parameters": model.num_parameters if model else None,
        "outputs_are_probabilities": model.outputs_are_probabilities if model else None,
        "input_range_of_first_layer": model.first_layer.wanted if model else None,
        "warnings": model.warnings if model else (),
        "notes": notes,
        "to_decide": dict(undecided),
        "commands": commands,
    }
    return Outcome(facts=facts)


def _commands(
    config: InspectConfig, model: "ImageModel | None", input_range: str | None
) -> tuple[str, str]:
    flags = ["--input", "photos/", "--model", config.model]
    if config.signature:
        flags += ["--signature", config.signature]
    if config.output_key:
        flags += ["--output_key", config.output_key]
    if config.image_size:
        flags += ["--image_size", "{}x{}".format(*config.image_size)]
    elif model is None:
        flags += ["--image_size", "SIZE"]
    if input_range is not None:
        flags += ["--input_range", input_range]
    embed = ["python", "-m", "pipelines.embed", *flags, "--output", "vectors/"]
    classify = ["python", "-m", "pipelines.classify", *flags, "--output", "classes/"]
    if config.labels:
        classify += ["--labels", config.labels]
    if model is not None and model.outputs_are_probabilities:
        classify += ["--activation", "none"]
    elif model is not None and model.output_dim == 1:
        classify += ["--activation", "sigmoid"]
    return shlex.join(embed), shlex.join(classify)


def _print_rows(title: str, rows: Rows) -> None:
    if title and rows:
        print(f"\n{title}")
    if rows:
        print(textwrap.indent(align(rows, _NAME_WIDTH), "  "))


if __name__ == "__main__":
    exit_at_once(main())
