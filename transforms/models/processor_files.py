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
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from transforms.errors import ModelError
from transforms.images.policy import MAX_SIDE
from transforms.models.onnx_files import CONFIG_FILE, PREPROCESSOR_FILE, PROCESSOR_FILE, is_onnx
from transforms.models.places import find_beside

_MAX_BYTES = 16 * 2**20
Fields = Mapping[str, Any]

_NESTED = ("image_processor", "data_config", "pretrained_cfg")


class SaidFields:
    """Fields of a JSON file, each checked as it is asked for; a ModelError names what is wrong."""

    def __init__(self, fields: Fields, path: str) -> None:
        self._fields = fields
        self._path = path

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - of JSON
        """Returns a field as it is, or the default for null and none."""
        value = self._fields.get(name)
        return default if value is None else value

    def number(self, name: str, default: float) -> float:
        """Returns a number over 0."""
        value = self.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
            raise self._refusal(name, value, "a number over 0")
        return float(value)

    def colour(
        self, name: str, default: Sequence[float] = (), *, is_positive: bool = False
    ) -> tuple[float, ...]:
        """Returns a number each for red, green and blue."""
        value = self.get(name, default or None)
        values = [value] * 3 if isinstance(value, int | float) else value
        is_colour = (
            isinstance(values, Sequence)
            and len(values) in (1, 3)
            and all(isinstance(v, int | float) and abs(v) < 1e6 for v in values)
            and (not is_positive or all(v > 0 for v in values))
        )
        if not is_colour:
            raise self._refusal(name, value, "three numbers" + (" over 0" if is_positive else ""))
        return tuple(map(float, values)) * (3 // len(values))

    def size(self, name: str) -> tuple[int, int]:
        """Returns height and width in pixels."""
        value = self.get(name)
        if isinstance(value, dict):
            pair = (value.get("height"), value.get("width"))
        elif isinstance(value, list | tuple):
            pair = tuple(value[-2:]) if len(value) in (2, 3) else (None, None)
        else:
            pair = (value, value)
        return self._side(name, pair[0]), self._side(name, pair[1])

    def edge(self, name: str) -> int:
        """Returns the shorter side in pixels."""
        value = self.get(name)
        return self._side(name, value.get("shortest_edge") if isinstance(value, dict) else value)

    def _side(self, name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_SIDE:
            raise self._refusal(name, value, f"a side from 1 to {MAX_SIDE} pixels")
        return value

    def _refusal(self, name: str, value: object, wanted: str) -> ModelError:
        return ModelError(f"{self._path}: {name} is {str(value)[:80]!r}, want {wanted}")


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
