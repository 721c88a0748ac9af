"""The file of a quantized model: the same bytes for the same content, and nothing else is read."""

import io
import tarfile

import numpy as np
import pytest

from transforms.models.quantization_cost import QuantizationCost
from transforms.models.quantized_file import QuantizedModel, pack, unpack

MODEL = QuantizedModel(
    xml=b"<net/>",
    weights=bytes(range(100)),
    probes=np.ones((2, 3), np.float32),
    making={"model": "a"},
    images_sha256="b",
    images=40,
    cost=QuantizationCost(41, 0.9, 0.8, 0.7, 0.6),
)


def test_what_is_packed_is_read_back_and_packs_to_the_same_bytes() -> None:
    content = pack(MODEL)
    found = unpack(content)
    assert pack(found) == content
    assert (found.xml, found.weights, found.making) == (MODEL.xml, MODEL.weights, MODEL.making)
    assert (found.images, found.images_sha256, found.cost) == (40, "b", MODEL.cost)
    np.testing.assert_array_equal(found.probes, MODEL.probes)


def a_link() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("model.xml", "model.bin", "probes.npy", "quantization.json"):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", pack(MODEL)[:2000], a_link()],
    ids=["empty", "text", "cut", "link"],
)
def test_another_file_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"int8|file"):
        unpack(content)
