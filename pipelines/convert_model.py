"""python -m pipelines.convert_model: makes a model reusable, so that it needs no flags."""

import dataclasses
import logging
import os
import pathlib
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from pipelines.cli.flag import OPTIONS, REQUIRED, flag, image_size
from pipelines.cli.outcome import JsonFlags, Outcome
from pipelines.cli.program import Program, run_program
from pipelines.cli.wording import called_as, say, warn
from transforms.errors import InferenceError, ModelError, RunError
from transforms.images.policy import INPUT_RANGES, Preprocessing
from transforms.machine.garbage import exit_at_once, importing
from transforms.machine.tensorflow_runtime import import_tensorflow

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    import numpy as np
    import numpy.typing as npt

    from transforms.models.first_layer import AssumedRange
    from transforms.models.reusable_model import ReusableModel
    from transforms.models.spec import ModelSpec

DESCRIPTION = """\
Writes a model anew as TF Hub's API for images wants it: called as an object, on float32 images in
[0, 1], with one row of numbers for each, and with what it has for fine-tuning. Its answers stay
what they were to the bit, which is checked on a few images, on the CPU, before it has its name.

  python -m pipelines.convert_model --model keras_export/ --input_range -1,1 --output reusable/
  python -m pipelines.embed --input photos/ --model reusable/ --output vectors/"""

_EPILOG = """\
exit codes: 0 written; 1 the new model answers differently; 2 bad flag or model"""

_CHECKED_IMAGES = 8
_ANY_SIDE = 224
"""Pixels a side of the images that a model of any size is checked on."""

_Size = tuple[int, int]
_Sizes = tuple[tuple[int | None, int | None], ...]
_Outputs: TypeAlias = "npt.NDArray[np.float32]"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ConvertConfig(JsonFlags):
    """The flags of pipelines.convert_model."""

    model: str = flag("as --model of embed and classify", OPTIONS, REQUIRED, metavar="HANDLE")
    output: str = flag("local directory, empty or new", OPTIONS, REQUIRED, metavar="DIR")
    signature: str | None = flag("signature or sub-callable to keep", OPTIONS, metavar="NAME")
    output_key: str | None = flag("which of its outputs to keep", OPTIONS, metavar="NAME")
    image_size: tuple[int, int] | None = flag(
        "pixels, SIDE or HEIGHTxWIDTH, to fix (default: all that the model takes)",
        OPTIONS,
        read=image_size,
        metavar="SIZE",
    )
    input_range: str | None = flag(
        f"range of the pixels that the model wants (default: the model's, else {INPUT_RANGES[0]})",
        OPTIONS,
        choices=INPUT_RANGES,
    )


PROGRAM = Program(
    "convert_model",
    ConvertConfig,
    DESCRIPTION,
    usage="--model HANDLE --output DIR [flags]",
    epilog=_EPILOG,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program.

    Returns:
        The exit code: 0; 1 if the new model answers differently; 2 for a bad flag or model.
    """
    return run_program(argv, PROGRAM, _convert)


def _convert(config: ConvertConfig) -> Outcome:
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # A GPU's compiler moves the last bits.
    # A misspelt path does not wait for TensorFlow.
    from transforms.files.new_directory import check_new_directory
    from transforms.models.handle import find_model, resolve_model

    output = check_new_directory(config.output)
    _refuse_onnx(find_model(config.model), config.model)
    with importing():
        import_tensorflow()
        import tensorflow as tf

        from pipelines.running.noted_flags import listed, read_noted
        from transforms.models.inspection import inspect_saved_model
        from transforms.models.notes import NOTES_FILE, assume_range, beyond_flags, encode_notes
        from transforms.models.reusable_model import load_reusable, save_reusable

    model_dir = resolve_model(config.model)
    _refuse_onnx(model_dir, config.model)
    spec = inspect_saved_model(model_dir, signature=config.signature, output_key=config.output_key)
    sizes = spec.image_sizes
    if config.image_size:
        sizes = (spec.choose_image_size(config.image_size),)
    notes = dict(read_noted(config.model, model_dir))
    if spec.dtype == "uint8":  # What files say of a range is done in the graph.
        notes.pop("input_range", None)
    input_range = config.input_range or notes.get("input_range", INPUT_RANGES[0])
    is_open = config.input_range is None and spec.dtype != "uint8"
    assumed = assume_range(model_dir, input_range) if is_open else None
    wanted = _wanted(model_dir, spec, sizes, input_range, assumed)
    if unsaid := beyond_flags(model_dir):
        warn(f"{unsaid}, which no flag does")
    module = load_reusable(model_dir, spec, image_size=config.image_size, input_range=input_range)
    # The scaling is inside from here on, the rest is as it was.
    kept = {**notes, "input_range": INPUT_RANGES[0]} if notes else {}

    def finish(directory: str) -> None:
        if kept:
            path = pathlib.Path(directory, NOTES_FILE)
            path.write_text(encode_notes(kept), encoding="utf-8", newline="\n")
        _check(directory, wanted)

    with tempfile.TemporaryDirectory() as scratch:
        if spec.labels:
            module.labels = tf.saved_model.Asset(_labels_as_text(spec.labels, scratch))
        save_reusable(module, output, sizes[0], check=finish)

    pixels = "0,255" if spec.dtype == "uint8" else input_range
    _report(config, spec, module, sizes, wanted, pixels)
    if kept:
        say("noted", f"{NOTES_FILE} in it says {listed(kept)}")
    facts = {
        "model": config.model,
        "input_range": pixels,
        "output_dim": next(iter(wanted.values())).shape[1],
        "image_sizes": sizes,
        "checked_image_sizes": list(wanted),
        "variables": len(module.variables),
        "trainable_variables": len(module.trainable_variables),
        "regularization_losses": len(module.regularization_losses),
        "output": output,
    }
    return Outcome(facts=facts)


def _refuse_onnx(model_dir: str | None, handle: str) -> None:
    """Refuses what embed and classify take as it is."""
    from transforms.models.onnx_files import is_onnx

    if model_dir is not None and is_onnx(model_dir):
        raise ModelError(
            f"{handle} is ONNX, and convert_model writes SavedModels anew: embed and classify take "
            "it as it is, with the flags of its image_model.json"
        )


def _labels_as_text(uri: str, directory: str) -> str:
    """Returns the path of a labels.txt, as it is found beside a model: this one, or one written."""
    from transforms.models.class_names import labels_as_text, read_labels

    if os.path.basename(uri) == "labels.txt":
        return uri
    path = pathlib.Path(directory, "labels.txt")
    path.write_text(labels_as_text(read_labels(uri)), encoding="utf-8", newline="\n")
    return str(path)


def _wanted(
    model_dir: str,
    spec: "ModelSpec",
    sizes: _Sizes,
    input_range: str,
    assumed: "AssumedRange | None",
) -> dict[_Size, _Outputs]:
    """Returns the answers of a model as it is, by image size; warns of what is in doubt."""
    wanted: dict[_Size, _Outputs] = {}
    warnings: dict[str, None] = {}
    for height, width in sizes:
        size = height or _ANY_SIDE, width or _ANY_SIDE
        wanted[size], noticed = _answers(model_dir, spec, size, input_range, assumed)
        warnings |= dict.fromkeys(noticed)
    for warning in warnings:
        warn(warning)
    return wanted


def _answers(
    model_dir: str,
    spec: "ModelSpec",
    size: _Size,
    input_range: str,
    assumed: "AssumedRange | None" = None,
) -> tuple[_Outputs, tuple[str, ...]]:
    """Returns what a run gets of a model for made-up images, and warns of.

    That is float32 [batch, output_dim], and sentences.
    """
    from transforms.images.made_up_images import sample_images
    from transforms.images.preprocessor import Preprocessor
    from transforms.models.engine_settings import EngineSettings
    from transforms.models.image_model import ImageModel

    policy = Preprocessing(image_size=size, input_range=input_range, dtype=spec.dtype)
    settings = EngineSettings(pixel_range=policy.pixel_range)
    model = ImageModel(
        model_dir,
        spec,
        image_size=size,
        settings=settings,
        assumed_range=assumed,
    )
    pixels = Preprocessor(policy)(sample_images(_CHECKED_IMAGES, size)).pixels
    try:
        return model(pixels), model.warnings
    except InferenceError as error:
        raise ModelError(f"the model fails on made-up images: {error}") from error


def _check(directory: str, wanted: dict[_Size, _Outputs]) -> None:
    """Compares the answers of the model as it was written with those wanted, by image size."""
    import numpy as np

    from transforms.models.inspection import inspect_saved_model

    spec = inspect_saved_model(directory)
    for size, outputs in wanted.items():
        found, _ = _answers(directory, spec, size, "0,1")
        if not np.array_equal(found, outputs):
            raise RunError(
                f"converted, the model's answers differ by up to {np.abs(found - outputs).max():g} "
                f"from the original's, of up to {np.abs(outputs).max():g}; nothing is written"
            )


def _report(
    config: ConvertConfig,
    spec: "ModelSpec",
    module: "ReusableModel",
    sizes: _Sizes,
    wanted: dict[_Size, _Outputs],
    pixels: str,
) -> None:
    was = "called as an object" if spec.kind == "callable" else called_as(spec)
    layout = "" if spec.layout == "RGB" else f", as {spec.layout}"
    output_key = f" to {spec.output_key}" if spec.output_key else ""
    output_dim = next(iter(wanted.values())).shape[1]
    checked = " and ".join(f"{height}x{width}" for height, width in wanted)
    rows = {
        "was": f"{was}: {spec.dtype} {_shapes(sizes, spec.batch_size)} of range {pixels}"
        f"{layout}{output_key}",
        "is": f"called as an object: float32 {_shapes(sizes)} of range 0,1 to "
        f"float32 [batch, {output_dim}]",
        "holds": f"{len(module.variables):,} variables, {len(module.trainable_variables):,} of "
        f"them trainable; {len(module.regularization_losses):,} regularization losses",
        "checked": f"{_CHECKED_IMAGES} made-up images of {checked}: greatest difference 0",
        "written": config.output,
    }
    for name, value in rows.items():
        say(name, value)
    if not (len(sizes) == 1 and sizes[0] in wanted):
        print("It takes several sizes, as before: choose one with --image_size when you run it.")


def _shapes(sizes: _Sizes, batch_size: int | None = None) -> str:
    """Says the shapes of images, such as "[batch, 224, 224, 3] or [batch, 320, 320, 3]"."""
    return " or ".join(
        f"[{batch_size or 'batch'}, {height or 'height'}, {width or 'width'}, 3]"
        for height, width in sizes
    )


if __name__ == "__main__":
    exit_at_once(main())
