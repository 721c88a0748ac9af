"""How a model is called, in words."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Not for Beam: nothing here is called by it.
    from transforms.models.spec import ModelSpec


def called_as(spec: "ModelSpec") -> str:
    """Says what of a SavedModel is called."""
    called = {"callable": "the object itself", "signature": f"signature {spec.endpoint}"}
    return called.get(spec.kind, f"sub-callable {spec.endpoint}")


def describe_contract(
    spec: "ModelSpec", image_size: tuple[int, int], pixel_range: tuple[float, float]
) -> str:
    """Says on one line what is called, with what, and what comes out.

    Args:
        spec: The model.
        image_size: (height, width) in pixels of what it will get.
        pixel_range: Smallest and largest value of a pixel that it will get.
    """
    height, width = image_size
    low, high = pixel_range
    return (
        f"{called_as(spec)}, {spec.dtype} [{spec.batch_size or 'batch'}, {height}, {width}, 3] "
        f"from {low:g} to {high:g} in, float32 [batch, {spec.output_dim or 'not declared'}] out"
    )
