"""How to call a model on images, as plain values: nothing of TensorFlow."""

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from transforms.errors import ModelError
from transforms.models.tensor_info import Layout

Scalar: TypeAlias = bool | int | float | str

INSPECTION_VERSION = 2
"""Raised with each change of what is found out of the same model. A refresh takes the spec that the
run before recorded, if it is of this version."""


class EndpointKind(enum.StrEnum):
    """How an endpoint is called."""

    CALLABLE = "callable"  # obj(images)
    SIGNATURE = "signature"  # obj.signatures[name](images)
    SUB_CALLABLE = "sub-callable"  # obj.name(images)
    GRAPH = "graph"  # an ONNX file, which is all of one


class Training(enum.StrEnum):
    """Whether a callable takes `training`, which must be a Python bool."""

    ABSENT = "absent"  # also where it is traced with its default None only: not to be passed
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """How a model is called on images.

    Attributes:
        kind: Way to call it: as an object, by a signature, by one of its attributes; or as a graph.
        endpoint: "__call__", the signature's name or the attribute's; of a graph its file's name.
        input_name: The image argument.
        dtype: NumPy name of the dtype that images are fed as, one of INPUT_DTYPES.
        image_size: (height, width) in pixels, or None where the caller chooses.
        image_sizes: Every size it was traced with, (height, width); None for any.
        batch_size: Images in every call, or None for any number.
        training: Whether it takes `training`, False for inference.
        trains: Whether it takes training=True too, for fine-tuning.
        hyperparameters: Other arguments of the call with their defaults; left alone but in
            fine-tuning.
        output_keys: Names of the outputs that can be used; "" for a bare tensor.
        output_key: Name of the output in use.
        output_rank: 2, or 4 for [batch, 1, 1, output_dim] and [batch, output_dim, 1, 1]; None if
            undeclared. For _run.json.
        output_dim: Width of the output, or None where it is not declared.
        signatures: All signatures.
        sub_callables: All attributes that take images, for --signature.
        tags: Tags of the meta graph in use; to be loaded with.
        hub_module: Whether it is in TF1 Hub's format.
        tensorflow_version: Version of TensorFlow that wrote it.
        labels: Path of the labels file that came with it, or None.
        files: Files beside saved_model.pb that it is restored from, for check_files.
        layout: Layout in which it takes the images.
        switches: Inputs beside the images that are given False: scalars of type bool.
        defaults: Inputs beside the images that are given the default that the signature declares
            for them, a scalar.
        written_by: Program that wrote an ONNX file, and its opset; nothing of SavedModels.
        pixel_scale: Factors of red, green and blue that are put before an ONNX graph, as the files
            beside it say; nothing if there are none.
        pixel_shift: What is added to each then.
        is_bgr: Whether blue is put first.
        inspection_version: Version of the inspection that found this out.
    """

    kind: EndpointKind
    endpoint: str
    input_name: str
    dtype: str
    image_size: tuple[int, int] | None
    image_sizes: tuple[tuple[int | None, int | None], ...]
    batch_size: int | None
    training: Training
    trains: bool
    hyperparameters: tuple[tuple[str, Scalar], ...]
    output_keys: tuple[str, ...]
    output_key: str
    output_rank: int | None
    output_dim: int | None
    signatures: tuple[str, ...]
    sub_callables: tuple[str, ...]
    tags: tuple[str, ...]
    hub_module: bool
    tensorflow_version: str
    labels: str | None
    files: tuple[str, ...]
    layout: Layout = Layout.RGB
    switches: tuple[str, ...] = ()
    defaults: tuple[tuple[str, Scalar], ...] = ()
    written_by: str = ""
    pixel_scale: tuple[float, ...] = ()
    pixel_shift: tuple[float, ...] = ()
    is_bgr: bool = False
    inspection_version: int = INSPECTION_VERSION

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "ModelSpec":
        """Makes what dataclasses.asdict and JSON made fields of, by name: lists were tuples.

        Raises:
            TypeError: If a field is missing, or there is one more.
            ValueError: If one has a value that cannot be.
        """
        kinds: dict[str, Callable[[Any], Any]] = {
            "kind": EndpointKind,
            "training": Training,
            "layout": Layout,
        }
        return cls(**{name: kinds.get(name, _frozen)(value) for name, value in fields.items()})

    def for_range(self, input_range: str) -> "ModelSpec":
        """Returns the contract for pixels of a range that the user may have chosen.

        What files say of pixels in [0, 1] is put before a graph for these alone; blue first, of any
        but "caffe", in which it is so already.
        """
        if input_range == "0,1":
            return self
        is_bgr = self.is_bgr and input_range != "caffe"
        return dataclasses.replace(self, pixel_scale=(), pixel_shift=(), is_bgr=is_bgr)

    def takes_image_size(self, image_size: tuple[int, int]) -> bool:
        """Whether images may have this height and width, in pixels."""
        return any(
            height in (None, image_size[0]) and width in (None, image_size[1])
            for height, width in self.image_sizes
        )

    def choose_image_size(self, image_size: tuple[int, int] | None = None) -> tuple[int, int]:
        """Settles the size of the images.

        Args:
            image_size: (height, width) as asked for, or None for the model's own.

        Returns:
            (height, width), in pixels.

        Raises:
            ModelError: If the model does not take that size, or the size must be given.
        """
        sizes = " or ".join(
            f"{height or 'any'} x {width or 'any'}" for height, width in self.image_sizes
        )
        if image_size is None:
            if self.image_size is None:
                raise ModelError(
                    f"the model takes images of several sizes, {sizes} (height x width); choose "
                    "with --image_size"
                )
            return self.image_size
        if not self.takes_image_size(image_size):
            raise ModelError(
                f"--image_size {image_size[0]}x{image_size[1]} does not fit the model, which takes "
                f"{sizes} (height x width)"
            )
        return image_size


def _frozen(value: Any) -> Any:  # noqa: ANN401 - of JSON
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
