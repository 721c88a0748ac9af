"""What a model cannot say of itself: the flags it wants, in files beside it.

image_model.json is this pipeline's own. A model may have Hugging Face's files as well; where both
say something, image_model.json does.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

from transforms.errors import ModelError
from transforms.models.first_layer import AssumedRange
from transforms.models.image_processor import read_image_processor
from transforms.models.onnx_files import directory_of
from transforms.models.spec import ModelSpec

NOTES_FILE = "image_model.json"

_FORMAT_VERSION = 1


def encode_notes(flags: Mapping[str, Any]) -> str:
    """Returns the content of image_model.json.

    Args:
        flags: Values of flags of pipelines.embed and pipelines.classify, by the flag's name.
    """
    return json.dumps({"format_version": _FORMAT_VERSION, "flags": dict(flags)}, indent=2) + "\n"


def read_notes(model_dir: str) -> dict[str, Any]:
    """Reads the flags that a model wants; empty if it comes without notes.

    Args:
        model_dir: A directory that holds saved_model.pb, or an ONNX file.

    Raises:
        ModelError: If the notes cannot be read, or are of another form.
    """
    return {**read_image_processor(model_dir).flags, **_read_own(model_dir)}


def name_notes(model_dir: str) -> str:
    """Returns the names of the files that read_notes reads, for messages."""
    names = [NOTES_FILE] if _read_own(model_dir) else []
    names.append(read_image_processor(model_dir).source)
    return " and ".join(filter(None, names)) or NOTES_FILE


def assume_range(model_dir: str, input_range: str) -> AssumedRange | None:
    """Returns the range of pixels where it was not given, unless image_model.json says it.

    Args:
        model_dir: A directory that holds saved_model.pb, or an ONNX file.
        input_range: The range: the one of read_notes, or the default.
    """
    if "input_range" in _read_own(model_dir):
        return None
    processor = read_image_processor(model_dir)
    return AssumedRange(input_range, processor.source if "input_range" in processor.flags else "")


def noted_image_size(model_dir: str, spec: ModelSpec) -> tuple[int, int] | None:
    """Returns the size of images that a model's files say, in pixels, if the model takes it.

    Args:
        model_dir: A directory that holds saved_model.pb, or an ONNX file.
        spec: Contract of the call.
    """
    size = read_image_processor(model_dir).image_size
    return size if size is not None and spec.takes_image_size(size) else None


def beyond_flags(model_dir: str) -> str:
    """Says what a model's notes want of images that no flag does; nothing of most.

    Such as "preprocessor_config.json: it squashes to 256x256 and cuts 224x224 out of the middle".
    """
    processor = read_image_processor(model_dir)
    return f"{processor.source}: {processor.unsaid}" if processor.unsaid else ""


def _read_own(model_dir: str) -> dict[str, Any]:
    path = os.path.join(directory_of(model_dir), NOTES_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            notes = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error
    if not isinstance(notes, dict) or notes.get("format_version") != _FORMAT_VERSION:
        raise ModelError(f"{path} is not of format_version {_FORMAT_VERSION}")
    flags = notes.get("flags")
    if not isinstance(flags, dict):
        raise ModelError(f"{path} has no object named flags")
    return flags
