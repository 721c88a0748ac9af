"""A signature that scales pixels before it calls a model that does not.

    serving_default    uint8 images --> x / 127.5 - 1 --> the model: what its author serves
    __call__           float32 images ------------------> the model

Called as an object, such a model is given pixels in a range that only its author knows.
"""

from transforms.errors import ModelError
from transforms.models.contract import takes_unit_range
from transforms.models.first_layer import FirstLayer
from transforms.models.inspection import inspect_saved_model
from transforms.models.loaded_model import LoadedModel, retrace
from transforms.models.spec import EndpointKind, ModelSpec
from transforms.models.uniform_images import look_at_first_layer

_SERVED = "serving_default"
_LEVELS = "0,255"


def refuse_unscaled_call(
    model_dir: str, spec: ModelSpec, loaded: LoadedModel, layer: FirstLayer, assumed: str
) -> None:
    """Refuses to call a model as an object where its signature does more to pixels.

    Models in the form of TF Hub's API are let pass: they take [0, 1].

    Args:
        model_dir: A directory that holds saved_model.pb.
        spec: Contract of the call.
        loaded: The model.
        layer: What its first layer sees, called so.
        assumed: Range that images would have, which nobody chose.

    Raises:
        ModelError: Names the signature.
    """
    is_other = spec.kind is EndpointKind.CALLABLE and _SERVED in spec.signatures
    if not (is_other and layer.seen and layer.sees_all_as_given) or takes_unit_range(model_dir):
        return
    try:
        served = inspect_saved_model(model_dir, signature=_SERVED)
        _, height, width, _ = loaded.sample_shape
        size = served.choose_image_size((height, width))
        seen = look_at_first_layer(retrace(loaded, served, size))
    except ModelError:  # It takes no pixels, or no such ones: nothing is to be learned from it.
        return
    # Levels are what uint8 images are, whatever the range.
    name = assumed if served.dtype == "uint8" else _LEVELS
    if not seen.seen or seen.seen[_LEVELS].is_close_to(layer.seen[name]):
        return
    wanted = "" if seen.wanted is None else f" --input_range {seen.wanted}"
    raise ModelError(
        f"the signature {_SERVED} does more to pixels than the model that it calls: give "
        f"--signature {_SERVED}{wanted}, which does all that its author serves; or --input_range, "
        "the range that the model was trained on"
    )
