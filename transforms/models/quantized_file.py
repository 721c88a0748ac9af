"""A quantized model as one file: what travels to workers, into the cache, and with a run.

An uncompressed tar, of the same bytes for the same content:

    model.xml           OpenVINO's graph
    model.bin           and its weights
    probes.npy          its answers to made-up images, which every worker must give again
    quantization.json   what it was made of, and what it costs
"""

import dataclasses
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from transforms.errors import ModelError
from transforms.files.atomic_files import read_whole
from transforms.machine.openvino_runtime import import_openvino
from transforms.models.quantization_cost import QuantizationCost
from transforms.records import WrittenFile

if TYPE_CHECKING:  # An extra.
    from openvino import Model

_XML, _BIN, _PROBES, _FACTS = "model.xml", "model.bin", "probes.npy", "quantization.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuantizedModel:
    """A model in int8, and what is known of it.

    Attributes:
        xml: OpenVINO's graph, as it is serialized.
        weights: Its weights.
        probes: float32 [images, output_dim], its answers to the images of `draw_images`.
        making: What it was made of but the images, in JSON's types: model, preprocessing, versions.
        images_sha256: Digest of the encoded images that calibrated it, hexadecimal.
        images: Number of these.
        cost: How far it is from float32.
    """

    xml: bytes
    weights: bytes
    probes: npt.NDArray[np.float32]
    making: Mapping[str, Any]
    images_sha256: str
    images: int
    cost: QuantizationCost

    @property
    def facts(self) -> dict[str, Any]:
        """What _run.json says of it, in JSON's types."""
        return {
            "making": dict(self.making),
            "calibration_images": self.images,
            "calibration_sha256": self.images_sha256,
            "control_images": self.cost.images,
            **{
                name: value
                for name, value in dataclasses.asdict(self.cost).items()
                if name != "images"
            },
        }

    def to_model(self) -> "Model":
        """Returns the model, for an engine to compile.

        Raises:
            ModelError: If OpenVINO is not installed or cannot read it.
        """
        openvino = import_openvino()
        weights = openvino.Tensor(np.frombuffer(self.weights, np.uint8))
        try:
            return openvino.Core().read_model(self.xml, weights)
        except RuntimeError as error:
            raise ModelError(
                f"this OpenVINO, {openvino.__version__}, cannot read the int8 model; use the "
                "version that made it on every worker"
            ) from error


def pack(quantized: QuantizedModel) -> bytes:
    """Makes a file of a quantized model."""
    probes = io.BytesIO()
    np.save(probes, quantized.probes, allow_pickle=False)
    facts = json.dumps(quantized.facts, indent=1, sort_keys=True).encode()
    members = {
        _FACTS: facts, _PROBES: probes.getvalue(), _XML: quantized.xml, _BIN: quantized.weights,
    }  # fmt: skip
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def unpack(content: bytes) -> QuantizedModel:
    """Reads what `pack` made; only to memory.

    Raises:
        ValueError: If it is no such file.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            xml, weights, probes, facts = (
                _member(archive, name) for name in (_XML, _BIN, _PROBES, _FACTS)
            )
        found = json.loads(facts)
        of_cost = [field.name for field in dataclasses.fields(QuantizationCost)][1:]
        cost = QuantizationCost(found["control_images"], *(float(found[it]) for it in of_cost))
        return QuantizedModel(
            xml=xml,
            weights=weights,
            probes=np.load(io.BytesIO(probes), allow_pickle=False),
            making=found["making"],
            images_sha256=found["calibration_sha256"],
            images=found["calibration_images"],
            cost=cost,
        )
    except (tarfile.TarError, KeyError, TypeError, EOFError) as error:
        raise ValueError(f"no int8 model: {error!r}") from error


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    if member is None:
        raise ValueError(f"{name} is no file")
    return member.read()


def read_quantized(file: WrittenFile) -> QuantizedModel:
    """Reads the quantized model of a run, which the launch has put there.

    Raises:
        ModelError: If it is gone, or another one than the launch put there.
    """
    try:
        content = read_whole(file.path)
    except OSError as error:
        raise ModelError(
            f"cannot read the int8 model {file.path}: {error.strerror or error}; put it back, or "
            "compute the run again"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise ModelError(
            f"{file.path} is the int8 model {found[:12]}, and the run began with "
            f"{file.sha256[:12]}; leave it alone, or compute the run again"
        )
    return unpack(content)
