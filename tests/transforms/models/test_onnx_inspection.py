"""How ONNX models are called: from the graph, and from the files beside it."""

import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.support.onnx_models import (
    CLIP,
    mean_nodes,
    node,
    write_json,
    write_mean_color,
    write_network,
    write_onnx,
    write_vit,
)
from transforms.errors import ModelError
from transforms.models.contract import inspect_model
from transforms.models.image_model import ImageModel
from transforms.models.spec import EndpointKind, ModelSpec
from transforms.models.tensor_info import Layout


def test_a_graph_says_how_it_is_called(tmp_path: pathlib.Path) -> None:
    spec = inspect_model(write_network(tmp_path / "net.onnx"))
    assert (spec.kind, spec.endpoint) == (EndpointKind.GRAPH, "net.onnx")
    assert (spec.input_name, spec.dtype, spec.layout) == (
        "images", "float32", Layout.CHANNELS_FIRST
    )  # fmt: skip
    assert (spec.image_size, spec.image_sizes, spec.batch_size) == ((24, 24), ((24, 24),), None)
    assert (spec.output_key, spec.output_dim, spec.output_rank) == ("vectors", 8, 2)
    assert ModelSpec.from_json(vars_of(spec)) == spec


def vars_of(spec: ModelSpec) -> dict[str, Any]:
    import dataclasses
    import json

    return json.loads(json.dumps(dataclasses.asdict(spec)))


@pytest.mark.parametrize(
    ("shape", "layout", "sizes"),
    [
        (["N", 3, "H", "W"], Layout.CHANNELS_FIRST, (None, None)),
        (["N", "C", "H", "W"], Layout.CHANNELS_FIRST, (None, None)),
        (["N", "C", 24, 24], Layout.CHANNELS_FIRST, (24, 24)),
        ([4, 3, 24, "W"], Layout.CHANNELS_FIRST, (24, None)),
    ],
)
def test_channels_are_found_where_they_are(
    tmp_path: pathlib.Path, shape: list[Any], layout: Layout, sizes: tuple[int | None, int | None]
) -> None:
    spec = inspect_model(write_network(tmp_path / "m.onnx", shape))
    assert spec.layout is layout
    assert spec.image_sizes == (sizes,)
    assert spec.batch_size == (4 if shape[0] == 4 else None)


def test_undeclared_channels_that_come_last_are_found_by_the_graph(tmp_path: pathlib.Path) -> None:
    from tests.support.onnx_models import network

    nodes, weights = network()
    nodes = [node("Transpose", "images", "turned", perm=[0, 3, 1, 2]), *nodes]
    nodes[1].input[0] = "turned"
    shape = ["N", "H", "W", "C"]
    path = write_onnx(tmp_path / "m.onnx", nodes, {"vectors": ["N", 8]}, weights, shape=shape)
    assert inspect_model(path).layout is Layout.RGB


def test_the_pooled_output_of_a_transformer_is_taken(tmp_path: pathlib.Path) -> None:
    spec = inspect_model(write_vit(tmp_path / "model.onnx"))
    assert (spec.output_keys, spec.output_key, spec.output_dim) == (
        ("pooler_output",), "pooler_output", 12
    )  # fmt: skip


def test_the_pooled_map_of_a_network_is_taken(tmp_path: pathlib.Path) -> None:
    nodes = [node("Relu", "images", "map"), node("GlobalAveragePool", "map", "pooled")]
    shapes = {"map": ["N", 3, 24, 24], "pooled": ["N", 3, 1, 1]}
    path = write_onnx(tmp_path / "m.onnx", nodes, shapes)
    spec = inspect_model(path)
    assert (spec.output_key, spec.output_dim, spec.output_rank) == ("pooled", 3, 4)
    pixels = np.random.default_rng(0).random((3, 24, 24, 3), np.float32)
    vectors = ImageModel(path, spec, image_size=(24, 24))(pixels)
    np.testing.assert_allclose(vectors, pixels.mean(axis=(1, 2)), atol=1e-6)
    nodes.append(node("Flatten", "pooled", "vectors"))
    write_onnx(tmp_path / "m.onnx", nodes, {**shapes, "vectors": ["N", 3]})
    assert inspect_model(path).output_key == "vectors"


def test_tokens_are_refused_and_the_class_token_is_offered(tmp_path: pathlib.Path) -> None:
    path = write_vit(tmp_path / "model.onnx", has_pooler=False)
    wanted = (
        r"graph model.onnx returns last_hidden_state: float32 \[N, 17, 12\], want one row of "
        r"numbers .* --output_key last_hidden_state.class_token takes the first"
    )
    for key in (None, "last_hidden_state"):
        with pytest.raises(ModelError, match=wanted):
            inspect_model(path, output_key=key)
    spec = inspect_model(path, output_key="last_hidden_state.class_token")
    assert (spec.output_key, spec.output_dim) == ("last_hidden_state.class_token", 12)


def test_of_several_outputs_the_user_chooses(tmp_path: pathlib.Path) -> None:
    nodes = [*mean_nodes(), node("Neg", "vectors", "more")]
    path = write_onnx(tmp_path / "m.onnx", nodes, {"vectors": ["N", 3], "more": ["N", 3]})
    with pytest.raises(ModelError, match="has the outputs vectors, more; choose one with"):
        inspect_model(path)
    assert inspect_model(path, output_key="more").output_key == "more"
    with pytest.raises(ModelError, match="--output_key none is not in the model: it has"):
        inspect_model(path, output_key="none")


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        (["N", 10], TensorProto.INT64, r"takes tokens, images: int64 \[N, 10\]"),
        (["N", 3, 4, 24, 24], TensorProto.FLOAT, "takes volumes or films"),
        (["N", 4, 24, 24], TensorProto.FLOAT, "takes images of 24 channels|4 channels"),
        (["N", 24, 24], TensorProto.FLOAT, "takes images without channels"),
    ],
)
def test_what_takes_no_images_is_refused(
    tmp_path: pathlib.Path, shape: list[Any], dtype: int, message: str
) -> None:
    weights_free = [node("Cast", "images", "floats", to=TensorProto.FLOAT)]
    nodes = [*weights_free, node("Flatten", "floats", "vectors")]
    path = write_onnx(tmp_path / "m.onnx", nodes, {"vectors": ["N", "D"]}, shape=shape, dtype=dtype)
    with pytest.raises(ModelError, match=message):
        inspect_model(path)


def test_a_second_input_is_refused(tmp_path: pathlib.Path) -> None:
    extra = helper.make_tensor_value_info("meta", TensorProto.FLOAT, ["N", 3])
    nodes = [*mean_nodes(), node("Add", "vectors meta", "sum")]
    path = write_onnx(tmp_path / "m.onnx", nodes, {"sum": ["N", 3]}, more_inputs=[extra])
    with pytest.raises(ModelError, match=r"takes a second input, meta, float32 \[N, 3\]"):
        inspect_model(path)


def test_a_signature_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ModelError, match="which has none; leave it out"):
        inspect_model(write_mean_color(tmp_path / "m.onnx"), signature="serve")


def test_the_files_beside_a_graph_say_size_scaling_and_labels(tmp_path: pathlib.Path) -> None:
    path = write_network(tmp_path / "onnx" / "model.onnx", ["N", "C", "H", "W"])
    assert inspect_model(path).image_size is None
    write_json(tmp_path, "preprocessor_config.json", CLIP)
    write_json(tmp_path, "config.json", {"id2label": {"0": "cat", "1": "dog"}})
    spec = inspect_model(path)
    assert spec.image_size == (24, 24)
    assert spec.choose_image_size((32, 40)) == (32, 40)
    assert spec.labels == str(tmp_path / "config.json")
    assert spec.pixel_scale == pytest.approx([3.7226, 3.82698, 3.62612], abs=1e-4)
    assert spec.pixel_shift == pytest.approx([-1.79226, -1.7521, -1.48022], abs=1e-4)
    assert spec.for_range("0,1") == spec
    assert spec.for_range("imagenet").pixel_scale == ()


def test_inspection_needs_no_tensorflow(tmp_path: pathlib.Path) -> None:
    path = write_network(tmp_path / "m.onnx")
    code = (
        "import sys; from transforms.models.contract import inspect_model; "
        f"assert inspect_model({path!r}).output_dim == 8; "
        "from transforms.models.notes import read_notes; "
        f"assert read_notes({path!r}) == {{}}; assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
