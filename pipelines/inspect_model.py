"""python -m pipelines.inspect_model: what a model is, and the command that runs it."""

import argparse
import logging
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.cli.parser import image_size, refuse_in_one_line
from pipelines.cli.program import report_errors
from pipelines.cli.wording import called_as
from transforms.machine.garbage import exit_at_once, importing
from transforms.machine.noise import quiet_libraries
from transforms.machine.tensorflow_runtime import import_tensorflow

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    from transforms.models.image_model import ImageModel
    from transforms.models.spec import ModelSpec

DESCRIPTION = """\
Says what an image model is: how it is called, what it takes and returns, what its files do not
say, and the flags that say it. Loads the model and runs it on a few random images.

  python -m pipelines.inspect_model classifier/
  python -m pipelines.inspect_model https://tfhub.dev/google/bit/s-r50x1/1 --image_size 224"""

_SHOWN_LABELS = 6

_Rows = list[tuple[str, str]]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code: 0, or 2 for a bad flag or model."""

    def work() -> int:
        arguments = _make_parser().parse_args(argv)
        with quiet_libraries():
            return _inspect(arguments)

    return report_errors("inspect_model", work)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.inspect_model",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    refuse_in_one_line(parser)
    parser.add_argument("model", metavar="HANDLE", help="as --model of embed and classify")
    parser.add_argument("--signature", metavar="NAME", help="signature or sub-callable to look at")
    parser.add_argument("--output_key", metavar="NAME", help="which of its outputs")
    parser.add_argument(
        "--image_size", metavar="SIZE", type=image_size, help="pixels, SIDE or HEIGHTxWIDTH"
    )
    parser.add_argument("--labels", metavar="URI", help="class names: .txt, .csv or .json")
    return parser


def _inspect(arguments: argparse.Namespace) -> int:
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with importing():
        import_tensorflow()
        from transforms.errors import ModelError
        from transforms.machine.tensorflow_runtime import configure_tensorflow
        from transforms.models.class_names import labels_for, read_labels
        from transforms.models.handle import fingerprint_model, resolve_model
        from transforms.models.image_model import ImageModel
        from transforms.models.notes import NOTES_FILE, read_notes
        from transforms.models.spec import inspect_saved_model

    configure_tensorflow()
    model_dir = resolve_model(arguments.model)
    spec = inspect_saved_model(
        model_dir, signature=arguments.signature, output_key=arguments.output_key
    )
    size = arguments.image_size or spec.image_size
    model = None
    if size is not None:
        model = ImageModel(model_dir, spec, image_size=spec.choose_image_size(size))
    output_dim = model.output_dim if model else spec.output_dim

    labels_uri = arguments.labels or spec.labels
    names: tuple[str, ...] = ()
    misfit = ""
    if labels_uri is not None:
        names = read_labels(labels_uri)
        try:
            names = labels_for(names, len(names) if output_dim is None else output_dim)
        except ModelError as error:
            # Of a classifier's features, the labels that lie beside them are not a fault.
            if arguments.labels:
                raise
            names, misfit = (), f"those beside the model do not fit: {error}"

    where = [("model", arguments.model), ("directory", model_dir)]
    where.append(("fingerprint", fingerprint_model(model_dir)))
    _print_rows("", [*where, *_describe_call(spec), *_describe_weights(model)])
    _print_rows("output", [*_describe_output(spec, model), *_describe_labels(labels_uri, names)])
    notes = read_notes(model_dir)
    _print_rows(NOTES_FILE, [(f"--{name}", str(value)) for name, value in notes.items()])
    missing = _list_missing(spec, model, names, misfit)
    _print_rows("to decide", [row for row in missing if row[0].removeprefix("--") not in notes])
    print("\nrun it")
    for command in _commands(arguments, model, has_labels=bool(names)):
        print(f"  {command}")
    return 0


def _describe_call(spec: "ModelSpec") -> _Rows:
    sizes = ", ".join(
        "any size" if height is None and width is None else f"{height or 'any'}x{width or 'any'}"
        for height, width in spec.image_sizes
    )
    rows = [
        ("written by", f"TensorFlow {spec.tensorflow_version or '(version not recorded)'}"),
        ("format", "TF1 Hub module" if spec.hub_module else "SavedModel"),
        ("called as", called_as(spec)),
        ("images", f"{spec.input_name}: {spec.dtype} [batch, height, width, 3]"),
        ("image size", f"{sizes} (height x width)"),
        ("batch size", "any" if spec.batch_size is None else f"{spec.batch_size}, padded"),
        ("training", f"{spec.training}" + ("" if spec.training == "absent" else ", False here")),
    ]
    others = [name for name in (*spec.signatures, *spec.sub_callables) if name != spec.endpoint]
    if spec.hyperparameters:
        values = ", ".join(f"{name}={value}" for name, value in spec.hyperparameters)
        rows.append(("hyperparameters", f"{values} (left at these)"))
    if others:
        rows.append(("other entries", ", ".join(dict.fromkeys(others))))
    return rows


def _describe_weights(model: "ImageModel | None") -> _Rows:
    if model is None:
        return []
    if not model.num_variables:
        return [("variables", "none")]
    return [
        ("variables", f"{model.num_variables:,} with {model.num_parameters:,} parameters"),
        ("trainable", f"{model.num_trainable_variables:,} variables"),
        ("regularization", f"{model.num_regularization_losses:,} losses"),
    ]


def _describe_output(spec: "ModelSpec", model: "ImageModel | None") -> _Rows:
    output_dim = model.output_dim if model else spec.output_dim
    rows = [("output", f"float32 [batch, {output_dim or 'not declared'}]")]
    if spec.output_key:
        others = f" of {', '.join(spec.output_keys)}" if len(spec.output_keys) > 1 else ""
        rows.append(("output key", spec.output_key + others))
    if model is None:
        return [*rows, ("values", "not probed: the image size is not known")]
    low, high = model.output_range
    kind = "no probabilities (logits or features)"
    if model.outputs_are_probabilities:
        kind = "probabilities: not negative, and each row sums to 1"
    elif low >= 0 and high <= 1:
        kind = "all in [0, 1] without summing to 1: sigmoid probabilities or features, either"
    rows += [("values", kind), ("range", f"{low:.4g} to {high:.4g} on random images")]
    return rows + [("warning", text) for text in model.warnings]


def _describe_labels(uri: str | None, names: tuple[str, ...]) -> _Rows:
    if not names:
        return []
    shown = "; ".join(names[:_SHOWN_LABELS]) + ("; ..." if len(names) > _SHOWN_LABELS else "")
    return [("labels", f"{len(names):,} of {uri}"), ("", shown)]


def _list_missing(
    spec: "ModelSpec", model: "ImageModel | None", names: tuple[str, ...], misfit: str
) -> _Rows:
    rows = []
    if model is None:
        rows.append(("--image_size", "needed: the model takes several sizes"))
    if spec.dtype != "uint8":
        rows.append(("--input_range", "[0, 1] unless its page says otherwise; the file cannot say"))
    if not names:
        rows.append(("--labels", misfit or "class names, if it is a classifier; none came with it"))
    if model is not None:
        rows.append(
            ("--activation", "none: it returns probabilities")
            if model.outputs_are_probabilities
            else (
                "--activation",
                "softmax, or sigmoid if several classes can hold; if a classifier",
            )
        )
    if len(spec.output_keys) > 1:
        rows.append(("--output_key", f"one of {', '.join(spec.output_keys)}"))
    return rows


def _commands(
    arguments: argparse.Namespace, model: "ImageModel | None", *, has_labels: bool
) -> list[str]:
    flags = ["--input", "photos/", "--model", arguments.model]
    if arguments.signature:
        flags += ["--signature", arguments.signature]
    if arguments.output_key:
        flags += ["--output_key", arguments.output_key]
    if arguments.image_size:
        flags += ["--image_size", "{}x{}".format(*arguments.image_size)]
    elif model is None:
        flags += ["--image_size", "SIZE"]
    is_classifier = has_labels or (model is not None and model.outputs_are_probabilities)
    embed = ["python", "-m", "pipelines.embed", *flags, "--output", "vectors/"]
    classify = ["python", "-m", "pipelines.classify", *flags, "--output", "classes/"]
    if arguments.labels:
        classify += ["--labels", arguments.labels]
    if model is not None and model.outputs_are_probabilities:
        classify += ["--activation", "none"]
    commands = [shlex.join(embed), shlex.join(classify)]
    return commands[::-1] if is_classifier else commands


def _print_rows(title: str, rows: _Rows) -> None:
    if title and rows:
        print(f"\n{title}")
    for name, value in rows:
        print(f"  {name:<16} {value}")


if __name__ == "__main__":
    exit_at_once(main())
