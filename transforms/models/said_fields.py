"""Fields of a JSON file that somebody else wrote: each is checked as it is asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

from transforms.errors import ModelError
from transforms.images.policy import MAX_SIDE

Fields = Mapping[str, Any]


class SaidFields:
    """Fields of one file; a ModelError names the file, the field and what is wrong."""

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
