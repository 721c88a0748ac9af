"""What a SavedModel cannot say of itself: the flags it wants, in a file beside saved_model.pb."""

import json
import os
from collections.abc import Mapping
from typing import Any

from transforms.errors import ModelError

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

    Raises:
        ModelError: If the notes cannot be read, or are of another form.
    """
    path = os.path.join(model_dir, NOTES_FILE)
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
