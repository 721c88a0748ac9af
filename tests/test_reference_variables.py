import pathlib

import numpy as np
import pytest
import tensorflow as tf

from transforms.loaded_model import load_saved_model
from transforms.model import ImageModel
from transforms.reference_variables import WithoutReferences
from transforms.saved_model import inspect_saved_model

PIXELS = np.random.default_rng(0).random((4, 24, 24, 3), np.float32)


def save_tf1_network(
    directory: str, *, use_resource: bool, partitions: int | None = None
) -> np.ndarray:
    """Writes a convolution and a batch normalisation of TF1; returns its answers to PIXELS."""
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
        session.run(tf1.global_variables_initializer())
        signature = tf1.saved_model.predict_signature_def({"images": images}, {"vectors": vectors})
        builder = tf1.saved_model.Builder(directory)
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
        return session.run(vectors, {images: PIXELS})


@pytest.mark.parametrize("use_resource", [False, True])
@pytest.mark.parametrize("partitions", [None, 2])
def test_the_answers_are_those_of_the_session_that_saved_it(
    tmp_path: pathlib.Path, use_resource: bool, partitions: int | None
) -> None:
    model_dir = str(tmp_path / "tf1")
    wanted = save_tf1_network(model_dir, use_resource=use_resource, partitions=partitions)
    model = ImageModel(model_dir, inspect_saved_model(model_dir), image_size=(24, 24))
    np.testing.assert_allclose(model(PIXELS), wanted, atol=1e-6)
    assert model.num_variables == 5 * (partitions or 1)
    assert model.num_parameters == 3 * 3 * 3 * 8 + 4 * 8
    assert model.num_trainable_variables == (model.num_variables if use_resource else 0)


def test_only_reference_variables_are_replaced(tmp_path: pathlib.Path) -> None:
    for use_resource in (False, True):
        model_dir = str(tmp_path / str(use_resource))
        save_tf1_network(model_dir, use_resource=use_resource)
        loaded = load_saved_model(model_dir, inspect_saved_model(model_dir), (24, 24))
        assert isinstance(loaded.owner, WithoutReferences) is not use_resource
