"""Any image SavedModel as TF Hub's API for images wants it: callable, on float32 in [0, 1].

Source: https://www.tensorflow.org/hub/common_saved_model_apis/images.
"""

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from transforms.errors import ModelError, OutputError, brief
from transforms.files.new_directory import check_new_directory
from transforms.images.pixel_range import from_unit_range
from transforms.models.loaded_model import NO_ARGUMENTS, image_function, part_in_use, restore
from transforms.models.reference_variables import has_references
from transforms.models.spec import EndpointKind, ModelSpec

_Call = Callable[[tf.Tensor], tf.Tensor]


class ReusableModel(tf.Module):  # type: ignore[misc]
    """A restored SavedModel behind the reusable API; call it, build on it, save it.

    It gives what the pipeline gets of the original, bit for bit: pixels are brought to the
    original's range and dtype as a Preprocessor does it, and a fixed batch is filled up with the
    last image.

    Attributes:
        variables: Variables that a call uses.
        trainable_variables: Variables among these that the original has for fine-tuning. None of a
            signature without such a list: it is a graph for inference.
        regularization_losses: Functions of no arguments, each returns a scalar; the original's.
    """

    # Plain attributes, which are saved; tf.Module's own are properties, which are not.
    variables: Sequence[tf.Variable] = ()
    trainable_variables: Sequence[tf.Variable] = ()

    def __init__(
        self,
        owner: tf.Module,
        spec: ModelSpec,
        *,
        image_size: tuple[int, int] | None = None,
        input_range: str = "0,1",
        training_arguments: Mapping[str, object] = NO_ARGUMENTS,
    ) -> None:
        """Traces the call for inference and for training.

        Args:
            owner: The restored object; becomes part of this one.
            spec: Contract of the original's call.
            image_size: (height, width) in pixels, or None for every size that the original takes.
            input_range: Range that the original takes, one of INPUT_RANGES; of no effect for uint8.
            training_arguments: Arguments that the original is passed besides images in training:
                some of its hyperparameters.

        Raises:
            ModelError: If the original does not take that size.
            TypeError, ValueError: If it does not take those arguments.
        """
        super().__init__()
        # Variables live as long as their owner; as an attribute it is saved, too.
        self._owner = owner
        self._dtype = spec.dtype
        self._input_range = input_range
        self._infer = _any_batch(image_function(owner, spec), spec)
        # One that cannot train answers the same, as its callers may pass either.
        train = image_function(owner, spec, training=spec.trains, arguments=training_arguments)
        self._train = _any_batch(train, spec)
        traces = [
            self.__call__.get_concrete_function(images_of(size), training=training)
            for size in ([spec.choose_image_size(image_size)] if image_size else spec.image_sizes)
            for training in (False, True)
        ]
        # A call decides what is in use: an owner may have variables of parts that are not called.
        used = {id(item): item for trace in traces for item in trace.graph.variables}
        self.variables = list(used.values())
        self.trainable_variables = [
            item for item in _trainable(owner, spec, self.variables) if id(item) in used
        ]
        self.regularization_losses = _first("regularization_losses", owner, spec) or []

    @tf.function(autograph=False)
    def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Runs the model.

        Args:
            images: float32 [batch, height, width, 3] in [0, 1].
            training: Whether to act as in training; a Python bool.

        Returns:
            float32 [batch, output_dim].
        """
        call = self._train if training else self._infer
        return call(from_unit_range(images, self._input_range, self._dtype))


def load_reusable(
    model_dir: str,
    spec: ModelSpec,
    *,
    image_size: tuple[int, int] | None = None,
    input_range: str = "0,1",
    training_arguments: Mapping[str, object] = NO_ARGUMENTS,
) -> ReusableModel:
    """Loads a SavedModel and makes it reusable; see ReusableModel.

    Raises:
        ModelError: If it cannot be written again, or does not take that size.
        TypeError, ValueError: If it does not take those arguments.
    """
    owner = restore(model_dir, spec)
    if spec.kind is EndpointKind.SIGNATURE and has_references(owner, spec.endpoint):
        raise ModelError(
            "the model is of TF1, and has reference variables and lookup tables in one graph, "
            "which TensorFlow 2 runs but cannot write again"
        )
    return ReusableModel(
        owner,
        spec,
        image_size=image_size,
        input_range=input_range,
        training_arguments=training_arguments,
    )


def images_of(image_size: tuple[int | None, int | None]) -> tf.TensorSpec:
    """Returns what a reusable model of a size, (height, width), takes; None is any."""
    return tf.TensorSpec([None, *image_size, 3], tf.float32, "images")


def save_reusable(
    module: tf.Module,
    directory: str,
    image_size: tuple[int | None, int | None],
    *,
    signature: tf.types.experimental.ConcreteFunction | None = None,
    check: Callable[[str], None] = lambda directory: None,
) -> None:
    """Writes a reusable model, whole or not at all; by default its serving_default is its call.

    Args:
        module: A ReusableModel, or what is built on one and traced alike.
        directory: Local; absent or empty.
        image_size: (height, width) that the signature takes, or None for any.
        signature: Function that serving_default is instead of the call.
        check: Callback, given the directory of the written model before it has its name; raises to
            stop.

    Raises:
        OutputError: If the directory holds something, or cannot be written.
    """
    directory = check_new_directory(directory)
    parent, name = os.path.split(directory)
    # Hidden, and beside the directory: a rename within a file system is whole or not at all.
    partial = os.path.join(parent, f".{name}.{uuid.uuid4().hex}.partial")
    signature = signature or module.__call__.get_concrete_function(
        images_of(image_size), training=False
    )
    try:
        with _as_output_errors(directory):
            os.makedirs(parent, exist_ok=True)
            tf.saved_model.save(module, partial, signatures=signature)
        check(partial)
        with _as_output_errors(directory):
            os.rename(partial, directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _as_output_errors(directory: str) -> Iterator[None]:
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        raise OutputError(f"cannot write {directory}: {brief(error)}") from error


def _first(name: str, owner: tf.Module, spec: ModelSpec) -> Sequence[Any] | None:
    """Returns a list of the part in use, else of the whole object, else None."""
    return next(
        (getattr(it, name) for it in (part_in_use(owner, spec), owner) if hasattr(it, name)), None
    )


def _trainable(
    owner: tf.Module, spec: ModelSpec, variables: Sequence[tf.Variable]
) -> Sequence[tf.Variable]:
    declared = _first("trainable_variables", owner, spec)
    if declared is not None:
        return declared
    if spec.kind is EndpointKind.SIGNATURE:
        return []
    return [variable for variable in variables if variable.trainable]


def _any_batch(call: _Call, spec: ModelSpec) -> _Call:
    """Returns the call for any number of images, with one row of numbers for each."""
    size = spec.batch_size
    if size is None:
        return lambda images: _rows(call(images), images)

    # Six images for a model of batch 4: [0 1 2 3 4 5 5 5] as [2, 4, height, width, 3]; of the
    # eight rows the first six. All of it is in the graph, for the number is known when it runs.
    def run(images: tf.Tensor) -> tf.Tensor:
        count, sides = tf.shape(images)[0], tf.shape(images)[1:]
        calls = (count + size - 1) // size
        filled = tf.gather(images, tf.minimum(tf.range(calls * size), count - 1))
        batches = tf.reshape(filled, tf.concat([[calls, size], sides], 0))
        batches = tf.ensure_shape(batches, [None, size, *images.shape[1:]])
        rows = tf.map_fn(
            lambda batch: _rows(call(batch), batch), batches, fn_output_signature=tf.float32
        )
        return tf.reshape(rows, [calls * size, rows.shape[-1]])[:count]

    return run


def _rows(outputs: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Returns [batch, output_dim] of that or [batch, 1, 1, output_dim]."""
    if outputs.shape.rank == 4:
        return outputs[:, 0, 0, :]
    if outputs.shape.rank is None:  # Known once it runs; signatures of TF1 need not declare it.
        return tf.reshape(outputs, [tf.shape(images)[0], -1])
    return outputs
