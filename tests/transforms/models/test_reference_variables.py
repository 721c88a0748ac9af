import pathlib

import numpy as np
import pytest
import tensorflow as tf

from transforms.errors import ModelError
from transforms.models.image_model import ImageModel
from transforms.models.inspection import inspect_saved_model
from transforms.models.loaded_model import load_saved_model
from transforms.models.reference_variables import WithoutReferences
from transforms.models.reusable_model import load_reusable

PIXELS = np.random.default_rng(0).random((4, 24, 24, 3), np.float32)


def save_tf1_network(
    directory: str, *, use_resource: bool, partitions: int | None = None
) -> dict[str, np.ndarray]:
    """Writes a convolution and a batch normalisation of TF1, and names of what is bright.

    Returns:
        The answers to PIXELS: "vectors", which need no table, and "weighted", which do.
    """
    tf1 = tf.compat.v1
    partitioner = partitions and tf1.fixed_size_partitioner(partitions)
    with tf.Graph().as_default(), tf1.Session() as session:
        tf1.set_random_seed(0)
        images = tf1.placeholder(tf.float32, [None, 24, 24, 3], "images")
        with tf1.variable_scope("layer", partitioner=partitioner, use_resource=use_resource):
            kernel = tf1.get_variable("kernel", [3, 3, 3, 8])
            moments = [
                tf.convert_to_tensor(
                    tf1.get_variable(name, [8], initializer=tf1.random_uniform_initializer(0.5, 2))
                )
                for name in ("gamma", "beta", "mean", "variance")
            ]
        features = tf.nn.conv2d(images, kernel, 2, "SAME")
        features = tf1.nn.fused_batch_norm(features, *moments, is_training=False)[0]
        vectors = tf.reduce_mean(tf.nn.relu(features), axis=[1, 2])
        initializer = tf.lookup.KeyValueTensorInitializer([0, 1], ["dark", "bright"])
        table = tf.lookup.StaticHashTable(initializer, "?")
        brightness = table.lookup(tf.cast(images[:, 0, 0, 0] > 0.5, tf.int32))
        weight = 1 + tf.cast(tf.strings.length(brightness), tf.float32)[:, None]
        outputs = {"vectors": vectors, "weighted": vectors * weight, "brightness": brightness}
        tables_initializer = tf1.tables_initializer()
        session.run([tf1.global_variables_initializer(), tables_initializer])
        signature = tf1.saved_model.predict_signature_def({"images": images}, outputs)
        builder = tf1.saved_model.Builder(directory)
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": signature},
            main_op=tables_initializer,
        )
        builder.save()
        return session.run({"vectors": vectors, "weighted": outputs["weighted"]}, {images: PIXELS})


@pytest.mark.parametrize("use_resource", [False, True])
@pytest.mark.parametrize("partitions", [None, 2])
def test_the_answers_are_those_of_the_session_that_saved_it(
    tmp_path: pathlib.Path, use_resource: bool, partitions: int | None
) -> None:
    model_dir = str(tmp_path / "tf1")
    wanted = save_tf1_network(model_dir, use_resource=use_resource, partitions=partitions)
    spec = inspect_saved_model(model_dir, output_key="vectors")
    model = ImageModel(model_dir, spec, image_size=(24, 24))
    np.testing.assert_allclose(model(PIXELS), wanted["vectors"], atol=1e-6)
    assert model.num_variables == 5 * (partitions or 1)
    assert model.num_parameters == 3 * 3 * 3 * 8 + 4 * 8
    assert model.num_trainable_variables == (model.num_variables if use_resource else 0)


def test_only_reference_variables_are_replaced(tmp_path: pathlib.Path) -> None:
    for use_resource in (False, True):
        model_dir = str(tmp_path / str(use_resource))
        save_tf1_network(model_dir, use_resource=use_resource)
        spec = inspect_saved_model(model_dir, output_key="vectors")
        loaded = load_saved_model(model_dir, spec, (24, 24))
        assert isinstance(loaded.owner, WithoutReferences) is not use_resource


def test_with_a_table_they_stay_and_the_model_runs_but_cannot_be_written_again(
    tmp_path: pathlib.Path,
) -> None:
    model_dir = str(tmp_path / "tf1")
    wanted = save_tf1_network(model_dir, use_resource=False)
    spec = inspect_saved_model(model_dir, output_key="weighted")
    model = ImageModel(model_dir, spec, image_size=(24, 24))
    np.testing.assert_allclose(model(PIXELS), wanted["weighted"], atol=1e-5)
    with pytest.raises(ModelError, match="has reference variables and lookup tables in one graph"):
        load_reusable(model_dir, spec)
