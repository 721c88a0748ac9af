"""TensorFlow, imported without Keras."""

import importlib
import sys

_LOADED_BY_TENSORFLOW = "keras.src.optimizers"
"""The one module of Keras 3 that `import tensorflow` asks for, and passes over where there is none.
(tensorflow/__init__.py of 2.21)"""


def import_tensorflow() -> None:
    """Imports TensorFlow in two thirds of the time.

    Keras comes with pandas, h5py and scikit-learn where they are installed, and nothing that runs a
    SavedModel calls it: saved optimizers are tf_keras's, which the loader imports itself. Whoever
    needs Keras imports it afterwards.
    """
    # None: not found, to imports. Nothing changes where Keras is loaded already.
    is_hidden = sys.modules.setdefault(_LOADED_BY_TENSORFLOW, None) is None  # type: ignore[arg-type]
    try:
        importlib.import_module("tensorflow")
    finally:
        if is_hidden:
            del sys.modules[_LOADED_BY_TENSORFLOW]
