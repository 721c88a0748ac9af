"""The files beside a model that say what it wants of images, and the part of them that says it.

    processor_config.json       {"image_processor": {"image_mean": ...}}    transformers since 5
    preprocessor_config.json    {"image_mean": ...}                         transformers
                                {"data_config": {"mean": ...}}              timm in transformers
    config.json                 {"pretrained_cfg": {"mean": ...}}           timm
                                {"input_size": ..., "mean": ...}            timm before 0.9
                                {"image_size": 224}                         transformers

Source: get_image_processor_dict of transformers 5.24's image_processing_base.py, which prefers the
first; timm 1.0.31's models/_hub.py.
"""

import json
from typing import Any, NamedTuple

from transforms.errors import ModelError
from transforms.models.onnx_files import CONFIG_FILE, PREPROCESSOR_FILE, PROCESSOR_FILE, is_onnx
from transforms.models.places import find_beside
from transforms.models.said_fields import Fields

_MAX_BYTES = 16 * 2**20
_NESTED = ("image_processor", "data_config", "pretrained_cfg")


class ProcessorFile(NamedTuple):
    """What a file says of images.

    Attributes:
        name: Name of the file.
        path: Path of it, for messages.
        fields: What it says.
    """

    name: str
    path: str
    fields: Fields

    @property
    def is_timm(self) -> bool:
        """Whether it says it in timm's words."""
        return "input_size" in self.fields and "mean" in self.fields


def find_processor_file(model_dir: str) -> ProcessorFile | None:
    """Finds what says most of a model's images; None if nothing does.

    Args:
        model_dir: A directory that holds saved_model.pb, or an ONNX file.

    Raises:
        ModelError: If a file cannot be read.
    """
    names = [PROCESSOR_FILE, PREPROCESSOR_FILE]
    if is_onnx(model_dir):  # That of a SavedModel may be Keras'.
        names.append(CONFIG_FILE)
    for name in names:
        path = find_beside(model_dir, name)
        if path is None:
            continue
        content = _read(path)
        inner = next((content[key] for key in _NESTED if isinstance(content.get(key), dict)), None)
        found = ProcessorFile(name, path, content if inner is None else inner)
        says = {
            PROCESSOR_FILE: inner is not None,
            PREPROCESSOR_FILE: True,
            CONFIG_FILE: found.is_timm or inner is not None or "image_size" in content,
        }
        if says[name]:
            return found
    return None


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            content = json.loads(file.read(_MAX_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds no JSON object")
    return content
