"""How TensorFlow is imported and runs in a process: threads, GPU memory, no Keras, no noise."""

import importlib
import os
import threading

from transforms.machine.garbage import importing
from transforms.machine.hidden_modules import hidden_modules

_NOT_CALLED = (
    "keras.src.optimizers",
    # For what TensorFlow 1 made of Keras, and for TPUs that are looked up at Google's.
    "h5py",
    "scipy",
    "googleapiclient",
)
"""Modules that `import tensorflow` asks for, and passes over where they are not installed.
(tensorflow/__init__.py, python/keras/engine/ and python/distribute/cluster_resolver/ of 2.21)"""

_IMPORTING = threading.Lock()


def configure_tensorflow(num_model_threads: int | None = None) -> None:
    """Sets how TensorFlow runs here; has no effect once it has run its first operation.

    All of it goes through environment variables, which hold whoever imports TensorFlow first and
    pass on to child processes.

    Args:
        num_model_threads: Threads for operations and within one, or None for one per core.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Memory as it is needed, so that several processes can share a GPU.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if num_model_threads is not None:
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(num_model_threads)
        os.environ["TF_NUM_INTEROP_THREADS"] = str(num_model_threads)


def start_tensorflow(num_model_threads: int | None = None) -> None:
    """Imports TensorFlow, set up, where that has not been done: where it is first needed.

    A run that computes nothing never needs it.

    Args:
        num_model_threads: Threads for operations and within one, or None for one per core.
    """
    configure_tensorflow(num_model_threads)
    with _IMPORTING, importing():
        import_tensorflow()


def import_tensorflow() -> None:
    """Imports TensorFlow in two thirds of the time.

    Keras comes with pandas, h5py and scikit-learn where they are installed, and nothing that runs a
    SavedModel calls it: saved optimizers are tf_keras's, which the loader imports itself. Whoever
    needs Keras imports it afterwards.
    """
    with hidden_modules(*_NOT_CALLED):
        importlib.import_module("tensorflow")
