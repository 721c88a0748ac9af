"""Models of tfhub.dev and kaggle.com, fetched by tensorflow_hub."""

import tarfile
import warnings

from transforms.errors import ModelError


def download_hub_model(handle: str) -> str:
    """Returns the directory of a model of tfhub.dev or kaggle.com, in tensorflow_hub's cache.

    Raises:
        ModelError: If it cannot be fetched or unpacked.
    """
    try:
        import tensorflow as tf

        with warnings.catch_warnings():
            # Of what it imports itself; nobody who runs this can change it.
            warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
            import tensorflow_hub
    except ImportError as error:
        raise ModelError(
            f"{handle} needs tensorflow-hub, and that tf_keras and setuptools<82: {error}"
        ) from error
    try:
        return tensorflow_hub.resolve(handle)
    # OSError: no network, HTTP status, not a module. ValueError: links in the archive. OpError:
    # a cache that cannot be written.
    except (OSError, ValueError, tarfile.TarError, tf.errors.OpError) as error:
        raise ModelError(
            f"cannot download model {handle}: {str(error)[:500]}; check the handle and the "
            "network, or download it and give the directory"
        ) from error
