import dataclasses
import os
import pathlib
import pickle
import shutil
from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from tests.support.models import save_logits, save_output
from transforms.errors import ModelError
from transforms.models.inspection import inspect_saved_model
from transforms.models.spec import EndpointKind, ModelSpec, Training
from transforms.models.tensor_info import Layout

SavedModel = Callable[[str], str]

MEAN_COLOR = ModelSpec(
    kind=EndpointKind.CALLABLE,
    endpoint="__call__",
    input_name="images",
    dtype="float32",
    image_size=(24, 24),
    image_sizes=((24, 24),),
    batch_size=None,
    training=Training.ABSENT,
    trains=False,
    hyperparameters=(),
    output_keys=("",),
    output_key="",
    output_rank=2,
    output_dim=3,
    signatures=(),
    sub_callables=(),
    tags=("serve",),
    hub_module=False,
    tensorflow_version=tf.__version__,
    labels=None,
    files=("variables/variables.index",),
)

SIGNATURE = {
    "kind": EndpointKind.SIGNATURE,
    "endpoint": "serving_default",
    "signatures": ("serving_default",),
    "output_keys": ("output_0",),
    "output_key": "output_0",
}


@pytest.mark.parametrize(
    ("name", "differs"),
    [
        ("mean_color", {}),
        ("logits", {}),
        (
            "dynamic_module",
            {
                "image_size": None,
                "image_sizes": ((None, None),),
                "training": Training.OPTIONAL,
                "trains": True,
                "hyperparameters": (("batch_norm_momentum", 0.99),),
            },
        ),
        ("training_required", {"training": Training.REQUIRED, "trains": True}),
        ("fixed_batch", {"batch_size": 4}),
        ("several_sizes", {"image_size": None, "image_sizes": ((24, 24), (32, 16))}),
        ("uint8", {"dtype": "uint8"}),
        ("dict_output", {"output_keys": ("logits", "probabilities"), "output_key": "logits"}),
        ("rank_4_output", {"output_rank": 4}),
        ("map_of_one", {"output_rank": 4}),
        ("ragged_output", {"output_keys": ("vectors",), "output_key": "vectors"}),
        ("tuple_output", {"output_keys": ("0",), "output_key": "0"}),
        ("channels_first", {"layout": Layout.CHANNELS_FIRST, "output_dim": 24}),
        ("float16_output", {}),
        (
            "signature_only",
            {
                **SIGNATURE,
                "endpoint": "embed",
                "signatures": ("embed",),
                "output_keys": ("vectors",),
                "output_key": "vectors",
            },
        ),
        ("keras_export", {**SIGNATURE, "sub_callables": ("serve",)}),
        (
            "keras_export_archive",
            {**SIGNATURE, "signatures": ("embed", "serving_default"), "sub_callables": ("embed",)},
        ),
        ("keras_saved", {**SIGNATURE, "input_name": "inputs"}),
        ("keras_wrapped", {"training": Training.OPTIONAL, "trains": True}),
        (
            "tf_keras_saved",
            {
                "input_name": "inputs",
                "training": Training.OPTIONAL,
                "trains": True,
                "hyperparameters": (("mask", "None"),),
                "signatures": ("serving_default",),
            },
        ),
        ("tf_keras_export", {**SIGNATURE, "sub_callables": ("serve",)}),
        ("tf1_serving", {**SIGNATURE, "output_keys": ("vectors",), "output_key": "vectors"}),
        (
            "tf1_hub",
            {
                **SIGNATURE,
                "endpoint": "default",
                "image_size": (24, 32),
                "image_sizes": ((24, 32),),
                "signatures": ("default", "image_feature_vector"),
                "output_keys": ("default",),
                "output_key": "default",
                "tags": (),
                "hub_module": True,
            },
        ),
    ],
)
def test_every_kind_of_model_is_told_from_its_graph_alone(
    saved_model: SavedModel, tmp_path: pathlib.Path, name: str, differs: dict[str, Any]
) -> None:
    model = shutil.copytree(saved_model(name), tmp_path / "model")
    shutil.rmtree(model / "variables", ignore_errors=True)
    spec = inspect_saved_model(str(model))
    expected = dataclasses.replace(MEAN_COLOR, **differs)
    if name in ("keras_export", "keras_export_archive", "tf_keras_export"):
        # Keras numbers its inputs by what else was built before; signatures differ by release.
        spec = dataclasses.replace(spec, input_name="images", signatures=expected.signatures)
    assert spec == expected
    assert pickle.loads(pickle.dumps(spec)) == spec


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("training_only", "training=True only; trace it with training=False .*Found: callable"),
        ("untraced", "never traced; call it once before saving"),
        ("undecorated", "cannot be given images alone.*Found: nothing that can be called"),
        ("bytes_signature", r"takes strings; .*serving_default\(image_bytes: string \[N\]\)"),
        ("nested", "choose a part of it with --signature. Found: sub-callable front"),
        ("features_and_logits", "outputs feature_vector, logits; choose one with --output_key"),
        ("feature_map", r"returns float32 \[N, 24, 24, 3\], want one row"),
        ("class_output", r"returns int64 \[N, 1\], want one row"),
    ],
)
def test_a_model_that_cannot_be_used_as_it_is_is_refused_with_the_cure(
    saved_model: SavedModel, name: str, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        inspect_saved_model(saved_model(name))


def test_the_user_chooses_an_endpoint(saved_model: SavedModel) -> None:
    front = inspect_saved_model(saved_model("nested"), signature="front")
    assert (front.kind, front.endpoint) == (EndpointKind.SUB_CALLABLE, "front")
    assert front.training is Training.OPTIONAL
    # A Keras export has "serve" as a signature and as an attribute.
    serve = inspect_saved_model(saved_model("keras_export"), signature="serve")
    assert serve.endpoint == "serve"
    called = inspect_saved_model(saved_model("tf_keras_saved"), signature="serving_default")
    assert called.kind is EndpointKind.SIGNATURE


@pytest.mark.parametrize(
    ("name", "signature", "message"),
    [
        ("mean_color", "embed", "--signature embed is not in the model. Found: callable __call__"),
        ("bytes_signature", "serving_default", "--signature serving_default takes strings"),
        ("untraced", "__call__", "--signature __call__ was never traced"),
    ],
)
def test_a_chosen_endpoint_that_cannot_be_used_is_an_error(
    saved_model: SavedModel, name: str, signature: str, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        inspect_saved_model(saved_model(name), signature=signature)


@pytest.mark.parametrize(
    ("name", "key"),
    [("tuple_output", "0"), ("features_and_logits", "logits"), ("dict_output", "probabilities")],
)
def test_the_user_chooses_an_output(saved_model: SavedModel, name: str, key: str) -> None:
    spec = inspect_saved_model(saved_model(name), output_key=key)
    assert (spec.output_key, spec.output_dim) == (key, 3)


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [
        ("dict_output", "features", "has the outputs logits, probabilities"),
        ("mean_color", "features", "one output without a name"),
        ("mean_color", "", "one output without a name"),
        ("tuple_output", "1", r"returns 1: float32 \[N, 24, 24, 3\], want one row"),
    ],
)
def test_a_chosen_output_that_is_not_there_or_no_vector_is_an_error(
    saved_model: SavedModel, name: str, key: str, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        inspect_saved_model(saved_model(name), output_key=key)


def test_a_single_named_output_may_be_named(saved_model: SavedModel) -> None:
    spec = inspect_saved_model(saved_model("keras_saved"), output_key="output_0")
    assert spec.output_key == "output_0"


def test_an_undeclared_width_is_left_open(tmp_path: pathlib.Path) -> None:
    model = save_output(
        tmp_path, lambda images: tf.reshape(images, tf.stack([tf.shape(images)[0], -1]))
    )
    spec = inspect_saved_model(model)
    assert (spec.output_rank, spec.output_dim) == (2, None)


@pytest.mark.parametrize("place", ["labels.txt", "assets/labels.txt"])
def test_labels_that_came_with_the_model_are_found(tmp_path: pathlib.Path, place: str) -> None:
    model = save_logits(tmp_path)
    (tmp_path / place).write_text("red\ngreen\nblue\n")
    assert inspect_saved_model(model).labels == os.path.join(model, *place.split("/"))


@pytest.mark.parametrize(
    ("name", "asked", "expected"),
    [
        ("mean_color", None, (24, 24)),
        ("mean_color", (24, 24), (24, 24)),
        ("dynamic_module", (17, 40), (17, 40)),
        ("several_sizes", (32, 16), (32, 16)),
        ("tf1_hub", None, (24, 32)),
    ],
)
def test_the_image_size_is_the_models_or_the_users(
    saved_model: SavedModel,
    name: str,
    asked: tuple[int, int] | None,
    expected: tuple[int, int],
) -> None:
    assert inspect_saved_model(saved_model(name)).choose_image_size(asked) == expected


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("mean_color", (24, 25), "--image_size 24x25 does not fit the model, which takes 24 x 24"),
        ("several_sizes", None, "24 x 24 or 32 x 16 .*; choose with --image_size"),
        ("several_sizes", (16, 32), "--image_size 16x32 does not fit"),
        ("dynamic_module", None, "any x any .*; choose with --image_size"),
    ],
)
def test_an_image_size_that_is_missing_or_does_not_fit_is_an_error(
    saved_model: SavedModel, name: str, asked: tuple[int, int] | None, message: str
) -> None:
    spec = inspect_saved_model(saved_model(name))
    with pytest.raises(ModelError, match=message):
        spec.choose_image_size(asked)


@pytest.mark.parametrize("content", [b"", b"\xff\xff\xff", b"<html>404</html>"])
def test_a_damaged_graph_is_a_model_error(tmp_path: pathlib.Path, content: bytes) -> None:
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ModelError, match=r"saved_model\.pb is .*not whole: .*; copy it again$"):
        inspect_saved_model(str(tmp_path))


def test_a_graph_with_other_tags_is_used_only_if_it_is_the_only_one(
    saved_model: SavedModel, tmp_path: pathlib.Path
) -> None:
    proto = saved_model_pb2.SavedModel()
    with open(os.path.join(saved_model("tf1_serving"), "saved_model.pb"), "rb") as file:
        proto.ParseFromString(file.read())
    proto.meta_graphs[0].meta_info_def.tags[:] = ["serve", "tpu"]
    (tmp_path / "saved_model.pb").write_bytes(proto.SerializeToString())
    assert inspect_saved_model(str(tmp_path)).tags == ("serve", "tpu")
    proto.meta_graphs.add().CopyFrom(proto.meta_graphs[0])
    (tmp_path / "saved_model.pb").write_bytes(proto.SerializeToString())
    with pytest.raises(ModelError, match=r"tags \[\['serve', 'tpu'\], .*want \['serve'\]"):
        inspect_saved_model(str(tmp_path))
