"""Which ONNX file is meant, whether it is whole, and what can be no model."""

import os
import pathlib
import shutil

import numpy as np
import onnx
import pytest
from onnx import external_data_helper, numpy_helper

from tests.support.onnx_models import network, node, write_json, write_network, write_onnx
from transforms.errors import ModelError
from transforms.models.contract import inspect_model
from transforms.models.handle import fingerprint_model, resolve_model
from transforms.models.notes import encode_notes
from transforms.models.onnx_files import keep_beside, keep_one_onnx
from transforms.models.onnx_proto import written_by


def write_external(path: pathlib.Path, location: str = "weights.bin") -> str:
    """Writes the network with its weights in another file, which is there if it is below."""
    model = onnx.load(write_network(path))
    if ".." not in location and not location.startswith("/"):
        onnx.save(
            model, str(path), save_as_external_data=True, location=location, size_threshold=0
        )  # fmt: skip
        return str(path)
    for tensor in model.graph.initializer:
        data = numpy_helper.to_array(tensor).tobytes()
        external_data_helper.set_external_data(tensor, location, offset=0, length=len(data))
        tensor.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
    return str(path)


@pytest.mark.parametrize(
    ("names", "handle", "chosen"),
    [
        (["m.onnx"], "m.onnx", "m.onnx"),
        (["d/m.onnx"], "d", "d/m.onnx"),
        (["d/a.onnx", "d/model.onnx"], "d", "d/model.onnx"),
        (
            ["d/onnx/model.onnx", "d/onnx/model_fp16.onnx", "d/config.json"],
            "d",
            "d/onnx/model.onnx",
        ),
        (["d/1/model.onnx", "d/config.pbtxt"], "d", "d/1/model.onnx"),
    ],
)
def test_the_file_that_is_meant_is_found(
    tmp_path: pathlib.Path, names: list[str], handle: str, chosen: str
) -> None:
    for name in names:
        if name.endswith(".onnx"):
            write_network(tmp_path / name)
        else:
            (tmp_path / name).write_text("{}")
    assert resolve_model(str(tmp_path / handle)) == str(tmp_path / chosen)


def test_a_saved_model_comes_first(mean_color: str) -> None:
    write_network(pathlib.Path(mean_color) / "model.onnx")
    assert resolve_model(mean_color) == mean_color


def test_of_several_files_none_is_taken(tmp_path: pathlib.Path) -> None:
    for name in ("text_model.onnx", "vision_model.onnx"):
        write_network(tmp_path / name)
    wanted = r"several ONNX files, text_model.onnx, vision_model.onnx; give one of them"
    with pytest.raises(ModelError, match=wanted):
        resolve_model(str(tmp_path))


def test_of_a_remote_directory_only_one_model_is_copied() -> None:
    files = ["onnx/model.onnx", "onnx/model.onnx_data", "config.json"]
    others = ["onnx/model_fp16.onnx", "onnx/model_fp16.onnx_data"]
    assert keep_one_onnx([*files, *others], "gs://b/m") == set(files)
    assert keep_one_onnx(["a.txt"], "gs://b/m") == set()


def test_of_a_remote_file_what_belongs_to_it_is_copied() -> None:
    own = {"onnx/model.onnx", "onnx/model.onnx_data", "config.json", "labels.txt"}
    others = {"onnx/model_fp16.onnx", "onnx/model_fp16.onnx_data", "README.md"}
    assert keep_beside(own | others, "onnx/model.onnx") == own
    assert keep_beside(own, "onnx/model.onnx") == own


def test_a_model_with_weights_of_its_own_file_is_taken_and_fingerprinted(
    tmp_path: pathlib.Path,
) -> None:
    path = write_external(tmp_path / "a" / "model.onnx")
    before = fingerprint_model(resolve_model(path))
    assert inspect_model(path).output_dim == 8
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert fingerprint_model(str(tmp_path / "b" / "model.onnx")) == before
    os.rename(tmp_path / "b" / "model.onnx", tmp_path / "b" / "net.onnx")
    assert fingerprint_model(str(tmp_path / "b" / "net.onnx")) == before
    os.rename(tmp_path / "b" / "weights.bin", tmp_path / "b" / "other.bin")
    with pytest.raises(ModelError, match="the model is not whole"):
        fingerprint_model(str(tmp_path / "b" / "net.onnx"))
    weights = tmp_path / "a" / "weights.bin"
    content = bytearray(weights.read_bytes())
    content[5] ^= 1
    weights.write_bytes(content)
    changed = fingerprint_model(path)
    write_json(tmp_path / "a", "preprocessor_config.json", {"do_rescale": False})
    assert len({before, changed, fingerprint_model(path)}) == 3
    # What does not decide what it answers is no part of it.
    (tmp_path / "a" / "README.md").write_text("about")
    (tmp_path / "a" / "image_model.json").write_text(encode_notes({"exif": "ignore"}))
    assert fingerprint_model(path) == fingerprint_model(str(tmp_path / "a" / "model.onnx"))


@pytest.mark.parametrize(
    "location", ["../secret.bin", "/etc/hostname", "sub/../../secret.bin", "..\\secret.bin"]
)
def test_weights_outside_of_the_directory_are_refused(
    tmp_path: pathlib.Path, location: str
) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(10_000))
    path = write_external(tmp_path / "m" / "model.onnx", location)
    for refuses in (resolve_model, fingerprint_model, inspect_model):
        with pytest.raises(ModelError, match=r"has weights outside of its directory, in '"):
            refuses(path)


def test_weights_outside_hide_in_no_attribute_of_an_operation(tmp_path: pathlib.Path) -> None:
    nodes, weights = network()
    hidden = numpy_helper.from_array(weights.pop("kernel"), "kernel")
    external_data_helper.set_external_data(hidden, "../secret.bin", offset=0, length=1728)
    hidden.ClearField("raw_data")
    nodes.insert(0, node("Constant", "", "kernel", value=hidden))
    path = write_onnx(tmp_path / "model.onnx", nodes, {"vectors": ["N", 8]}, weights)
    with pytest.raises(ModelError, match="outside of its directory"):
        resolve_model(path)


def test_what_is_not_whole_is_named(tmp_path: pathlib.Path) -> None:
    path = write_external(tmp_path / "model.onnx")
    (tmp_path / "weights.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid x\n")
    with pytest.raises(ModelError, match=r"weights.bin is a Git LFS pointer"):
        resolve_model(path)
    (tmp_path / "weights.bin").write_bytes(b"short")
    with pytest.raises(ModelError, match=r"OpenVINO cannot read .*model.onnx: "):
        inspect_model(path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match=r"not whole: .*weights.bin is not there, and .* copy"):
        resolve_model(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no ONNX model, or not whole: "),
        (b"<!doctype html><html></html>", "is no ONNX model, or not whole: "),
        (b"version https://git-lfs.github.com/spec/v1\noid x\n", "is a Git LFS pointer"),
        (b"\x08\x09", "it holds no graph"),
        (None, "it ends early"),
    ],
)
def test_what_is_no_onnx_is_refused_on_one_line(
    tmp_path: pathlib.Path, content: bytes | None, message: str
) -> None:
    whole = pathlib.Path(write_network(tmp_path / "whole.onnx")).read_bytes()
    path = tmp_path / "model.onnx"
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(ModelError, match=message) as caught:
        resolve_model(str(path))
    assert "\n" not in str(caught.value)


def test_every_cut_of_a_model_is_told(tmp_path: pathlib.Path) -> None:
    whole = pathlib.Path(write_network(tmp_path / "whole.onnx")).read_bytes()
    path = tmp_path / "model.onnx"
    for size in np.linspace(1, len(whole) - 1, 60).astype(int):
        path.write_bytes(whole[:size])
        # A cut between two fields of the model leaves one without a graph, or without its version.
        with pytest.raises(ModelError):
            inspect_model(str(path))


def test_an_operation_that_openvino_lacks_is_named(tmp_path: pathlib.Path) -> None:
    nodes, weights = network()
    nodes[1] = onnx.helper.make_node("Sparkle", ["one"], ["two"], domain="com.acme")
    path = write_onnx(
        tmp_path / "m.onnx", nodes, {"vectors": ["N", 8]}, weights, domains=["com.acme"]
    )
    with pytest.raises(ModelError, match=r"OpenVINO cannot read .*com\.acme\.Sparkle") as caught:
        inspect_model(path)
    assert "\n" not in str(caught.value)
    assert "src/" not in str(caught.value)


def test_what_wrote_a_model_is_told(tmp_path: pathlib.Path) -> None:
    assert written_by(write_network(tmp_path / "m.onnx")) == "test 7, opset 18"
