"""TensorFlow as programs import it."""

import pathlib
import subprocess
import sys

import pytest

from tests.support.models import save_mean_color

WITHOUT_KERAS = """
import sys
from transforms.machine.tensorflow_runtime import import_tensorflow
import_tensorflow()
import tensorflow as tf
"""


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "use",
    [
        "import keras; print(keras.layers.Dense(3)(tf.zeros([1, 2])).shape)",
        "from tensorflow.keras import layers; print(layers.Dense(3)(tf.zeros([1, 2])).shape)",
        "print(tf.keras.layers.Dense(3)(tf.zeros([1, 2])).shape)",
        "import tf_keras; print(tf_keras.layers.Dense(3)(tf.zeros([1, 2])).shape)",
        "import h5py, scipy.sparse; print(scipy.sparse.csr_matrix((1, 3)).shape)",
    ],
)
def test_what_is_not_called_is_not_imported_and_can_be(use: str) -> None:
    modules = "print(sys.modules.keys() & {'keras', 'sklearn', 'h5py', 'scipy'})\n"
    assert run_python(WITHOUT_KERAS + modules + use) == "set()\n(1, 3)\n"


def test_a_model_with_an_optimizer_is_loaded_as_ever(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "trained")
    save = f"""
import tf_keras as keras
import tensorflow as tf
model = keras.Sequential([keras.layers.Dense(2, input_shape=(3,))])
model.compile('adam', 'mse')
model.fit(tf.zeros([4, 3]), tf.zeros([4, 2]), verbose=0)
model.save({path!r}, save_format='tf')
"""
    show = f"""
loaded = tf.saved_model.load({path!r})
optimizer = loaded.optimizer
print(type(optimizer).__name__, len(loaded.variables), loaded(tf.ones([1, 3])).numpy().tolist())
"""
    run_python(save)
    assert run_python(WITHOUT_KERAS + show) == run_python("import tensorflow as tf\n" + show)


@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
def test_no_engine_needs_keras(tmp_path: pathlib.Path, engine: str) -> None:
    model_dir = save_mean_color(tmp_path)
    load = f"""
from transforms.models.engine_settings import EngineSettings
from transforms.models.image_model import ImageModel
from transforms.models.inspection import inspect_saved_model
spec = inspect_saved_model({model_dir!r})
settings = EngineSettings(engine={engine!r}, precision='float32', batch_size=2)
model = ImageModel({model_dir!r}, spec, image_size=(24, 24), settings=settings)
print(model.report.engine, 'keras' in sys.modules)
"""
    assert run_python(WITHOUT_KERAS + load) == f"{engine} False\n"
