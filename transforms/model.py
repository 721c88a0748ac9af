"""A loaded image model: pixels in, one row of numbers an image out."""

import contextlib
import math
from collections.abc import Callable, Collection, Iterator

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from transforms.endpoints import ONLY_OUTPUT, EndpointKind, Training
from transforms.errors import ModelCallError, ModelError
from transforms.saved_model import ModelSpec

MAX_FROZEN_BYTES = 256 * 2**20
"""Variables beyond this stay variables.

Frozen, MobileNetV2 is 1.6 times as fast on a CPU, EfficientNetB0 1.3, ResNet50 1.1: constants let
TensorFlow fold batch normalisation. But freezing takes 25 bytes of memory and 0.1 us for each byte
of variables, while the model loads.
"""

_INDEPENDENCE_TOLERANCE = 1e-2
"""Of the largest output: float16 and TensorFloat-32 differ by 1e-3 between batch sizes."""

_PROBE_IMAGES = 4
_MAX_ERROR_CHARS = 500  # TensorFlow's messages can hold a whole tensor

_LoadErrors = (tf.errors.OpError, ValueError, TypeError, OSError, RuntimeError, KeyError)


class ImageModel:
    """A SavedModel that is loaded, traced once, frozen and probed.

    Safe to call from several threads.

    Attributes:
        output_dim: Width of the output.
        outputs_are_probabilities: Whether the probe's rows are non-negative and sum to 1.
        output_range: Smallest and largest value of the probe's outputs.
        warnings: What the probe noticed that is worth telling the user.
        num_variables: Variables of the part in use.
        num_parameters: Numbers in them.
        num_trainable_variables: Of the variables, those for fine-tuning.
        num_regularization_losses: Of the object, if it has any.
        safe_batch_size: Most images in one call to the model, or None for any number.
    """

    def __init__(self, model_dir: str, spec: ModelSpec, *, image_size: tuple[int, int]) -> None:
        """Loads and probes a model.

        Args:
            model_dir: A directory that holds saved_model.pb.
            spec: How to call it.
            image_size: (height, width) in pixels.

        Raises:
            ModelError: If it cannot be loaded, or its answers to a few images make no sense.
        """
        self.safe_batch_size = spec.batch_size
        self._fixed_batch_size = spec.batch_size
        self._shape = (*image_size, 3)
        self._dtype = np.dtype(spec.dtype)
        with _as_model_error("cannot load the model"):
            loaded = tf.saved_model.load(model_dir, tags=list(spec.tags))
            traced = _trace(loaded, spec, image_size)
        variables = {id(variable): variable for variable in traced.graph.variables}.values()
        self.num_variables = len(variables)
        self.num_parameters = sum(math.prod(variable.shape) for variable in variables)
        trainable = [variable for variable in variables if variable.trainable]
        self.num_trainable_variables = len(getattr(loaded, "trainable_variables", trainable))
        self.num_regularization_losses = len(getattr(loaded, "regularization_losses", ()))
        self._function = _freeze(traced, variables)
        # Variables live only as long as the object does. Once they are constants they need not.
        is_self_contained = bool(variables) and self._function is not traced
        self._variables_owner = None if is_self_contained else loaded
        self._probe(spec)

    def __call__(self, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Runs the model.

        Args:
            pixels: [n, height, width, 3], of the model's dtype, size and range; n may be 0.

        Returns:
            float32 [n, output_dim].

        Raises:
            ValueError: If the pixels are of another dtype or shape; TensorFlow does not always say.
            RuntimeError: If the model returns another number of rows, or another width.
            tf.errors.OpError: If the model fails.
        """
        if pixels.dtype != self._dtype or pixels.shape[1:] != self._shape:
            raise ValueError(
                f"model takes {self._dtype} [n, {', '.join(map(str, self._shape))}], got "
                f"{pixels.dtype} {list(pixels.shape)}"
            )
        if not len(pixels):  # many models fail on an empty batch
            return np.empty((0, self.output_dim), np.float32)
        size = self.safe_batch_size or len(pixels)
        rows = [self._call(pixels[start : start + size]) for start in range(0, len(pixels), size)]
        outputs = rows[0] if len(rows) == 1 else np.concatenate(rows)
        if outputs.shape != (len(pixels), self.output_dim):
            raise RuntimeError(
                f"model returned {list(outputs.shape)} for {len(pixels)} images, want "
                f"{[len(pixels), self.output_dim]}"
            )
        return outputs

    def reduce_batch_size(self, size: int) -> None:
        """Takes at most this many images a call from now on; a fixed batch stays as it is."""
        if not self._fixed_batch_size:
            self.safe_batch_size = min(size, self.safe_batch_size or size)

    def _call(self, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        count = len(pixels)
        if self._fixed_batch_size:
            padding = [(0, self._fixed_batch_size - count), (0, 0), (0, 0), (0, 0)]
            pixels = np.pad(pixels, padding, mode="edge")
        outputs = tf.nest.flatten(self._function(tf.convert_to_tensor(pixels)))[0].numpy()
        if outputs.ndim == 4 and outputs.shape[1:3] == (1, 1):
            outputs = outputs[:, 0, 0, :]
        return outputs[:count] if self._fixed_batch_size else outputs

    def _probe(self, spec: ModelSpec) -> None:
        """Looks at the model's answers to a few random images."""
        random = np.random.default_rng(0)
        shape = (_PROBE_IMAGES, *self._shape)
        if self._dtype == np.uint8:
            pixels = random.integers(0, 256, shape, np.uint8)
        else:
            pixels = random.random(shape).astype(self._dtype)
        with _as_model_error("the model fails on random images"):
            # A model of batch 1 never sees two images together.
            size = min(self._fixed_batch_size or 2, 2)
            pair = np.concatenate([self._call(pixels[at : at + size]) for at in range(0, 2, size)])
            alone = self._call(pixels[:1])
            others = [self._call(image[None]) for image in pixels[2:]]
        if pair.ndim != 2 or len(pair) != 2 or len(alone) != 1:
            raise ModelError(
                f"the model returns {list(pair.shape)} for 2 images and {list(alone.shape)} for 1, "
                "want one row of numbers an image; choose another with --output_key or --signature"
            )
        self.output_dim = pair.shape[1]
        if spec.output_dim not in (None, self.output_dim):
            raise ModelError(
                f"the model declares outputs of width {spec.output_dim} and returns "
                f"{self.output_dim}"
            )
        outputs = np.concatenate([pair, *others])
        if not np.isfinite(outputs).all():
            raise ModelError("the model returns values that are not finite for random images")
        if np.abs(pair[0] - alone[0]).max() > _INDEPENDENCE_TOLERANCE * np.abs(alone).max():
            raise ModelError(
                "the model's answer to an image depends on the rest of the batch, or on chance: it "
                "was saved in training mode; save it with training=False"
            )
        self.output_range = float(outputs.min()), float(outputs.max())
        self.outputs_are_probabilities = bool(
            self.output_dim > 1
            and outputs.min() >= 0
            and np.allclose(outputs.sum(axis=1, dtype=np.float64), 1, atol=1e-2)
        )
        warnings = []
        if np.ptp(outputs, axis=0).max() == 0:
            warnings.append("the model gives the same output for four different images")
        self.warnings = tuple(warnings)


def predict_isolating(
    model: ImageModel, pixels: npt.NDArray[np.generic]
) -> tuple[npt.NDArray[np.float32], dict[int, ModelCallError]]:
    """Runs a model so that one bad image costs only itself.

    Args:
        model: The model. When it runs out of memory, it learns the batch size that it can take.
        pixels: [n, height, width, 3], as the model takes them.

    Returns:
        float32 [good rows, output_dim] in order, all finite; and the error of every other row.

    Raises:
        ValueError, RuntimeError: As ImageModel's call.
    """
    outputs = np.empty((len(pixels), model.output_dim), np.float32)
    errors: dict[int, ModelCallError] = {}
    pending = [(0, len(pixels))]
    while pending:
        start, stop = pending.pop()
        try:
            outputs[start:stop] = model(pixels[start:stop])
        except tf.errors.OpError as error:
            if stop - start <= 1:
                errors[start] = ModelCallError(f"the model fails: {_brief(error)}")
                continue
            middle = (start + stop) // 2
            if isinstance(error, tf.errors.ResourceExhaustedError):
                model.reduce_batch_size((stop - start) // 2)
            pending += [(middle, stop), (start, middle)]
    for row in np.flatnonzero(~np.isfinite(outputs).all(axis=1)):
        errors.setdefault(int(row), ModelCallError("the model returns a value that is not finite"))
    good = [row for row in range(len(pixels)) if row not in errors]
    return (outputs[good] if errors else outputs), dict(sorted(errors.items()))


def _trace(
    loaded: tf.Module, spec: ModelSpec, image_size: tuple[int, int]
) -> tf.types.experimental.ConcreteFunction:
    """Traces the model once: calling it as restored would trace it anew for every batch size."""
    call = _endpoint(loaded, spec)

    @tf.function(
        input_signature=[tf.TensorSpec([spec.batch_size, *image_size, 3], spec.dtype)],
        autograph=False,
    )
    def run(images: tf.Tensor) -> tf.Tensor:
        outputs = call(images)
        if spec.output_key != ONLY_OUTPUT:
            is_sequence = isinstance(outputs, tuple | list)
            outputs = outputs[int(spec.output_key) if is_sequence else spec.output_key]
        return tf.cast(outputs, tf.float32)

    return run.get_concrete_function()


def _endpoint(loaded: tf.Module, spec: ModelSpec) -> Callable[[tf.Tensor], tf.Tensor]:
    if spec.kind is EndpointKind.SIGNATURE:
        signature = loaded.signatures[spec.endpoint]
        return lambda images: signature(**{spec.input_name: images})
    function = loaded if spec.kind is EndpointKind.CALLABLE else getattr(loaded, spec.endpoint)
    if spec.training is Training.ABSENT:
        return function
    return lambda images: function(images, training=False)


def _freeze(
    traced: tf.types.experimental.ConcreteFunction, variables: Collection[tf.Variable]
) -> tf.types.experimental.ConcreteFunction:
    """Turns variables into constants, which TensorFlow folds and need not lock."""
    size = sum(math.prod(variable.shape) * variable.dtype.size for variable in variables)
    if size > MAX_FROZEN_BYTES:
        return traced
    frozen = convert_variables_to_constants_v2(traced, lower_control_flow=False)
    # A lookup table has no constant form and is left as a second input.
    return frozen if len(frozen.inputs) == 1 else traced


@contextlib.contextmanager
def _as_model_error(what: str) -> Iterator[None]:
    try:
        yield
    except _LoadErrors as error:
        raise ModelError(f"{what}: {_brief(error)}") from error


def _brief(error: BaseException) -> str:
    """The message on one line, without the tensors that TensorFlow puts in."""
    text = " ".join(str(getattr(error, "message", error)).split())
    return text if len(text) <= _MAX_ERROR_CHARS else text[: _MAX_ERROR_CHARS - 1] + "…"
