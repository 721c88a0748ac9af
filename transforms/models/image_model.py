"""A loaded image model: pixels in, one row of numbers an image out."""

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from transforms.errors import ModelError
from transforms.machine.garbage import no_collection
from transforms.models.any_model import AnyModel, last_kind, load_model
from transforms.models.batch_sizing import BatchSizing
from transforms.models.chance import refuse_chance
from transforms.models.contract import takes_unit_range
from transforms.models.cosines import cosines
from transforms.models.engine_settings import AUTO, INT8, EngineSettings, choose_engine
from transforms.models.first_layer import AssumedRange, check_assumed_range, doubt_assumed_range
from transforms.models.load_errors import as_model_error
from transforms.models.loaded_model import LoadedModel
from transforms.models.made_up_pixels import darken, draw_images
from transforms.models.openvino_engine import OpenVinoEngine
from transforms.models.probabilities import are_probabilities
from transforms.models.quantized_engine import start_quantized
from transforms.models.reference_engine import reference_engine
from transforms.models.served_scaling import refuse_unscaled_call
from transforms.models.spec import ModelSpec
from transforms.models.stored_moments import RangeDoubt
from transforms.models.tensorflow_engine import TensorFlowEngine
from transforms.models.uniform_images import look_at_first_layer, look_past_scaling
from transforms.results import EngineReport

MIN_COSINE = 0.999
"""Least cosine of a probe image's answer and the reference's: that of the format's own engine in
float32. An engine and precision below are refused. bfloat16 reaches 0.9999 and more on MobileNetV2,
ResNet50, EfficientNetV2-B0."""

_ENGINES: dict[str, type[TensorFlowEngine] | type[OpenVinoEngine]] = {
    "tensorflow": TensorFlowEngine,
    "openvino": OpenVinoEngine,
}
_NAMES = {"tensorflow": "TensorFlow", "openvino": "OpenVINO"}

_INDEPENDENCE_TOLERANCE = 1e-2
"""Share of the largest output: float16 and TensorFloat-32 differ by 1e-3 between batch sizes, and
so may bfloat16."""

_PROBE_IMAGES = 4
_COMPARED_IMAGES = 8


class Engine(Protocol):
    """What runs a loaded model; see TensorFlowEngine."""

    device: str
    compiles_every_size: bool

    def __call__(self, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Runs the model on a batch."""
        ...


class ImageModel:
    """A model that is loaded, handed to an engine, compared and probed.

    Safe to call from several threads.

    Attributes:
        output_dim: Width of the output.
        outputs_are_probabilities: Whether the probe's rows are probabilities already.
        output_range: Smallest and largest value of the probe's outputs.
        warnings: Sentences on what the probe noticed that is worth telling the user.
        num_variables: Number of variables of the part in use.
        num_parameters: Number of floats in them.
        num_trainable_variables: Number of the object's variables for fine-tuning.
        num_regularization_losses: Number of the object's losses for fine-tuning.
        first_layer: First layer that images reach, and what it sees of them.
        range_doubt: What the first images of a run say of their range.
    """

    @no_collection()
    def __init__(
        self,
        model_dir: str,
        spec: ModelSpec,
        *,
        image_size: tuple[int, int],
        settings: EngineSettings | None = None,
        assumed_range: AssumedRange | None = None,
        joined_keys: Sequence[str] = (),
    ) -> None:
        """Loads, compares and probes a model.

        Args:
            model_dir: A directory that holds saved_model.pb, or an ONNX file.
            spec: Contract of the call: how images go in and the output comes out.
            image_size: (height, width) in pixels.
            settings: Engine, precision and batch size to run it with; None for the engine of the
                model's format, in float32.
            assumed_range: Range of the pixels that it will get, where neither the user nor
                image_model.json said one; else None.
            joined_keys: Names of outputs to give side by side in place of the spec's one, or none.

        Raises:
            ModelError: If it cannot be loaded, sees next to nothing of pixels of the assumed range,
                the engine or machine cannot run it so, or its answers to a few images make no
                sense.
        """
        settings = settings or EngineSettings(engine=choose_engine(spec.kind))
        self._sizing = BatchSizing(spec.batch_size)
        self._shape = (*image_size, 3)
        self._dtype = np.dtype(spec.dtype)
        self._pixel_range = settings.pixel_range
        loaded = load_model(model_dir, spec, image_size, joined_keys)
        self.num_variables = loaded.num_variables
        self.num_parameters = loaded.num_parameters
        self.num_trainable_variables = loaded.num_trainable_variables
        self.num_regularization_losses = loaded.num_regularization_losses
        self.first_layer = look_at_first_layer(loaded)
        default = None  # Range that nothing and nobody said.
        if assumed_range is not None:
            layer = look_past_scaling(self.first_layer, model_dir, spec, image_size)
            check_assumed_range(layer, assumed_range)
            default = None if assumed_range.source else assumed_range.name
        if default is not None and isinstance(loaded, LoadedModel):
            refuse_unscaled_call(model_dir, spec, loaded, self.first_layer, default)
        # Before an engine lets go of the variables.
        self.range_doubt = RangeDoubt(loaded, self.first_layer, settings.input_range)
        self._engine: Engine
        if settings.precision == INT8:
            self._engine, self._report = start_quantized(settings, spec, image_size)
        else:
            self._engine, self._report = self._start_engine(spec, loaded, settings)
        self._probe(spec, loaded)
        if default is not None:
            doubt = doubt_assumed_range(self.first_layer, default)
            # To look into its form takes as long as to read its graph once more.
            self.warnings += doubt if doubt and not takes_unit_range(model_dir) else ()
        if settings.tunes_batch_size and settings.batch_size:
            self._sizing.tune(settings.batch_size)

    @property
    def report(self) -> EngineReport:
        """Engine, precision and device that run the model, and the batch size it has learned."""
        return dataclasses.replace(self._report, batch_size=self._sizing.learned)

    def __call__(self, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Runs the model.

        Args:
            pixels: [n, height, width, 3], of the model's dtype, size and range; n may be 0.

        Returns:
            float32 [n, output_dim].

        Raises:
            ValueError: If the pixels are of another dtype or shape; engines do not always say.
            RuntimeError: If the model returns another number of rows, or another width.
            InferenceError: If the model fails; OutOfMemoryError if for want of memory, and then
                most_images is less, if that can help.
        """
        if pixels.dtype != self._dtype or pixels.shape[1:] != self._shape:
            raise ValueError(
                f"model takes {self._dtype} [n, {', '.join(map(str, self._shape))}], got "
                f"{pixels.dtype} {list(pixels.shape)}"
            )
        if not len(pixels):  # many models fail on an empty batch
            return np.empty((0, self.output_dim), np.float32)
        outputs = self._sizing.run(pixels, lambda part: _call_engine(self._engine, part))
        if outputs.shape != (len(pixels), self.output_dim):
            raise RuntimeError(
                f"model returned {list(outputs.shape)} for {len(pixels)} images, want "
                f"{[len(pixels), self.output_dim]}"
            )
        return outputs

    @property
    def most_images(self) -> int | None:
        """Most images in one call, or None for any number; half of one that lacked memory."""
        return self._sizing.most

    def _call(self, pixels: npt.NDArray[np.generic], engine: Engine) -> npt.NDArray[np.float32]:
        return self._sizing.run_within_memory(pixels, lambda part: _call_engine(engine, part))

    def _start_engine(
        self, spec: ModelSpec, loaded: AnyModel, settings: EngineSettings
    ) -> tuple[Engine, EngineReport]:
        """Starts the engine, and measures how far it is from the reference, in float32."""
        engine, precision = choose_engine(spec.kind, settings.engine), settings.precision
        reference = choose_engine(spec.kind)
        available = _ENGINES[engine].precisions()
        wanted = available[-1] if precision == AUTO else precision
        if wanted not in available:
            raise ModelError(
                f"--precision {wanted} with --engine {engine}: this machine computes in "
                f"{' or '.join(available)} (bfloat16 needs a CPU with AVX512_BF16 or AMX, float16 "
                "a CUDA GPU of compute capability 7.0, or AVX512_FP16 and --engine openvino); use "
                "one of these"
            )
        with as_model_error(f"{engine} cannot run the model"):
            started: Engine
            if isinstance(loaded, LoadedModel):
                started = _ENGINES[engine](loaded, wanted, settings.num_threads)
            else:
                started = OpenVinoEngine(loaded, wanted, settings.num_threads)
        if started.compiles_every_size:
            self._sizing.fill_up_to(settings.batch_size)
        if (engine, wanted) == (reference, "float32"):
            return started, EngineReport(engine, wanted, started.device)
        found = self._compare(loaded, started)
        if found < MIN_COSINE:
            if precision == AUTO and wanted != "float32":
                return self._start_engine(
                    spec, loaded, dataclasses.replace(settings, precision="float32")
                )
            raise ModelError(
                f"--engine {engine} --precision {wanted} moves this model's answers to a cosine of "
                f"{found:.6f} to {_NAMES[reference]}'s in float32, wanted {MIN_COSINE}; use "
                "--precision float32" + (" with --engine tensorflow" if wanted == "float32" else "")
            )
        return started, EngineReport(engine, wanted, started.device, round(found, 6))

    def _compare(self, loaded: AnyModel, engine: Engine) -> float:
        """Returns the smallest cosine of an engine's answers to the model's own in float32."""
        pixels = self.random_images(_COMPARED_IMAGES)

        def answers(engine: Engine) -> npt.NDArray[np.float32]:
            rows = self._call(pixels, engine)
            return rows.reshape(len(rows), -1)

        with as_model_error("the model fails on random images"):
            mine, theirs = answers(engine), answers(reference_engine(loaded))
        if mine.shape != theirs.shape or not np.isfinite(mine).all():
            return 0.0
        return float(cosines(mine, theirs).min())

    def random_images(self, count: int) -> npt.NDArray[np.generic]:
        """Draws images, the same ones for every engine; see draw_images."""
        return draw_images(count, self._shape, self._dtype, self._pixel_range)

    def _probe(self, spec: ModelSpec, loaded: AnyModel) -> None:
        """Looks at the model's answers to a few random images."""
        pixels = self.random_images(_PROBE_IMAGES)
        # A dark image beside a bright one: x / tf.reduce_max(x) is over the batch.
        pixels[:1] = darken(pixels[:1])
        with as_model_error("the model fails on random images"):
            pair = self._call(pixels[:2], self._engine)  # A model of batch 1 sees them alone.
            alone = self._call(pixels[:1], self._engine)
            others = [self._call(image[None], self._engine) for image in pixels[2:]]
        if pair.ndim != 2 or len(pair) != 2 or len(alone) != 1 or not pair.size:
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
        refuse_chance(loaded, lambda: self._call(pixels[:1], self._engine))
        if np.abs(pair[0] - alone[0]).max() > _INDEPENDENCE_TOLERANCE * np.abs(alone).max():
            raise ModelError(
                "the model's answer to an image depends on the rest of the batch, or on chance: it "
                "was saved in training mode, and must be saved with training=False; or it scales "
                "images by the whole batch, as x / tf.reduce_max(x) does"
            )
        self.output_range = float(outputs.min()), float(outputs.max())
        if self.output_dim == 1:  # A logit that leaves [0, 1] anywhere does so at black or white.
            flat = [np.full_like(pixels[:1], value) for value in (pixels.min(), pixels.max())]
            with as_model_error("the model fails on flat images"):
                outputs = np.concatenate([outputs, *(self._call(it, self._engine) for it in flat)])
        self.outputs_are_probabilities = are_probabilities(outputs, last_kind(loaded))
        warnings = []
        if np.ptp(outputs, axis=0).max() == 0:
            warnings.append("the model gives the same output for four different images")
        self.warnings = tuple(warnings)


def _call_engine(engine: Engine, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Returns [n, output_dim] of that or [n, 1, 1, output_dim]; anything else as it is."""
    outputs = engine(pixels)
    return outputs[:, 0, 0, :] if outputs.ndim == 4 and outputs.shape[1:3] == (1, 1) else outputs
