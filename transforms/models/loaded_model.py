"""A SavedModel loaded by TensorFlow and traced once, as every engine takes it."""

import math
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow.core.framework import graph_pb2
from tensorflow.python.framework import convert_to_constants

from transforms.errors import ModelError
from transforms.models.changed_variables import refuse_changes
from transforms.models.endpoint import ONLY_OUTPUT
from transforms.models.load_errors import as_model_error, cause
from transforms.models.model_files import check_files
from transforms.models.outputs import is_map_of_one
from transforms.models.plain_path import plain_path
from transforms.models.reference_variables import without_references
from transforms.models.spec import EndpointKind, ModelSpec, Training
from transforms.models.tensor_info import Layout

NO_ARGUMENTS: Mapping[str, object] = types.MappingProxyType({})


class LoadedModel(NamedTuple):
    """A restored SavedModel and the one function of it that is called.

    Attributes:
        function: Images in, [batch, height, width, 3] of the model's dtype; float32 out.
        graph: Graph of that function, the functions that it calls inlined. Variables are not in it:
            their handles come from placeholders.
        owner: The restored object. Variables live only as long as it does.
        variables: Variables of the part in use, each once.
        num_trainable_variables: Number of the object's variables for fine-tuning.
        num_regularization_losses: Number of the object's losses for fine-tuning.
    """

    function: tf.types.experimental.ConcreteFunction
    graph: graph_pb2.GraphDef
    owner: tf.Module
    variables: tuple[tf.Variable, ...]
    num_trainable_variables: int
    num_regularization_losses: int

    @property
    def batch_size(self) -> int | None:
        """Images in every call, or None for any number."""
        return self.function.inputs[0].shape[0]

    @property
    def sample_shape(self) -> list[int]:
        """Shape of the fewest images that a call takes."""
        return [self.batch_size or 1, *self.function.inputs[0].shape[1:].as_list()]

    @property
    def dtype(self) -> str:
        """NumPy name of the images' dtype."""
        return self.function.inputs[0].dtype.name

    @property
    def num_variables(self) -> int:
        """Number of the variables."""
        return len(self.variables)

    @property
    def num_parameters(self) -> int:
        """Number of floats in the variables."""
        return sum(math.prod(variable.shape) for variable in self.variables)

    @property
    def size_bytes(self) -> int:
        """Memory that the variables take, in bytes."""
        return sum(math.prod(item.shape) * item.dtype.size for item in self.variables)


def load_saved_model(
    model_dir: str,
    spec: ModelSpec,
    image_size: tuple[int, int],
    joined_keys: Sequence[str] = (),
) -> LoadedModel:
    """Loads a model and traces it once: as restored it would be traced for every batch size.

    Args:
        model_dir: A directory that holds saved_model.pb.
        spec: Contract of the call.
        image_size: (height, width) in pixels.
        joined_keys: Names of outputs to give side by side in place of the spec's one, or none.

    Raises:
        ModelError: If TensorFlow cannot, or a call would change the model.
    """
    owner = restore(model_dir, spec)
    with as_model_error("cannot load the model"):
        function = _trace(owner, spec, image_size, joined_keys)
    refuse_changes(function)
    variables = tuple({id(item): item for item in function.graph.variables}.values())
    trainable = [variable for variable in variables if variable.trainable]
    return LoadedModel(
        function=function,
        graph=_inline(function),
        owner=owner,
        variables=variables,
        num_trainable_variables=len(getattr(owner, "trainable_variables", trainable)),
        num_regularization_losses=len(getattr(owner, "regularization_losses", ())),
    )


def restore(model_dir: str, spec: ModelSpec) -> tf.Module:
    """Restores a SavedModel, or in its place what TensorFlow 2 can work with.

    Raises:
        ModelError: If a file is missing, or TensorFlow cannot.
    """
    check_files(model_dir, spec.files)
    with as_model_error("cannot load the model"):
        try:
            owner = tf.saved_model.load(plain_path(model_dir), tags=list(spec.tags))
        except tf.errors.DataLossError as error:
            raise ModelError(
                f"the model is not whole: its variables are damaged ({cause(error)}); copy it again"
            ) from error
        if spec.kind is EndpointKind.SIGNATURE and not (spec.switches or spec.defaults):
            return without_references(owner, spec.endpoint, spec.output_key)
        return owner


def part_in_use(owner: tf.Module, spec: ModelSpec) -> tf.Module:
    """Returns the restored object, or its attribute that is called instead."""
    return getattr(owner, spec.endpoint) if spec.kind is EndpointKind.SUB_CALLABLE else owner


def image_function(
    owner: tf.Module,
    spec: ModelSpec,
    *,
    training: bool = False,
    arguments: Mapping[str, object] = NO_ARGUMENTS,
    joined_keys: Sequence[str] = (),
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns what maps images to the output in use: float32 of the model's own shape, or a row.

    Args:
        owner: The restored object.
        spec: Contract of the call; images are RGB whatever its layout.
        training: Value of `training` where the model takes that.
        arguments: Further arguments: some of the spec's hyperparameters.
        joined_keys: Names of outputs to give side by side in place of the spec's one, or none.
    """
    call = _endpoint(owner, spec, {**arguments, "training": training})

    def run(images: tf.Tensor) -> tf.Tensor:
        outputs = call(_in_layout(images, spec.layout))
        if not joined_keys:
            return _output(outputs, spec.output_key)
        rows = [_output(outputs, key) for key in joined_keys]
        return tf.concat([row[:, 0, 0, :] if row.shape.rank == 4 else row for row in rows], axis=1)

    return run


def _output(outputs: Any, key: str) -> tf.Tensor:  # noqa: ANN401 - as the model returns them
    """Returns an output as float32; a map of one place, [batch, output_dim, 1, 1], as a row."""
    if key != ONLY_OUTPUT:
        outputs = outputs[int(key) if isinstance(outputs, tuple | list) else key]
    output = tf.cast(outputs, tf.float32)
    is_map = output.shape.rank is not None and is_map_of_one(output.shape.as_list())
    return tf.squeeze(output, [2, 3]) if is_map else output


def _in_layout(images: tf.Tensor, layout: Layout) -> tf.Tensor:
    """Makes [batch, height, width, 3] what a model takes; gray is the luma of ITU-R BT.601."""
    if layout.is_gray:
        images = tf.image.rgb_to_grayscale(images)
    return tf.transpose(images, [0, 3, 1, 2]) if layout.is_channels_first else images


def _trace(
    owner: tf.Module, spec: ModelSpec, image_size: tuple[int, int], joined_keys: Sequence[str]
) -> tf.types.experimental.ConcreteFunction:
    call = image_function(owner, spec, joined_keys=joined_keys)

    @tf.function(
        input_signature=[tf.TensorSpec([spec.batch_size, *image_size, 3], spec.dtype)],
        autograph=False,
    )
    def run(images: tf.Tensor) -> tf.Tensor:
        return call(images)

    return run.get_concrete_function()


def _inline(function: tf.types.experimental.ConcreteFunction) -> graph_pb2.GraphDef:
    """Returns a function's graph with its calls inlined; branches and loops stay.

    No public API of TensorFlow 2.21, which setup.py asks for, does it.
    """
    return convert_to_constants._run_inline_graph_optimization(
        function, lower_control_flow=False, aggressive_inlining=False
    )


def _endpoint(
    owner: tf.Module, spec: ModelSpec, arguments: dict[str, object]
) -> Callable[[tf.Tensor], Any]:
    if spec.kind is EndpointKind.SIGNATURE:
        signature = owner.signatures[spec.endpoint]
        others = {name: tf.constant(False) for name in spec.switches}
        for name, value in spec.defaults:
            others[name] = tf.constant(value, signature.structured_input_signature[1][name].dtype)
        return lambda images: signature(**{spec.input_name: images, **others})
    function = part_in_use(owner, spec)
    if spec.training is Training.ABSENT:
        del arguments["training"]
    return lambda images: function(images, **arguments)
