"""How TensorFlow runs in a process: threads, GPU memory, start-up noise. Imports no TensorFlow."""

import os


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
