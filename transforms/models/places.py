"""Where files lie that belong to a model: beside it, or above it where it is alone there.

unpacked/labels.txt                        Teachable Machine
unpacked/model.savedmodel/saved_model.pb

vit/config.json                            Hugging Face
vit/preprocessor_config.json
vit/saved_model/1/saved_model.pb
vit/onnx/model.onnx
"""

import os
from collections.abc import Iterable

from transforms.models.onnx_files import file_beside, is_onnx


def find_beside(model_dir: str, name: str) -> str | None:
    """Returns the path of a file that belongs to a model, or None.

    Args:
        model_dir: A directory that holds saved_model.pb, or an ONNX file.
        name: Name of the file.
    """
    if is_onnx(model_dir):
        return file_beside(model_dir, name)
    places = (os.path.join(place, name) for place in (model_dir, *places_above(model_dir)))
    return next((path for path in places if os.path.isfile(path)), None)


def places_above(model_dir: str) -> list[str]:
    """Returns the directories above a SavedModel that hold this model alone, the nearest first.

    A directory of models is no model's.
    """
    parent = os.path.dirname(os.path.abspath(model_dir))
    if not _is_alone(model_dir, parent):
        return []
    above = os.path.dirname(parent)
    is_further_up = os.path.basename(parent) == "saved_model" and _is_alone(parent, above)
    return [parent, above] if is_further_up else [parent]


def is_only(name: str, siblings: Iterable[str]) -> bool:
    """Tells whether a directory is the only one of those in its parent, but for hidden ones."""
    return [it for it in siblings if not it.startswith((".", "__"))] == [name]


def _is_alone(directory: str, parent: str) -> bool:
    try:
        with os.scandir(parent) as entries:
            names = [it.name for it in entries if it.is_dir()]
    except PermissionError:  # Others' models may be entered where they may not be listed.
        return False
    return is_only(os.path.basename(os.path.abspath(directory)), names)
