"""int8: made of a model once, and run by every worker alike."""

import os
import pathlib
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from transforms.errors import ModelError
from transforms.machine.openvino_runtime import import_openvino
from transforms.models.any_model import load_model
from transforms.models.batch_sizing import BatchSizing
from transforms.models.cosines import cosines
from transforms.models.costly_layers import find_costly_layers
from transforms.models.engine_settings import INT8, EngineSettings
from transforms.models.made_up_pixels import draw_images
from transforms.models.openvino_engine import OpenVinoEngine, convert
from transforms.models.quantization import quantize
from transforms.models.quantization_cost import measure_cost
from transforms.models.quantized_file import QuantizedModel, read_quantized
from transforms.models.spec import ModelSpec
from transforms.results import EngineReport

if TYPE_CHECKING:  # An extra.
    from openvino import Model

MIN_PROBE_COSINE = 0.9999
"""Least cosine of a worker's answer to a made-up image and the launching machine's: both compute in
whole numbers. A processor whose sums overflow is far below."""

_FUSED_NAMES = "fused_names_0"
"""OpenVINO's note on an operation, of the names of those that became it."""

_PROBES = 8
_BATCH_SIZE = 32

_Pixels = npt.NDArray[np.generic]


def make_quantized(
    model_dir: str,
    spec: ModelSpec,
    *,
    settings: EngineSettings,
    calibration: _Pixels,
    control: _Pixels,
    making: Mapping[str, Any],
    images_sha256: str,
) -> QuantizedModel:
    """Quantizes a model, and measures what that costs.

    Args:
        model_dir: A directory that holds saved_model.pb, or an ONNX file.
        spec: Contract of the call.
        settings: Number of threads, and range of the pixels.
        calibration: [images, height, width, 3], as the model takes them.
        control: The same of other images.
        making: What it is made of, but the images.
        images_sha256: Digest of the images that calibrate.

    Raises:
        ModelError: If the model cannot be loaded, converted or quantized, or answers with what is
            not finite.
    """
    _, height, width, channels = calibration.shape
    loaded = load_model(model_dir, spec, (height, width))
    model = convert(loaded)
    quantized = quantize(model, calibration, batch_size=spec.batch_size)
    xml, weights = _serialize(quantized)
    reference = OpenVinoEngine(model, "float32", settings.num_threads)
    engine = OpenVinoEngine(quantized, INT8, settings.num_threads)
    wanted = _answers(reference, control, spec)
    if not np.isfinite(wanted).all():
        raise ModelError("the model returns values that are not finite for the images")
    shape = (height, width, channels)
    probes = draw_images(_PROBES, shape, spec.dtype, settings.pixel_range)
    return QuantizedModel(
        xml=xml,
        weights=weights,
        probes=_answers(engine, probes, spec),
        making=making,
        images_sha256=images_sha256,
        images=len(calibration),
        cost=measure_cost(wanted, _answers(engine, control, spec)),
    )


def name_costly_layers(
    model_dir: str,
    spec: ModelSpec,
    calibration: _Pixels,
    control: _Pixels,
    *,
    measure: str,
    floor: float,
) -> list[str]:
    """Names the layers because of which a model in int8 stays below a floor; see costly_layers."""
    _, height, width, _ = calibration.shape
    # Kept until the end: what is converted reads the variables in place.
    loaded = load_model(model_dir, spec, (height, width))
    return find_costly_layers(
        convert(loaded),
        calibration,
        control,
        batch_size=spec.batch_size,
        measure=measure,
        floor=floor,
    )


def start_quantized(
    settings: EngineSettings, spec: ModelSpec, image_size: tuple[int, int]
) -> tuple[OpenVinoEngine, EngineReport]:
    """Starts an engine in int8, and checks that it answers as it did on the launching machine.

    Raises:
        ModelError: If the run's quantized model is another one now, or this machine answers
            otherwise.
    """
    assert settings.quantized is not None, "settle_engine says where it is"
    quantized = read_quantized(settings.quantized)
    engine = OpenVinoEngine(quantized.to_model(), INT8, settings.num_threads)
    probes = draw_images(_PROBES, (*image_size, 3), spec.dtype, settings.pixel_range)
    got = _answers(engine, probes, spec)
    same = got.shape == quantized.probes.shape and np.isfinite(got).all()
    found = cosines(got, quantized.probes).min() if same else 0.0
    if found < MIN_PROBE_COSINE:
        raise ModelError(
            f"--precision int8: this machine's answers have a cosine of {found:.6f} to those of "
            f"the machine that calibrated, wanted {MIN_PROBE_COSINE}: its processor computes int8 "
            "otherwise; run on machines of one kind, or without int8"
        )
    return engine, EngineReport("openvino", INT8, engine.device, quantized.cost.cosine_least)


def _serialize(model: "Model") -> tuple[bytes, bytes]:
    """Returns OpenVINO's graph and its weights, the same bytes for the same model.

    OpenVINO counts through a process to name operations and tensors: Constant_12025. They get their
    place in the graph, or the same images would make another model where a cache is gone.
    """
    for place, operation in enumerate(model.get_ordered_ops()):
        operation.set_friendly_name(f"{operation.get_type_name()}_{place}")
        notes = operation.get_rt_info()
        if _FUSED_NAMES in notes:
            del notes[_FUSED_NAMES]
        for output in operation.outputs():
            output.set_names(set())
    with tempfile.TemporaryDirectory(prefix="image-inference-int8-") as directory:
        xml, weights = (os.path.join(directory, name) for name in ("model.xml", "model.bin"))
        import_openvino().serialize(model, xml, weights)
        return pathlib.Path(xml).read_bytes(), pathlib.Path(weights).read_bytes()


def _answers(engine: OpenVinoEngine, pixels: _Pixels, spec: ModelSpec) -> npt.NDArray[np.float32]:
    """Returns float32 [images, output_dim]."""
    sizing = BatchSizing(spec.batch_size)
    parts = [pixels[at : at + _BATCH_SIZE] for at in range(0, len(pixels), _BATCH_SIZE)]
    outputs = np.concatenate([sizing.run(part, engine) for part in parts])
    return outputs.reshape(len(outputs), -1)
