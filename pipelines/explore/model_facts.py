"""What inspect_model says of a model, in words: rows of (name, value)."""

from typing import TYPE_CHECKING

from pipelines.cli.wording import called_as
from transforms.images.policy import INPUT_RANGES
from transforms.models.first_layer import describe_view

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    from transforms.models.image_model import ImageModel
    from transforms.models.spec import ModelSpec

Rows = list[tuple[str, str]]

_SHOWN_LABELS = 6


def describe_call(spec: "ModelSpec") -> Rows:
    """Says what wrote the model, how it is called, and what images it takes."""
    sizes = ", ".join(
        "any size" if height is None and width is None else f"{height or 'any'}x{width or 'any'}"
        for height, width in spec.image_sizes
    )
    version = spec.tensorflow_version or "(version not recorded)"
    rows = [
        ("written by", spec.written_by or f"TensorFlow {version}"),
        ("format", _format(spec)),
        ("called as", called_as(spec)),
        ("images", f"{spec.input_name}: {spec.dtype} {_layout(spec)}"),
        ("image size", f"{sizes} (height x width)"),
        ("batch size", "any" if spec.batch_size is None else f"{spec.batch_size}, padded"),
        ("training", f"{spec.training}" + ("" if spec.training == "absent" else ", False here")),
    ]
    rows += _before(spec)
    if spec.switches:
        rows.append(("switches", f"{', '.join(spec.switches)}: False here"))
    if spec.defaults:
        values = ", ".join(f"{name}: {value}" for name, value in spec.defaults)
        rows.append(("other inputs", f"{values}, as declared"))
    others = [name for name in (*spec.signatures, *spec.sub_callables) if name != spec.endpoint]
    if spec.hyperparameters:
        values = ", ".join(f"{name}={value}" for name, value in spec.hyperparameters)
        rows.append(("hyperparameters", f"{values} (left at these)"))
    if others:
        rows.append(("other entries", ", ".join(dict.fromkeys(others))))
    return rows


def _format(spec: "ModelSpec") -> str:
    if spec.kind == "graph":
        return "ONNX: data and no code"
    return "TF1 Hub module" if spec.hub_module else "SavedModel"


def _before(spec: "ModelSpec") -> Rows:
    """Says what is put before a graph, of pixels in [0, 1]."""
    rows = []
    if spec.pixel_scale:
        scale, shift = (
            ", ".join(f"{value:.4g}" for value in values)
            for values in (spec.pixel_scale, spec.pixel_shift)
        )
        rows.append(("put before it", f"red, green, blue of 0,1 times {scale}, plus {shift}"))
    if spec.is_bgr:
        rows.append(("" if rows else "put before it", "blue first"))
    return rows


def _layout(spec: "ModelSpec") -> str:
    channels = 1 if spec.layout.is_gray else 3
    made = ", gray: the luma of RGB" if spec.layout.is_gray else ""
    if spec.layout.is_channels_first:
        return f"[batch, {channels}, height, width]{made}"
    return f"[batch, height, width, {channels}]{made}"


def describe_weights(spec: "ModelSpec", model: "ImageModel | None") -> Rows:
    """Says how large the model is, if it was loaded."""
    if model is None:
        return []
    if not model.num_variables:
        return [("variables", "none")]
    weights = ("variables", f"{model.num_variables:,} with {model.num_parameters:,} parameters")
    if spec.kind == "graph":
        return [weights]
    return [
        weights,
        ("trainable", f"{model.num_trainable_variables:,} variables"),
        ("regularization", f"{model.num_regularization_losses:,} losses"),
    ]


def describe_output(spec: "ModelSpec", model: "ImageModel | None") -> Rows:
    """Says what the model returns; its values are known if it was loaded, and run."""
    output_dim = model.output_dim if model else spec.output_dim
    rows = [("output", f"float32 [batch, {output_dim or 'not declared'}]")]
    if spec.output_key:
        others = f" of {', '.join(spec.output_keys)}" if len(spec.output_keys) > 1 else ""
        rows.append(("output key", spec.output_key + others))
    if model is None:
        return [*rows, ("values", "not probed: the image size is not known")]
    low, high = model.output_range
    kind = "no probabilities (logits or features)"
    if output_dim == 1:
        kind = "one logit" if not model.outputs_are_probabilities else "one probability, in [0, 1]"
        kind += ", of the positive class of two"
    elif model.outputs_are_probabilities:
        kind = "probabilities: each row sums to 1, or each is a sigmoid's"
    elif low >= 0 and high <= 1:
        kind = "all in [0, 1] without summing to 1: sigmoid probabilities or features, either"
    rows += [("values", kind), ("range", f"{low:.4g} to {high:.4g} on random images")]
    return rows + [("warning", text) for text in model.warnings]


def describe_activation(model: "ImageModel") -> str:
    """Says which activation a model's outputs want."""
    if model.outputs_are_probabilities:
        of_one = ", of one class; chosen by itself" if model.output_dim == 1 else ""
        return "none: it returns probabilities" + of_one
    if model.output_dim == 1:
        return "sigmoid: it returns one logit; chosen by itself, if a classifier"
    return "softmax, or sigmoid if several classes can hold; if a classifier"


def describe_first_layer(spec: "ModelSpec", model: "ImageModel | None") -> Rows:
    """Says what the model's first layer sees of images, for each --input_range."""
    if model is None:
        return []
    layer = model.first_layer
    if layer.obstacle:
        return [("cannot be told", layer.obstacle)]
    rows = [("first layer", layer.kind)]
    if layer.order == "BGR":
        rows.append(("channels", "BGR: the model turns RGB round itself"))
    # What is put before a graph is put there for pixels in [0, 1] alone.
    is_unit_only = bool(spec.pixel_scale)
    for name, view in layer.seen.items():
        if is_unit_only and name != INPUT_RANGES[0]:
            continue
        note = ""
        if view.is_degenerate:
            note = ", next to nothing"
        elif name == layer.wanted:
            note = ", the right one"
        rows.append((f"with {name}", f"it sees {describe_view(view)}{note}"))
    return rows


def describe_labels(uri: str | None, names: tuple[str, ...]) -> Rows:
    """Says how many class names there are, and the first."""
    if not names:
        return []
    shown = "; ".join(names[:_SHOWN_LABELS]) + ("; ..." if len(names) > _SHOWN_LABELS else "")
    return [("labels", f"{len(names):,} of {uri}"), ("", shown)]


def list_missing(
    spec: "ModelSpec",
    model: "ImageModel | None",
    names: tuple[str, ...],
    misfit: str,
    *,
    is_unit: bool,
) -> Rows:
    """Lists the flags whose values the model's files do not say.

    Args:
        spec: Contract of the call, as the files say it.
        model: The loaded model, or None if its image size is not known.
        names: Names of its classes; may be empty.
        misfit: Reason that the labels beside the model are not its own, or nothing.
        is_unit: Whether the model's form says that it takes [0, 1].
    """
    rows = []
    if model is None:
        rows.append(("--image_size", "needed: the model takes several sizes"))
    if model is not None and model.first_layer.wanted is not None:
        wanted = model.first_layer.wanted
        rows.append(("--input_range", f"{wanted}, by what the first layer sees"))
    elif spec.dtype != "uint8":
        known = "0,1 unless its page says otherwise: it has the form of TF Hub's API"
        unknown = "what it was trained on, as its page or its training code says; its file does not"
        rows.append(("--input_range", known if is_unit else unknown))
    if not names:
        rows.append(("--labels", misfit or "class names, if it is a classifier; none came with it"))
    if model is not None:
        rows.append(("--activation", describe_activation(model)))
    if len(spec.output_keys) > 1:
        rows.append(("--output_key", f"one of {', '.join(spec.output_keys)}"))
    return rows
