"""The model of a transform: found, inspected and settled where the pipeline is built."""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from transforms.errors import printable
from transforms.images.policy import Preprocessing, fits_dtype
from transforms.models.handle import resolve_model
from transforms.models.notes import beyond_flags, read_notes
from transforms.models.spec import ModelSpec
from transforms.steps.launched_model import launch_model, make_handler, settle_engine
from transforms.steps.saved_model_handler import SavedModelHandler

_logger = logging.getLogger(__name__)


class SettledModel(NamedTuple):
    """A model with nothing left open, for every worker alike.

    Attributes:
        spec: Contract of the model's call.
        policy: Preprocessing of every image.
        handler: What loads and runs it.
        notes: Flags that the model wants, by its own notes.
    """

    spec: ModelSpec
    policy: Preprocessing
    handler: SavedModelHandler
    notes: Mapping[str, Any]


def settle_model(
    model: str,
    *,
    signature: str | None,
    output_key: str | None,
    image_size: tuple[int, int] | None,
    preprocessing: Mapping[str, Any],
    **engine: Any,  # noqa: ANN401 - as settle_engine takes it
) -> SettledModel:
    """Finds and inspects a model; loads no weights unless precision is "auto".

    Logs a warning of what the model's files want and no argument does, unless resize_mode is given.

    Args:
        model: Handle of the SavedModel.
        signature: Signature or sub-callable to run, if the model has several.
        output_key: Output to take, if the model has several.
        image_size: Height and width in pixels; None for what the model says.
        preprocessing: Fields of Preprocessing that are given, by name; others are the model's own.
        **engine: How to run it, as for settle_engine.

    Raises:
        ModelError: If it cannot be found, is not whole, cannot be called so, or its image size is
            not known.
        FlagError: If an option has a value that cannot be.
    """
    model_dir = resolve_model(model)
    notes = read_notes(model_dir)
    if "resize_mode" not in preprocessing and (unsaid := beyond_flags(model_dir)):
        _logger.warning(
            "%s, which no argument does; resize_mode and input_range say what is done instead",
            printable(unsaid),
        )
    fields = {field.name: field.default for field in dataclasses.fields(Preprocessing)}
    noted = {name: value for name, value in notes.items() if name in fields}
    chosen = {**noted, **preprocessing}
    input_range = str(chosen.get("input_range", fields["input_range"]))
    launched = launch_model(
        model,
        model_dir,
        signature=signature,
        output_key=output_key,
        image_size=image_size,
        input_range=input_range,
        is_range_given="input_range" in preprocessing,
    )
    if "input_range" not in preprocessing and not fits_dtype(input_range, launched.spec.dtype):
        del chosen["input_range"]  # What files say of a range is done in the graph.
    whole = {"box_margin": None}  # Elements have no boxes.
    own = {"image_size": launched.image_size, "dtype": launched.spec.dtype, **whole}
    policy = Preprocessing(**{**chosen, **own})
    settings = settle_engine(launched, policy, **engine)
    return SettledModel(launched.spec, policy, make_handler(launched, settings), notes)
